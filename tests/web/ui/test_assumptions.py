"""ROI assumptions on the settings page: previewed, set from a day on, taken back, and written to the audit log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from costlens.services.assumptions import history
from costlens.services.organizations import create_team
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.web.people import Person, audit_of

FORM = {
    "since": "2026-01-01", "by": "range", "hourly_cost": "95", "seats": "1,200", "hours_low": "0.2",
    "hours_mid": "0.5", "hours_high": "1", "recapture_low": "0.5", "recapture_mid": "0.75", "recapture_high": "1",
    "review_hours": "0.1", "rework_hours": "2", "rollout": "", "rollout_months": "12",
}  # fmt: skip


def test_from_first_to_last(store: Store, acme: Organization, owner: Person) -> None:
    assert "Nothing yet" in owner.get("assumptions")
    assert "felt 20 % faster and were 19 % slower" in owner.get("assumptions")
    assert owner.send("assumptions", **FORM) == "Saved: these assumptions hold from 2026-01-01 on"
    given = history(store, acme.id, None)[0].given
    assert given.hours is not None
    assert (given.hourly_cost_cents, given.seats_cents, given.hours.mid, given.rework_hours) == (9500, 120_000, 0.5, 2)
    assert "0.20 / 0.50 / 1.00" in owner.get("assumptions")

    assert owner.send("assumptions", **FORM | {"hours_high": "2"}).startswith("Saved")  # in place of the earlier one
    assert len(history(store, acme.id, None)) == 1
    later = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
    survey = {"by": "survey", "survey_mean": "1", "survey_deviation": "0.5", "survey_answers": "25"}
    owner.send("assumptions", **FORM | survey | {"since": later})
    page = owner.get("assumptions")
    assert "survey of 25" in page
    assert 'name="hours_high" inputmode="decimal" size="10" value="2.0"' in " ".join(page.split())  # what holds now
    assert owner.send("assumptions/remove", since=later) == f"The assumptions from {later} on are gone"
    assert owner.send("assumptions/remove", since=later) == "Nothing was set from that day on"
    assert [one[1] for one in audit_of(store, acme.id) if one[1].startswith("roi_assumptions")] == [
        "roi_assumptions.set", "roi_assumptions.set", "roi_assumptions.set", "roi_assumptions.removed",
    ]  # fmt: skip


def test_a_team_has_its_own(store: Store, acme: Organization, owner: Person) -> None:
    team = create_team(store, acme.id, "Payments")
    owner.send("assumptions", **FORM)
    owner.send("assumptions", **FORM | {"team": str(team), "seats": "7"})
    assert [history(store, acme.id, one)[0].given.seats_cents for one in (None, team)] == [120_000, 700]
    assert audit_of(store, acme.id)[-1][2] == "Payments"
    assert owner.send("assumptions", **FORM | {"team": str(team + 1)}) == "No such team"


def test_a_preview_saves_nothing(store: Store, acme: Organization, owner: Person) -> None:
    page = " ".join(
        owner.client.get("/app/acme/settings/assumptions", query_string=FORM | {"preview": "1"}).text.split()
    )
    assert "nothing is saved yet" in page
    assert "As it is:</b> no hourly cost · no hours saved set" in page
    assert "With this:</b> at $95.00/h · 0.20 / 0.50 / 1.00 h saved per merged PR" in page
    assert "No estimate.</b> There is no code spend" in page
    assert history(store, acme.id, None) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"hours_low": "3"}, "hours: low, mid and high rise from 0 to at most 1000"),
        ({"recapture_high": "1.5"}, "recapture: low, mid and high rise from 0 to at most 1"),
        ({"hours_mid": ""}, "Hours saved needs low, mid and high"),
        ({"seats": "many"}, "Seats a month is an amount in dollars such as 95 or 87.50"),
        ({"seats": "NaN"}, "Seats a month is an amount in dollars such as 95 or 87.50"),
        ({"seats": "-5"}, "Seats a month is an amount in dollars such as 95 or 87.50"),
        ({"hourly_cost": "0"}, "hourlyCost is more than 0"),
        ({"by": "survey"}, "A survey has a mean"),
        ({"since": "yesterday"}, "since must be a date"),
        ({"since": "1999-01-01"}, "since is a day from"),
        ({"rollout_months": "0.5"}, "rolloutMonths is from 1 to 120"),
    ],
)
def test_what_nobody_can_mean(
    store: Store, acme: Organization, owner: Person, wrong: dict[str, str], said: str
) -> None:
    assert said in owner.send("assumptions", **FORM | wrong)
    assert history(store, acme.id, None) == []
    preview = owner.client.get("/app/acme/settings/assumptions", query_string=FORM | wrong | {"preview": "1"})
    assert preview.status_code == 200
