"""Kept reports on screen: made, shown, exported, unchanged by what comes later; the estimate and the comparison."""

from __future__ import annotations

import html
import re
from datetime import date

import pytest
from flask import Flask

from costlens.domain.estimates import Assumptions, Range
from costlens.domain.roi import Window
from costlens.domain.written import money
from costlens.services.assumptions import set_assumptions
from costlens.services.keys import create_key
from costlens.services.reports import roi_report
from costlens.services.team_reports import make
from costlens.services.weekly_mail import unsubscribe_url
from costlens.store.engine import Store
from costlens.store.organizations import find_organization
from costlens.web.context import Context
from tests.web.caller import Caller
from tests.web.conftest import Shipped
from tests.web.people import Person, add_member, signed_in, text_of

JANUARY = Window(date(2025, 1, 1), date(2025, 1, 31), "UTC")


@pytest.fixture
def owner(app: Flask, store: Store, shipped: Shipped) -> Person:
    return signed_in(app, store, "alice@example.com")


def page(person: Person, path: str, status: int = 200) -> str:
    """A page without the spaces that its layout has, as text and tags."""
    response = person.client.get(f"/app/acme/{path}")
    assert response.status_code == status, text_of(response)
    return html.unescape(" ".join(response.text.split()))


def test_a_report_survives_new_runs_relinking_and_new_prices(
    app: Flask, store: Store, shipped: Shipped, owner: Person, alice: Caller
) -> None:
    report_id = make(store, shipped.organization.id, "organization", 0, kind="asked", window=JANUARY)

    def everything(id: int) -> list[bytes]:
        return [owner.client.get(f"/app/acme/reports/{id}{form}").data for form in ("", "?format=json", "?format=csv")]

    before = everything(report_id)
    assert all(before)
    new = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 9_000, "outputTokens": 100}
    alice.post("/integrations/run", new | {"timestamp": "2025-01-15T10:00:00Z", "repo": "acme/web", "prNumber": 1})
    assert alice.post(f"/runs/{shipped.ids['login']}/links", {"action": "reject", "prNumber": 1}).status_code == 200
    admin = Caller(app, create_key(store, "Acme", "admin's", scopes="ingest read admin"))
    price = {
        "provider": "openai", "model": "gpt-unheard-of", "rates": {"inputUncached": 50, "outputText": 100},
        "effectiveFrom": "2025-01-01T00:00:00Z", "backfill": True,
    }  # fmt: skip
    assert admin.client.put("/models/prices", headers=admin.headers, json=price).status_code == 200

    assert everything(report_id) == before
    again = make(store, shipped.organization.id, "organization", 0, kind="asked", window=JANUARY)
    later = everything(again)
    assert later[1] != before[1]
    assert later[2] != before[2]
    assert "Against the report before" in later[0].decode()


def test_the_page_shows_what_the_screen_shows(store: Store, shipped: Shipped, owner: Person) -> None:
    report_id = make(store, shipped.organization.id, "organization", 0, kind="month", window=JANUARY)
    total = roi_report(store, shipped.organization.id, "repository", window=JANUARY).total
    shown = page(owner, f"reports/{report_id}")
    screen = page(owner, "repositories?from=2025-01-01&to=2025-01-31&compare=none")
    for figure in (total.spend.total, total.spend.code, total.direct_per_merged, total.full_per_merged):
        assert money(figure) in shown
        assert money(figure) in screen
    assert "monthly, version 1" in shown
    assert "No estimate.</b> Nobody has said how many hours" in shown
    assert "genai-prices" in shown
    assert page(owner, "reports").count(f"reports/{report_id}") == 1
    assert "None yet of this kind" in page(owner, "reports?kind=week")
    assert page(owner, "reports?kind=month&of=organization-0").count(f"reports/{report_id}") == 1
    page(owner, "reports?of=person-1", 400)


