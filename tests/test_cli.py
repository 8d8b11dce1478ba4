"""The `costlens` command: help everywhere, one clear line for every error, and clients that need no server."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from costlens import __version__
from costlens.cli import main
from tests.databases import database_setting
from tests.e2e.facts import code_run, write_snapshot
from tests.e2e.servers import ROOT, Server, a_run, environment, run, serving, wait_until

SERVER_PACKAGES = {"flask", "sqlalchemy", "rq", "redis", "granian", "alembic", "msgspec", "github", "werkzeug"}
CSV_COLUMNS = {
    "cost": "Cost (USD)",
    "mergedPullRequests": "Merged PRs",
    "directCostPerMerged": "Direct per merged PR (USD)",
}
Environment = dict[str, str]
AtHome = Callable[..., tuple[int, str]]
KEY = re.compile(r"cl_[0-9a-f]{64}")


def every_command() -> list[tuple[str, ...]]:
    """Each command and sub-command by its words."""
    found: list[tuple[str, ...]] = []

    def add(command: click.Command, words: tuple[str, ...]) -> None:
        found.append(words)
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None
                add(below, (*words, name))

    add(main, ())
    return found


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """For commands that need no database."""
    return environment(tmp_path_factory.mktemp("nothing") / "data")


@pytest.fixture(scope="module")
def home(database: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A data folder and a database with the organization Acme of alice."""
    made = environment(tmp_path_factory.mktemp("cli") / "data", **database)
    assert costlens(made, "organization", "create", "Acme", "--owner", "alice@example.com").returncode == 0
    return made


