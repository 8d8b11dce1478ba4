"""Seats on the pages and in GET /roi/summary, of the organization in tests/acme.py: $46.50 code spend, 4 merged PRs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from costlens.config import load_settings
from costlens.domain.estimates import Assumptions
from costlens.domain.written import minutes, money, percent
from costlens.factory import create_app
from costlens.services.assumptions import set_assumptions
from costlens.services.keys import create_key
from costlens.store.engine import Store
from costlens.store.organizations import find_organization
from tests import acme
from tests.acme import ACME, PAYMENTS, STOREFRONT, WEB
from tests.databases import database_url
from tests.web.caller import Caller
from tests.web.people import Person, add_member, signed_in

WEEK = "from=2026-11-16&to=2026-11-22"
SETTINGS = "/app/org-1/settings/assumptions"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with database_url("sqlite") as url:
        store = Store(url, folder=tmp_path)
        with store.write() as tx:
            acme.insert_acme(tx)
        yield store
        store.close()


@pytest.fixture
def people(store: Store, tmp_path: Path) -> Iterator[tuple[Person, Person, Caller]]:
    """alice, an owner; bob, a member; and a caller with a key that reads."""
    with store.read() as tx:
        organization = find_organization(tx, "org-1")
    assert organization is not None
    add_member(store, organization, "alice@example.com", "owner")
    add_member(store, organization, "bob@example.com", "member")
    url = store.engine.url.render_as_string(hide_password=False)
    app = create_app(load_settings({"COSTLENS_DATA": str(tmp_path), "DATABASE_URL": url}))
    alice, bob = (signed_in(app, store, f"{name}@example.com") for name in ("alice", "bob"))
    yield alice, bob, Caller(app, create_key(store, "org-1", "reads", scopes="read"))
    app.extensions["costlens"].store.close()


def words(person: Person, page: str, query: str = "") -> str:
    """The page without its tags."""
    response = person.client.get(f"/app/org-1/{page}?{WEEK}{query}")
    assert response.status_code == 200, response.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", response.text))


def test_pages_say_what_seats_do(store: Store, people: tuple[Person, Person, Caller]) -> None:
    alice, bob, _ = people
    for page in ("repositories", "overview"):
        assert f'href="{SETTINGS}"' in alice.client.get(f"/app/org-1/{page}?{WEEK}").text
        assert "seats not set" in words(bob, page)
        assert SETTINGS not in bob.client.get(f"/app/org-1/{page}?{WEEK}").text, "who may not set them gets no link"
    assert "Seats are not set: full cost is code spend alone. Set seats" in words(alice, "repositories")

    set_assumptions(store, ACME, None, date(2026, 1, 1), Assumptions(seats_cents=36_525), by="a key")  # $12 a day
    set_assumptions(store, ACME, STOREFRONT, date(2026, 11, 22), Assumptions(seats_cents=6_088), by="a key")
    for page in ("repositories", "teams", "overview"):
        assert "($46.50 code + $84.00 seats) ÷ 4 = $32.63" in words(bob, page)
    shown = words(bob, "repositories")
    assert "code spend $46.50 seats $84.00 full cost $130.50" in shown
    assert "$32.63 ÷ $95.00/h × 60 = 20.6 min" in shown
    assert "Full cost: $46.50 code spend + $84.00 seats of the organization = $130.50. No repository has seats" in shown
    by_team = words(bob, "teams")
    assert "with seats $2.00" in by_team
    assert "$82.00 of the seats are of no team and in no row" in by_team
    of_team = words(bob, "repositories", f"&team={PAYMENTS}")
    assert "The organization's seats are not shared out to teams" in of_team.replace("&#39;", "'")
    assert "seats not included" in of_team
    assert "seats not included" in words(bob, "repositories", f"&repository={WEB}")


def test_the_summary_is_what_the_page_shows(store: Store, people: tuple[Person, Person, Caller]) -> None:
    alice, _, caller = people
    set_assumptions(store, ACME, None, date(2026, 1, 1), Assumptions(seats_cents=36_525), by="a key")
    summary = caller.json("/roi/summary?startDate=2026-11-16&endDate=2026-11-22")
    page = alice.client.get(f"/app/org-1/repositories?{WEEK}&format=json").json
    assert summary == {name: value for name, value in page.items() if name != "repositories"}
    total, shown = summary["total"], words(alice, "repositories")
    for label, value in {
        "AI cost": money(nanos(total["totalCost"])),
        "Linked": percent(total["linkedShare"]),
        "Direct cost per merged PR": money(nanos(total["directCostPerMerged"])),
        "Full cost per merged PR": money(nanos(total["fullCostPerMerged"])),
        "Break-even": minutes(total["breakEvenMinutes"]),
        "Merge yield": percent(total["mergeYield"]),
        "seats": money(nanos(total["seats"])),
        "full cost": money(nanos(total["fullCost"])),
        "suggested": money(nanos(total["spend"]["suggested"])),
        "not linked": money(nanos(total["spend"]["unlinked"])),
        "abandoned": f"{total['abandonedPullRequests']} PR",
        "reverted": f"{total['revertedPullRequests']} PR",
        "per person": f"{summary['requiredHoursPerWeek']:.1f} h/week",
    }.items():
        assert re.search(rf"{label} ~?{re.escape(value)}", shown), (label, value)


def nanos(dollars: float) -> int:
    return round(dollars * 10**9)
