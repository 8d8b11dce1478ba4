"""Reports that are kept: what is in them, that they stay as they were, and that they say what the screens say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import delete, insert, update

from costlens.domain.errors import InvalidInput, NotFound
from costlens.domain.estimates import Assumptions, Range
from costlens.domain.roi import Filters, Window
from costlens.services.assumptions import set_assumptions
from costlens.services.report_formats import roi_csv, roi_json
from costlens.services.reports import roi_report
from costlens.services.team_reports import heads, load, load_previous, make
from costlens.store import tables as t
from costlens.store.engine import Store
from tests import acme
from tests.acme import ACME, CHARLIES, PAYMENTS, STOREFRONT, WEB, WEEK

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def store(engine: str) -> Iterator[Store]:
    """Acme in a database that the test may change."""
    with acme.open_acme(engine) as opened:
        yield opened


def change_everything(store: Store) -> None:
    """What happens to an organization in a month: runs come late, links move, prices, names and outcomes change."""
    with store.write() as tx:
        acme.insert_ledger(tx, [acme.ledger(18, team=STOREFRONT, repository=WEB, pull=102, cost=50)])
        suggested = acme.ledger(21, team=STOREFRONT, repository=WEB, state="suggested", cost=2)
        acme.move_ledger(tx, suggested, state="counted", pull_request_id=101)
        tx.execute(update(t.pull_requests).where(t.pull_requests.c.id == 102).values(outcome="reverted", title="Other"))
        tx.execute(update(t.repositories).where(t.repositories.c.id == WEB).values(name="acme/shop"))
        tx.execute(update(t.organizations).where(t.organizations.c.id == ACME).values(hourly_cost_cents=1))
        tx.execute(
            insert(t.price_overrides).values(
                organization_id=ACME, provider="openai", model="gpt-5.4", effective_from=acme.november(17),
                picos={"input_uncached": 1}, created_at=AT,
            )
        )  # fmt: skip
        tx.execute(delete(t.rollup_day).where(t.rollup_day.c.organization_id == ACME))
    set_assumptions(store, ACME, STOREFRONT, date(2026, 1, 1), Assumptions(seats_cents=1), by="a key")


def test_a_report_stays_what_it_was(store: Store) -> None:
    first = make(store, ACME, "team", STOREFRONT, kind="week", window=WEEK, now=AT)
    before = load(store, ACME, first)
    assert before.reproduced
    csv = "".join(before.csv)

    change_everything(store)

    after = load(store, ACME, first)
    assert after.json == before.json
    assert "".join(after.csv) == csv
    assert after.reproduced
    second = make(store, ACME, "team", STOREFRONT, kind="week", window=WEEK, now=datetime(2026, 12, 20, tzinfo=UTC))
    now = load(store, ACME, second)
    assert now.json != before.json  # the changes would have shown
    assert now.inputs.roi.total.spend.code > before.inputs.roi.total.spend.code
    assert (before.inputs.roi.total.spend.suggested, now.inputs.roi.total.spend.suggested) == (2 * acme.DOLLAR, 0)
    merged, once = (of.inputs.roi.total.linked_cost for of in (now, before))
    assert merged == once + (50 + 2) * acme.DOLLAR  # what came late, and the link that moved to web#1
    assert (now.head.version, before.head.version) == (2, 1)
    earlier = load_previous(store, ACME, second)
    assert earlier is not None
    assert earlier.json == before.json
    assert load_previous(store, ACME, first) is None


def test_the_numbers_are_those_of_the_screens(store: Store) -> None:
    for scope, id, rows, filters in (
        ("organization", 0, "repository", Filters()),
        ("team", PAYMENTS, "repository", Filters(team_id=PAYMENTS)),
        ("repository", WEB, "team", Filters(repository_id=WEB)),
    ):
        found = load(store, ACME, make(store, ACME, scope, id, kind="asked", window=WEEK, now=AT))
        screen = roi_report(store, ACME, rows, window=WEEK, filters=filters)
        assert found.document["figures"] == json.loads(json.dumps(roi_json(screen)))
        assert list(found.csv) == list(roi_csv(screen))


def test_what_is_in_a_report(store: Store) -> None:
    set_assumptions(
        store, ACME, None, date(2026, 11, 1), Assumptions(seats_cents=36_525, hours=Range(0.1, 0.2, 0.3)), by="a key"
    )
    shown = load(store, ACME, make(store, ACME, "team", STOREFRONT, kind="asked", window=WEEK, now=AT)).document

    assert (shown["name"], shown["asOf"], shown["rulesetVersion"]) == ("Storefront", "2026-11-23T12:00:00.000Z", 1)
    assert shown["priceVersion"].startswith("genai-prices ")
    assert shown["estimate"]["basis"]["seats"] == pytest.approx(7 * 12 * 15.5 / 46.5)  # its share by code spend
    assert shown["estimate"]["refused"]["code"] == "few_pull_requests"
    assert [(one["repo"], one["number"], one["cost"]) for one in shown["pullRequests"]] == [
        ("acme/web", 1, 15.0), ("acme/web", 3, 5.0), ("acme/web", 2, 3.0),
    ]  # fmt: skip
    assert {one["verdict"] for one in shown["comparison"]["metrics"]} == {"not_enough_data"}
    assert sum(one["runs"] for one in shown["models"]) == 9


def test_seats_are_borne_by_those_for_whom_they_were_set(store: Store) -> None:
    def seats(scope: str, id: int) -> float:
        shown = load(store, ACME, make(store, ACME, scope, id, kind="asked", window=WEEK, now=AT)).document
        return float(shown["estimate"]["basis"]["seats"])

    daily = 36_525  # cents a month are $12 a day
    set_assumptions(store, ACME, None, date(2026, 11, 1), Assumptions(seats_cents=daily), by="a key")
    assert seats("organization", 0) == 84
    assert seats("team", PAYMENTS) == pytest.approx(84 * 18 / 46.5)
    assert seats("repository", WEB) == pytest.approx(84 * 17.5 / 46.5)
    own = Assumptions(seats_cents=2 * daily)
    set_assumptions(store, ACME, PAYMENTS, date(2026, 11, 20), own, by="a key")  # 4 days of the common, 3 of its own
    assert seats("team", PAYMENTS) == pytest.approx(48 * 18 / 46.5 + 72)


def test_a_team_s_own_rollout_takes_the_place_of_the_common_one(store: Store) -> None:
    common = Assumptions(rollout_cents=365 * 400, rollout_months=12)  # $4 a day
    set_assumptions(store, ACME, None, date(2026, 11, 1), common, by="a key")
    set_assumptions(store, ACME, PAYMENTS, date(2026, 11, 20), Assumptions(rollout_cents=36_500), by="a key")
    shown = load(store, ACME, make(store, ACME, "team", PAYMENTS, kind="asked", window=WEEK, now=AT)).document
    # 4 days of its share of the common, 3 of its own
    assert shown["estimate"]["basis"]["rollout"] == pytest.approx(4 * 4 * 18 / 46.5 + 3 * 1)


def test_suggestions_are_expected_by_their_confidence(store: Store) -> None:
    run = dict.fromkeys(t.USAGE_COLUMNS, 0) | {
        "id": 1, "organization_id": ACME, "source": "api", "received_at": AT, "occurred_at": acme.november(21),
        "provider": "openai", "model": "gpt-5.4", "code": True, "usage_quality": "exact", "cost_status": "priced",
        "success": True, "cache_hit": False, "link_state": "suggested", "counted_nanos": 0, "team_id": STOREFRONT,
        "repository_id": WEB, "cost_nanos": acme.DOLLAR,
    }  # fmt: skip
    link = {
        "organization_id": ACME, "run_id": 1, "repository_id": WEB, "rule": "T2", "state": "suggested",
        "cost_nanos": 0, "ruleset": 1, "evidence": {}, "valid_from": AT,
    }  # fmt: skip
    with store.write() as tx:
        tx.execute(insert(t.runs).values(**run))
        tx.execute(insert(t.runs).values(**run | {"id": 2, "organization_id": CHARLIES}))
        for pull, confidence, ended in ((101, 600, None), (102, 400, None), (103, 900, AT)):
            values = {"pull_request_id": pull, "confidence": confidence, "valid_to": ended}
            tx.execute(insert(t.links).values(**link | values))
    for scope, id, expected in (("organization", 0, 0.6), ("team", STOREFRONT, 0.6), ("team", PAYMENTS, 0)):
        found = load(store, ACME, make(store, ACME, scope, id, kind="asked", window=WEEK, now=AT)).inputs
        assert found.basis.expected - found.basis.counted == expected * acme.DOLLAR


def test_three_things_worth_a_look_come_from_the_data(store: Store) -> None:
    shown = load(store, ACME, make(store, ACME, "organization", 0, kind="week", window=WEEK, now=AT)).document

    found = [(one["kind"], one["amount"]) for one in shown["worthALook"]]
    assert found == [("mover", 16.5), ("reverted", 15.0), ("abandoned", 5.0)]
    mover, reverted, abandoned = (one["text"] for one in shown["worthALook"])
    assert mover.startswith("Code spend of acme/web rose from $1.00 to $17.50 (+1,650.0 %)")
    assert "$15.00 (32.3 % of code spend) went into pull requests that were reverted." in reverted
    assert "The dearest: acme/infra#1, Change 1 ($9.00)." in reverted
    assert "The dearest: acme/web#3, Change 3 ($5.00)." in abandoned
    assert shown["worthALook"][0]["query"] == {
        "from": "2026-11-16", "to": "2026-11-22", "repository": WEB, "state": "code",
    }  # fmt: skip

    quiet = Window(date(2026, 11, 1), date(2026, 11, 7), acme.ZONE)
    assert (
        load(store, ACME, make(store, ACME, "organization", 0, kind="week", window=quiet, now=AT)).document[
            "worthALook"
        ]
        == []
    )


def test_reports_are_listed_and_kept_apart(store: Store) -> None:
    one = make(store, ACME, "team", STOREFRONT, kind="week", window=WEEK, now=AT)
    two = make(store, ACME, "repository", WEB, kind="asked", window=WEEK, now=AT)
    other = make(store, CHARLIES, "organization", 0, kind="week", window=Window(WEEK.start, WEEK.end, "UTC"), now=AT)

    assert [head.id for head in heads(store, ACME, limit=10)] == [two, one]
    assert [head.subject.name for head in heads(store, ACME, limit=10)] == ["acme/web", "Storefront"]
    assert [head.id for head in heads(store, ACME, kind="week", limit=10)] == [one]
    assert [head.id for head in heads(store, ACME, subject=("team", PAYMENTS), limit=10)] == []
    with pytest.raises(NotFound):
        load(store, ACME, other)
    with pytest.raises(NotFound, match="No such team"):
        make(store, ACME, "team", 29, kind="asked", window=WEEK)  # Charlie's
    with pytest.raises(NotFound, match="No such repository"):
        make(store, ACME, "repository", 31, kind="asked", window=WEEK)
    with pytest.raises(InvalidInput):
        make(store, ACME, "person", 1, kind="asked", window=WEEK)


def test_progress_is_told(store: Store) -> None:
    told: list[tuple[str, int, int]] = []
    make(store, ACME, "organization", 0, kind="asked", window=WEEK, now=AT, progress=lambda *step: told.append(step))
    assert [done for _, done, _ in told] == [0, 1, 2, 3, 4]
    assert told[-1] == ("Stored", 4, 4)