@pytest.fixture(scope="module")
def server(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("report") / "data"
    with database_setting(engine) as setting, serving(folder, **setting) as started:
        yield started


def costlens(env: Environment, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return run(*arguments, env=env | settings)


@pytest.fixture
def at_home(home: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> AtHome:
    """Runs a command that fails in this process, which is faster; answers its code and what it wrote to stderr."""

    def call(*arguments: str, **settings: str) -> tuple[int, str]:
        ours = home | settings
        for name in set(os.environ) - set(ours):
            monkeypatch.delenv(name)
        for name, value in ours.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        shown = capsys.readouterr()
        assert shown.out == ""
        assert isinstance(ended.value.code, int)
        return ended.value.code, shown.err

    return call


def test_every_command_has_help_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    commands = every_command()
    assert {("up",), ("github", "import"), ("organization", "create"), ("report", "roi"), ("db", "check")} <= set(
        commands
    )
    for words in commands:
        with pytest.raises(SystemExit) as ended:
            main([*words, "--help"])
        shown = capsys.readouterr()
        assert ended.value.code == 0, words
        assert shown.out.startswith("Usage: "), words
        sentence = shown.out.split("\n\n")[1].strip()
        assert re.match(r"[A-Z].*[.?]$", sentence, re.DOTALL), (words, sentence)
        assert shown.err == ""


def test_the_version_is_the_package_s(nothing: Environment) -> None:
    done = costlens(nothing, "--version")
    assert done.stdout == f"costlens, version {__version__}\n"


def test_help_and_client_commands_load_nothing_of_the_server(nothing: Environment) -> None:
    for arguments in (("--help",), ("report", "roi", "--help"), ("report", "roi")):
        command = (sys.executable, "-X", "importtime", "-m", "costlens.cli", *arguments)
        done = subprocess.run(command, env=nothing, cwd=ROOT, capture_output=True, text=True, check=False)
        loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
        assert "click" in loaded
        assert not loaded & SERVER_PACKAGES, arguments


def test_help_is_fast(nothing: Environment) -> None:
    times = []
    for _ in range(3):
        started = time.perf_counter()
        assert costlens(nothing, "--help").returncode == 0
        times.append(time.perf_counter() - started)
    assert min(times) < 0.5


def test_organization_create_prints_the_documented_json(home: Environment) -> None:
    arguments = ("organization", "create", "Beta Works", "--owner", "charlie@example.com", "--json")
    done = costlens(home, *arguments, COSTLENS_BASE_URL="https://ai.example.com")
    assert done.returncode == 0
    assert done.stderr == ""
    body = json.loads(done.stdout)
    assert list(body) == ["organization", "apiKey", "signInUrl"]
    assert body["organization"] == "beta-works"
    assert KEY.fullmatch(body["apiKey"])
    assert re.fullmatch(r"https://ai\.example\.com/sign-in/\S{40,}", body["signInUrl"])


def test_the_other_commands_work_without_a_terminal(home: Environment, tmp_path: Path) -> None:
    snapshot = str(write_snapshot(tmp_path / "pulls.jsonl", 1, 2))
    key = costlens(home, "key", "create", "Acme", "--name", "CI", "--json")
    text = json.loads(key.stdout)["apiKey"]
    assert KEY.fullmatch(text)
    changed = costlens(home, "organization", "set", "Acme", "--hourly-cost", "95.50", "--json")
    assert json.loads(changed.stdout)["hourlyCost"] == 95.5
    imported = costlens(home, "github", "import", "--organization", "acme", snapshot, "--json")
    assert json.loads(imported.stdout)["pulls"] == 2
    linked = costlens(home, "link", "--organization", "Acme", "--json")
    assert json.loads(linked.stdout)["changed"] == 0
    assert "/sign-in/" in costlens(home, "sign-in-link", "alice@example.com").stdout
    assert costlens(home, "key", "revoke", "acme", text[:11]).stdout == "Revoked.\n"
    assert costlens(home, "db", "upgrade").stdout == "The database is at the newest revision.\n"
    assert "acme: right" in costlens(home, "db", "check").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("key", "create", "Nobody"), "No organization named 'Nobody'"),
        (("organization", "set", "Nobody", "--plan", "pro"), "No organization named 'Nobody'"),
        (("link", "--organization", "Nobody"), "No organization named 'Nobody'"),
        (("link", "--organization", "Acme", "--repo", "a/b"), "No repository named 'a/b'"),
        (("organization", "create", "Gamma", "--owner", "alice"), "'alice' is not an e-mail address"),
        (
            ("organization", "create", "ACME", "--owner", "bob@example.com"),
            "An organization named 'ACME' exists already",
        ),
        (
            ("organization", "create", "G", "--owner", "a@example.com", "--timezone", "Mars"),
            "'Mars' is not a time zone",
        ),
        (("organization", "create", " ", "--owner", "a@example.com"), "a name needs at least one letter or digit"),
        (("organization", "set", "Acme", "--hourly-cost", "much"), "Invalid value: 'much' is not an amount"),
        (("organization", "set", "Acme", "--hourly-cost", "-5"), "Invalid value: an hour costs more than 0"),
        (("organization", "set", "Acme", "--hourly-cost", "nan"), "Invalid value: an hour costs more than 0"),
        (("organization", "set", "Acme"), "Nothing to set"),
        (("sign-in-link", "bob@example.com"), "No account with the address bob@example.com"),
        (("key", "create", "Acme", "--team", "Ghosts"), "Acme has no team named 'Ghosts'"),
        (("key", "create", "Acme", "--member", "bob@example.com"), "Acme has no member bob@example.com"),
        (("key", "create", "Acme", "--scopes", "all"), "scopes are some of ingest, read, admin"),
        (("key", "revoke", "Acme", "cl_00000000"), "No valid key begins like this"),
        (("github", "import", "/nonexistent"), "Invalid value for 'FILES...': File '/nonexistent' does not exist"),
        (("report", "roi"), "Set COSTLENS_API_KEY to a key"),
        (("nothing",), "No such command 'nothing'"),
    ],
)
def test_an_error_is_one_line_and_a_code(at_home: AtHome, arguments: tuple[str, ...], message: str) -> None:
    code, errors = at_home(*arguments)
    assert code in (1, 2)
    *usage, last = errors.splitlines()
    assert last.startswith(f"Error: {message}"), errors
    assert all(line.startswith(("Usage: ", "Try ")) or not line for line in usage), errors


@pytest.mark.parametrize(
    "settings",
    [
        {"COSTLENS_BASE_URL": "foo"},
        {"REDIS_URL": "foo"},
        {"DATABASE_URL": "foo"},
        {"COSTLENS_SECRET_KEY_FILE": "/nonexistent"},
        {"COSTLENS_WEB_WORKERS": "many"},
    ],
)
@pytest.mark.parametrize("command", ["web", "db check"])
def test_a_bad_setting_is_one_line_that_names_it(at_home: AtHome, command: str, settings: dict[str, str]) -> None:
    code, errors = at_home(*command.split(), **settings)
    assert code == 1
    (line,) = errors.splitlines()
    assert line.startswith(f"Error: {next(iter(settings))}: ")


