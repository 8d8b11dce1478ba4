"""A worker killed while it reads GitHub: the same rows as if nothing had happened, and one page more for each crash."""

from __future__ import annotations

from pathlib import Path

from costlens.github.snapshot import read_snapshot
from costlens.services.organizations import create_organization
from costlens.services.sync import import_records
from tests.databases import database_setting, open_store
from tests.e2e.github_crash import backfill
from tests.github.peer import history, snapshot_lines
from tests.github.stored import facts

PULLS, DIRECT = 150, 20
# Twenty kills are in benchmarks/github_crash.py.
SEEDS = {"sqlite": (5, ["job", "worker"]), "postgresql": (3, ["worker", "job"])}
A_PAGE = 1 + 2 * 25  # the list, and two calls for each pull request


def test_a_worker_killed_in_the_middle_costs_one_page(engine: str, tmp_path: Path) -> None:
    repo = history(PULLS, DIRECT)
    seed, victims = SEEDS[engine]
    with database_setting(engine) as database:
        report = backfill(tmp_path / "data", repo, kills=2, seed=seed, settings=database)
    assert report.kills == victims
    with open_store(engine) as other:
        organization = create_organization(other, "Acme", "alice@example.com", plan="self-hosted").organization
        import_records(other, organization.id, read_snapshot(snapshot_lines(repo)))
        assert report.found == facts(other)
    undisturbed = 2 + PULLS // 25 * A_PAGE + 1
    assert report.pages_repeated <= len(report.kills)
    assert undisturbed <= report.calls <= undisturbed + len(report.kills) * A_PAGE
