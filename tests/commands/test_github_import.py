"""`costlens github import --git`: a clone read into a data folder, and one clear line for every mistake."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.servers import environment, run
from tests.github.clones import Clone, new_clone


@pytest.fixture(scope="module")
def home(database: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a data folder and a database with the organization Acme of alice."""
    made = environment(tmp_path_factory.mktemp("import") / "data", **database)
    assert costlens(made, "organization", "create", "Acme", "--owner", "alice@example.com").returncode == 0
    return made


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """One pull request merged a year ago and one a day ago."""
    made = new_clone(tmp_path_factory.mktemp("clone") / "a web")
    for number, days in ((1, 365), (2, 1)):
        made.now = datetime.now(UTC) - timedelta(days=days)
        made.commit(f"Change (#{number})", "a.py")
    return made


def costlens(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(*arguments, env=env)


def test_a_clone_is_imported_and_again_changes_nothing(home: dict[str, str], clone: Clone) -> None:
    arguments = ("github", "import", "--git", str(clone.path), "--repo", "acme/web", "--json")
    done = costlens(home, *arguments)
    assert done.returncode == 0, done.stderr
    expected = {"organization": "acme", "pulls": 1, "commits": 1, "people": 1, "repositories": 1}
    assert json.loads(done.stdout) == expected | {"changedRepositories": 1}
    again = costlens(home, *arguments)
    assert json.loads(again.stdout) == expected | {"changedRepositories": 0}
    whole = costlens(home, *arguments, "--since", "2020-01-01", "--organization", "Acme")
    assert json.loads(whole.stdout)["pulls"] == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Give snapshot files, or a clone"),
        (("--git", "{clone}"), "--git needs --repo"),
        (("--git", "{clone}", "--repo", "acme/web", __file__), "Give snapshot files, or a clone"),
        ((__file__, "--since", "2026-01-01"), "--since is for --git"),
        (("--git", "{clone}", "--repo", "acme/web", "--since", "yesterday"), "yesterday"),
        (("--git", "{clone}", "--repo", "web"), "repo must be owner/name"),
        (("--git", "{data}", "--repo", "acme/web"), "is not a git repository"),
        (("--git", "{data}/none", "--repo", "acme/web"), "is not a folder"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    home: dict[str, str], clone: Clone, arguments: tuple[str, ...], says: str
) -> None:
    words = [word.format(clone=clone.path, data=home["COSTLENS_DATA"]) for word in arguments]
    done = costlens(home, "github", "import", *words)
    assert done.returncode != 0
    assert says in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("Error: ")
    assert done.stdout == ""