def test_a_database_that_is_not_one_is_one_line(tmp_path: Path) -> None:
    # Of SQLite alone: only there a database is a file that may be something else.
    (tmp_path / "costlens.db").write_text("this is not a database, though it is long enough to look like one\n" * 40)
    done = costlens(environment(tmp_path), "db", "check")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_a_bad_line_of_a_snapshot_is_named_and_nothing_is_stored(home: Environment, tmp_path: Path) -> None:
    path = write_snapshot(tmp_path / "pulls.jsonl", 8)
    path.write_text(path.read_text() + "not json\n")
    done = costlens(home, "github", "import", "--organization", "Acme", str(path))
    assert done.returncode == 1
    assert done.stderr.startswith("Error: line 2: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_server_that_does_not_answer_or_refuses_is_one_line(nothing: Environment, server: Server) -> None:
    key = "cl_" + "0" * 64
    away = costlens(nothing, "report", "roi", COSTLENS_URL="http://127.0.0.1:1", COSTLENS_API_KEY=key)
    refused = costlens(nothing, "report", "roi", COSTLENS_URL=server.url, COSTLENS_API_KEY=key)
    bad = costlens(nothing, "report", "roi", COSTLENS_URL="foo", COSTLENS_API_KEY=key)
    broken = costlens(nothing, "report", "roi", COSTLENS_URL=server.url, COSTLENS_API_KEY="ключ")
    for done, start in (
        (away, "Error: No answer from http://127.0.0.1:1: "),
        (refused, f"Error: {server.url} says: Unauthorized"),
        (bad, "Error: No answer from foo: "),
        (broken, "Error: COSTLENS_API_KEY "),
    ):
        assert done.returncode == 1
        assert done.stderr.startswith(start), done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_report_says_the_same_as_table_json_and_csv(server: Server, nothing: Environment, tmp_path: Path) -> None:
    key = server.organization("Acme")
    server.answer("organization", "set", "Acme", "--hourly-cost", "95")
    with server.client(key) as client:
        bodies: list[dict[str, Any]] = [a_run(n, **code_run(1 + n % 2, n)) for n in range(40)]
        bodies.append(a_run(900, environment="production"))
        assert client.post("/integrations/batch", json={"runs": bodies}).status_code == 200
        server.answer("github", "import", str(write_snapshot(tmp_path / "pulls.jsonl", 1, 2)))
        wait_until(lambda: len(client.get("/links").json()["links"]) == 40, 15, server.log)

    def report(*arguments: str) -> str:
        done = costlens(nothing, "report", "roi", *arguments, COSTLENS_URL=f"{server.url}/", COSTLENS_API_KEY=key)
        assert done.returncode == 0, done.stderr
        return done.stdout

    body = json.loads(report("--format", "json"))
    row, homeless = body["repositories"]
    assert (row["name"], homeless["name"]) == ("acme/shop", "No repository")
    assert row["mergedPullRequests"] == 2
    assert body["total"]["totalCost"] == pytest.approx(body["total"]["cost"] + body["total"]["notCodeCost"])

    text = report()
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    assert f"${row['cost']:,.2f}" in lines["acme/shop"]
    assert "2/0" in lines["acme/shop"]
    assert f"${body['total']['notCodeCost']:,.4f}" in lines["Not code (production)"]
    assert f"${body['total']['totalCost']:,.2f}" in lines["Total"]
    assert f"{body['total']['breakEvenMinutes']:.1f} minutes per merged pull request" in text

    (first, *_) = csv.DictReader(io.StringIO(report("--format", "csv")))
    for name, column in CSV_COLUMNS.items():
        assert float(first[column]) == pytest.approx(row[name]), name

    pulls = json.loads(report("--by", "pull-request", "--format", "json"))["pullRequests"]
    assert sum(pull["cost"] for pull in pulls) == pytest.approx(row["cost"])
    assert "acme/shop#1" in report("--by", "pull-request")
    assert json.loads(report("--by", "team", "--format", "json"))["total"] == body["total"]
    assert json.loads(report("--repo", "none", "--format", "json"))["total"]["cost"] == 0