def test_a_queue_that_is_away_and_subjects_that_are_not_there(store: Store, shipped: Shipped, owner: Person) -> None:
    assert owner.client.post("/app/acme/reports", data={"of": "organization-0"}).status_code == 503
    assert owner.client.post("/app/acme/reports", data={"of": "team-99"}).status_code == 404
    assert owner.client.post("/app/acme/reports", data={"of": "team-1", "from": "never"}).status_code == 400


def test_another_organizations_report_is_not_there(
    app: Flask, store: Store, shipped: Shipped, owner: Person, charlie_key: str
) -> None:
    with store.read() as tx:
        other = find_organization(tx, "initech")
    assert other is not None
    theirs = make(store, other.id, "organization", 0, kind="asked", window=JANUARY)
    page(owner, f"reports/{theirs}", 404)
    assert owner.client.get(f"/app/acme/reports/{theirs}?format=json").status_code == 404


def test_everybody_chooses_for_themselves(app: Flask, store: Store, shipped: Shipped, owner: Person) -> None:
    bob_id = add_member(store, shipped.organization, "bob@example.com", "member")
    bob = signed_in(app, store, "bob@example.com")
    team = re.search(r'name="team" value="(\d+)"', page(bob, "reports"))
    assert team is not None

    def wanted(answer: str) -> str:
        response = bob.client.post("/app/acme/reports/weekly", data={"team": team[1], "wanted": answer})
        assert response.status_code == 303
        return page(bob, "reports")

    assert "This server sends no e-mails yet" in page(bob, "reports")
    assert "You get the weekly report of Storefront by e-mail" in wanted("yes")
    assert '<td data-label="Goes to">bob@example.com</td>' in page(owner, "reports")
    assert "You no longer get the weekly report" in wanted("no")

    wanted("yes")
    made: Context = app.extensions["costlens"]
    link = unsubscribe_url(made.settings, shipped.organization.id, int(team[1]), bob_id)
    nobody = app.test_client()
    path = link.removeprefix(made.settings.base_url)
    assert "Stop the weekly e-mail?" in nobody.get(path).text
    assert "bob@example.com" in page(owner, "reports")  # looking stops nothing
    assert "No more weekly e-mails" in nobody.post(path).text
    assert '<td data-label="Goes to">nobody</td>' in page(owner, "reports")
    assert nobody.get(path + "x").status_code == 404


def test_the_estimate_is_off_until_somebody_assumes(store: Store, shipped: Shipped, owner: Person) -> None:
    roi = page(owner, "repositories?from=2025-01-01&to=2025-01-31")
    assert 'hx-get="/app/acme/estimate?from=2025-01-01&to=2025-01-31"' in roi
    part = owner.client.get("/app/acme/estimate?from=2025-01-01&to=2025-01-31", headers={"HX-Request": "true"}).text
    assert part.lstrip().startswith("<header>")  # what opens under the figures
    assert "Nobody has said how many hours" in part
    shown = page(owner, "estimate?from=2025-01-01&to=2025-01-31")
    assert "Nobody has said how many hours a merged pull request saves." in shown
    assert 'href="/app/acme/settings/assumptions">Change' in shown
    set_assumptions(
        store, shipped.organization.id, None, date(2025, 1, 1),
        Assumptions(hourly_cost_cents=9_500, hours=Range(0.2, 0.5, 1)), by="a key",
    )  # fmt: skip
    shown = page(owner, "estimate?from=2025-01-01&to=2025-01-31")
    assert "at $95.00/h · 0.20 / 0.50 / 1.00 h saved per merged PR" in shown
    assert "Few PRs: 1 merged with linked spend, and a range needs 20." in shown  # 60 % of code spend is linked


def test_the_comparison_page(shipped: Shipped, owner: Person) -> None:
    shown = page(owner, "comparison?from=2025-01-01&to=2025-12-31")
    assert "No merged pull request of a known author and size" in shown  # the snapshot tells no sizes
    page(owner, "comparison?period=3d", 400)
    page(owner, "comparison")
