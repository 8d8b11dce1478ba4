"""`costlens demo` in a fresh folder: a table that adds up, a link, a key; a second call replaces the first."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from costlens.config import load_settings
from costlens.domain.periods import last_days
from costlens.services import organizations, reports
from costlens.store import organizations as org_store
from costlens.store.engine import Store
from tests.e2e.servers import Server, environment, free_port, run

ARGUMENTS = ("demo", "--days", "7", "--no-serve")


@dataclass(slots=True)
class Loaded:
    env: dict[str, str]
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def loaded(database: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    data = tmp_path_factory.mktemp("demo") / "data"
    env = environment(data, **database)
    yield Loaded(env, demo(env))
    assert Server(data, 0).pids() == {}


def demo(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    arguments = (*ARGUMENTS, "--port", str(free_port()), "--data", env["COSTLENS_DATA"])
    done = run(*arguments, env=env, seconds=150)
    assert done.returncode == 0, done.stderr
    return done


def amount(text: str, row: str) -> Decimal:
    """The AI cost in a row of the printed table."""
    found = re.search(rf"^{re.escape(row)}\s+\$([\d,.]+)", text, re.MULTILINE)
    assert found, text
    return Decimal(found[1].replace(",", ""))


def test_demo_prints_the_table_a_sign_in_link_and_a_key(loaded: Loaded) -> None:
    text = loaded.done.stdout
    assert text.startswith("Acme, ")
    assert len(re.findall(r"^acme/\S+ ", text, re.MULTILINE)) == 8
    assert re.search(r"^Sign in:  http://127\.0\.0\.1:\d+/sign-in/\S{40,}$", text, re.MULTILINE)
    assert re.search(r"^API key:  cl_[0-9a-f]{64}$", text, re.MULTILINE)
    assert "saves" in text


def test_the_printed_rows_make_the_total(loaded: Loaded) -> None:
    text = loaded.done.stdout
    code, rest, total = (amount(text, row) for row in ("Code", "Not code (production)", "Total"))
    assert code > 0
    assert rest > 0
    assert abs(code + rest - total) <= Decimal("0.01")
    table = text.partition("─\n")[2].partition("\nCode")[0]
    rows = [Decimal(found.replace(",", "")) for found in re.findall(r"^\S.*?\s\$([\d,.]+)", table, re.MULTILINE)]
    assert abs(sum(rows) - code) <= Decimal("0.01") * len(rows)


def test_the_ledger_s_buckets_are_the_total(loaded: Loaded) -> None:
    assert "acme: right" in run("db", "check", env=loaded.env).stdout
    store = Store(load_settings(loaded.env).database_url)
    with store.read() as tx:
        (organization,) = org_store.list_organizations(tx)
    report = reports.roi_report(
        store, organization.id, "repository", window=last_days(28, organization.timezone, datetime.now(UTC).date())
    )
    body = reports.roi_json(report)["total"]
    buckets = [
        round(body["spend"][name] * 10**9) for name in ("counted", "suggested", "pending", "unlinked", "notCode")
    ]
    assert sum(buckets) == round(body["totalCost"] * 10**9)
    assert buckets[0] > sum(buckets) / 4, "most of the demo's work is linked"
    store.close()


def test_a_second_call_replaces_the_first_and_leaves_others_alone(loaded: Loaded) -> None:
    store = Store(load_settings(loaded.env).database_url)
    organizations.create_organization(store, "Beta", "charlie@example.com", plan="self-hosted")
    with store.read() as tx:
        before = {one.slug: one.id for one in org_store.list_organizations(tx)}
    again = demo(loaded.env)
    with store.read() as tx:
        after = {one.slug: one.id for one in org_store.list_organizations(tx)}
    store.close()
    assert set(after) == set(before) == {"acme", "beta"}
    assert after["beta"] == before["beta"]
    assert after["acme"] != before["acme"]
    assert amount(again.stdout, "Total") == pytest.approx(amount(loaded.done.stdout, "Total"), rel=Decimal("0.02"))
    assert "acme: right" in run("db", "check", env=loaded.env).stdout
