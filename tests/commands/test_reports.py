"""`costlens report team|weekly|compare` against a running server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date

import pytest
from click.testing import CliRunner, Result
from flask import Flask

from costlens.cli import main
from costlens.commands.report_http import fetch
from costlens.domain.estimates import Assumptions, Range
from costlens.domain.roi import Window
from costlens.services.assumptions import set_assumptions
from costlens.services.organizations import create_team
from costlens.services.team_reports import make
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.e2e.browsers import served
from tests.web.caller import Caller

Costlens = Callable[..., Result]
WEEK = Window(date(2026, 11, 16), date(2026, 11, 22), "UTC")


@pytest.fixture
def costlens(app: Flask, alice_key: str) -> Iterator[Costlens]:
    """Runs `costlens report …` with alice's key."""
    with served(app) as url:
        environment = {"COSTLENS_URL": url, "COSTLENS_API_KEY": alice_key}
        yield lambda *words: CliRunner().invoke(main, ["report", *words], env=environment)


def test_they_say_what_the_api_says(
    app: Flask, store: Store, acme: Organization, alice_key: str, costlens: Costlens
) -> None:
    run = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1000, "outputTokens": 100}
    assert Caller(app, alice_key).post("/integrations/run", run).status_code == 200
    create_team(store, acme.id, "Storefront")
    given = Assumptions(hourly_cost_cents=9_500, hours=Range(0.1, 0.2, 0.3))
    set_assumptions(store, acme.id, None, date(2026, 1, 1), given, by="a key")

    team = costlens("team", "Storefront")
    assert team.exit_code == 0, team.output
    assert team.output.startswith("Storefront, 20")
    assert "Full per merged PR" in team.output
    assert "No estimate of a return: There is no code spend in this period." in team.output
    body = json.loads(costlens("team", "Storefront", "--format", "json").output)
    assert body["estimate"]["refused"]["code"] == "nothing_spent"
    assert costlens("team", "Storefront", "--format", "csv").output.startswith("Repository,Team,Runs,")
    unknown = costlens("team", "Nobody")
    assert unknown.exit_code == 1
    assert "No team named 'Nobody'" in unknown.output

    none = costlens("weekly")
    assert none.exit_code == 1
    assert "There is no weekly report yet" in none.output
    make(store, acme.id, "organization", 0, kind="week", window=WEEK)
    weekly = costlens("weekly")
    assert weekly.exit_code == 0, weekly.output
    assert weekly.output.startswith("Acme, 2026-11-16 to 2026-11-22, as of ")
    assert "Worth a look\nNothing stands out against the week before." in weekly.output
    assert json.loads(costlens("weekly", "--format", "json").output)["kind"] == "week"

    compared = costlens("compare")
    assert compared.exit_code == 0, compared.output
    assert "0 of 0 PRs AI-assisted" in compared.output
    assert "Cycle time: not enough data" in compared.output
    assert len(json.loads(costlens("compare", "--format", "json").output)["metrics"]) == 6


def test_an_address_keeps_what_it_asks(
    app: Flask, store: Store, acme: Organization, alice_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("asked", "day"):
        make(store, acme.id, "organization", 0, kind=kind, window=WEEK)
    with served(app) as url:
        monkeypatch.setenv("COSTLENS_URL", url)
        monkeypatch.setenv("COSTLENS_API_KEY", alice_key)
        found = fetch("/roi/reports?kind=asked", {}).json()["reports"]
        assert [one["kind"] for one in found] == ["asked"]
        assert len(fetch("/roi/reports", {"kind": None}).json()["reports"]) == 2


def test_a_report_that_was_made_is_printed(store: Store, acme: Organization, costlens: Costlens) -> None:
    make(store, acme.id, "organization", 0, kind="asked", window=WEEK)
    days = ("--from", "2026-11-16", "--to", "2026-11-22")
    made = costlens("make", *days)
    assert made.exit_code == 0, made.output
    assert made.output.startswith("Acme, 2026-11-16 to 2026-11-22, as of ")
    assert "Seats are not set: full cost is code spend alone." in made.output
    assert json.loads(costlens("make", *days, "--format", "json").output)["kind"] == "asked"
    away = costlens("make", "--again", *days)
    assert (away.exit_code, "The queue does not answer" in away.output) == (1, True)
