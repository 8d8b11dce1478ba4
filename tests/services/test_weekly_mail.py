"""Weekly reports: made once a week, sent to who asked for them, with the numbers of the screens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from costlens.config import Settings, load_settings
from costlens.domain.access import Member
from costlens.domain.errors import NotFound
from costlens.domain.roi import Filters, Window
from costlens.domain.written import money, percent
from costlens.services import weekly_mail
from costlens.services.report_rounds import make_round, missing, windows
from costlens.services.reports import roi_report
from costlens.services.team_reports import heads, make
from costlens.services.weekly_mail import find_subscription, send_due, set_subscription, stop, unsubscribe_url
from costlens.store import tables as t
from costlens.store.engine import Store
from tests import acme
from tests.acme import ACME, PAYMENTS, STOREFRONT, WEEK
from tests.web.mail import mail_server

MONDAY = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)  # 4:30 in New York


@pytest.fixture
def store(engine: str) -> Iterator[Store]:
    """Acme with the members bob and dora; it has a run, so that rounds look at it."""
    with acme.open_acme(engine) as opened:
        with opened.write() as tx:
            for id, email in ((51, "bob@example.com"), (52, "dora@example.com")):
                tx.execute(insert(t.users).values(id=id, email=email, created_at=MONDAY))
                tx.execute(
                    insert(t.members).values(id=id, organization_id=ACME, user_id=id, role="member", created_at=MONDAY)
                )
        yield opened


def member(id: int) -> Member:
    return Member(ACME, id, id, f"{id}@example.com", "member")


def settings_with(url: str, folder: Path) -> Settings:
    return load_settings(
        {"COSTLENS_DATA": str(folder), "SMTP_URL": url, "COSTLENS_BASE_URL": "https://costlens.example"}
    )


def test_the_weekly_report_arrives_once_with_the_numbers_of_the_screen(store: Store, tmp_path: Path) -> None:
    set_subscription(store, member(51), STOREFRONT, True)
    set_subscription(store, member(52), STOREFRONT, True)
    report_id = make(store, ACME, "team", STOREFRONT, kind="week", window=WEEK, now=MONDAY)
    make(store, ACME, "team", PAYMENTS, kind="week", window=WEEK, now=MONDAY)  # nobody asked for it
    with mail_server() as server:
        settings = settings_with(server.url, tmp_path)
        server.refused.add("dora@example.com")
        assert send_due(store, settings, now=MONDAY) == 1
        assert [mail["To"] for mail in server.mails] == ["bob@example.com"]
        server.refused.clear()
        assert send_due(store, settings, now=MONDAY + timedelta(hours=1)) == 1  # dora's is tried again
        assert send_due(store, settings, now=MONDAY + timedelta(hours=2)) == 0
        assert [mail["To"] for mail in server.mails] == ["bob@example.com", "dora@example.com"]

        mail = server.mails[0]
        total = roi_report(store, ACME, "repository", window=WEEK, filters=Filters(team_id=STOREFRONT)).total
        text = mail.get_content().replace("\r\n", "\n")
        assert mail["Subject"] == "Storefront, 16 – 22 Nov 2026: $15.50 AI cost, 2 merged PRs"
        told = dict(re.findall(r"(?m)^(\S.*?)  +(\S+|[0-9.]+ \S+)   was ", text))
        assert told["AI cost"] == money(total.spend.total)
        assert told["Code spend"] == money(total.spend.code)
        assert told["Linked"] == percent(total.spend.coverage)
        assert told["Merged PRs"] == str(total.merged)
        assert told["Direct per merged PR"] == money(total.direct_per_merged)
        assert told["Full per merged PR"] == money(total.full_per_merged)
        assert told["Merge yield"] == percent(total.merge_yield)
        assert "Worth a look\n1. Code spend of acme/web rose from $1.00 to $15.50" in text
        assert "https://costlens.example/app/org-1/runs?from=2026-11-16&to=2026-11-22&" in text
        assert "No estimate of a return: Nobody has said how many hours" in text
        assert f"https://costlens.example/app/org-1/reports/{report_id}" in text
        assert mail["List-Unsubscribe"].startswith("<https://costlens.example/unsubscribe/")


def test_the_link_in_it_stops_it(store: Store, tmp_path: Path) -> None:
    set_subscription(store, member(51), STOREFRONT, True)
    settings = settings_with("smtp://127.0.0.1:9", tmp_path)
    token = unsubscribe_url(settings, ACME, STOREFRONT, 51).rpartition("/")[2]
    found = find_subscription(store, settings, token)
    assert found is not None
    assert (found.organization, found.team, found.email, found.active) == (
        "Acme", "Storefront", "bob@example.com", True,
    )  # fmt: skip
    assert stop(store, settings, token) == found
    again = stop(store, settings, token)
    assert again is not None
    assert not again.active
    assert weekly_mail.readers(store, ACME) == {}
    assert find_subscription(store, settings, token + "x") is None
    assert stop(store, replace(settings, secret_key="another"), token) is None
    with store.read() as tx:
        actions = tx.execute(select(t.audit_entries.c.action)).scalars().all()
    assert actions == ["weekly_report.subscribed", "weekly_report.unsubscribed"]
    with pytest.raises(NotFound):
        set_subscription(store, member(51), 29, True)  # Charlie's team


def test_a_mail_server_that_is_away_costs_no_report(store: Store, tmp_path: Path) -> None:
    set_subscription(store, member(51), STOREFRONT, True)
    make(store, ACME, "team", STOREFRONT, kind="week", window=WEEK, now=MONDAY)
    settings = settings_with("smtp://127.0.0.1:9", tmp_path)
    for _ in range(weekly_mail.TRIES + 1):
        assert send_due(store, settings, now=MONDAY) == 0
    with store.read() as tx:
        mails = tx.execute(select(t.report_mails)).all()
    assert [(mail.tries, mail.sent_at) for mail in mails] == [(weekly_mail.TRIES, None)]
    assert "does not work" in mails[0].error


def test_what_is_over_where() -> None:
    assert windows("UTC", MONDAY) == {
        "day": Window(date(2026, 10, 26), date(2026, 11, 22), "UTC"),
        "week": Window(date(2026, 11, 16), date(2026, 11, 22), "UTC"),
        "month": Window(date(2026, 10, 1), date(2026, 10, 31), "UTC"),
    }
    early = datetime(2026, 11, 23, 8, 59, tzinfo=UTC)  # 3:59 in New York: the night is not over
    assert windows("America/New_York", early)["week"].end == date(2026, 11, 15)
    assert windows("America/New_York", MONDAY)["week"].end == date(2026, 11, 22)
    assert windows("UTC", datetime(2026, 12, 1, 4, tzinfo=UTC))["month"].end == date(2026, 11, 30)


def test_rounds_are_made_once_and_only_of_what_was_active(store: Store) -> None:
    with store.write() as tx:
        tx.execute(insert(t.runs).values(**run_of(ACME)))
    rounds = {(one.organization.id, one.kind): one for one in missing(store, MONDAY)}
    assert set(rounds) == {(ACME, "day"), (ACME, "week"), (ACME, "month")}
    told: list[tuple[str, int, int]] = []
    assert make_round(store, rounds[ACME, "week"], now=MONDAY, progress=lambda *step: told.append(step)) == 6
    assert [step[1:] for step in told] == [(n, 6) for n in range(6)]
    made = {(head.subject.scope, head.subject.id) for head in heads(store, ACME, kind="week", limit=50)}
    assert made == {("organization", 0), ("team", 21), ("team", 22), *(("repository", id) for id in (11, 12, 13))}
    assert (ACME, "week") not in {(one.organization.id, one.kind) for one in missing(store, MONDAY)}
    assert make_round(store, rounds[ACME, "week"], now=MONDAY) == 0
    assert make_round(store, rounds[ACME, "month"], now=MONDAY) == 0  # October was quiet

    assert make_round(store, rounds[ACME, "day"], now=MONDAY) == 6
    later = MONDAY + timedelta(days=40)
    make_round(store, next(one for one in missing(store, later) if one.kind == "day"), now=later)
    assert heads(store, ACME, kind="day", limit=50) == []  # nightly ones are forgotten, and nothing came since
    assert len(heads(store, ACME, kind="week", limit=50)) == 6


def run_of(organization_id: int) -> dict[str, object]:
    usage = dict.fromkeys(t.USAGE_COLUMNS, 0)
    return usage | {
        "id": 1, "organization_id": organization_id, "source": "api", "received_at": MONDAY, "occurred_at": MONDAY,
        "provider": "openai", "model": "gpt-5.4", "code": True, "usage_quality": "exact", "cost_status": "free",
        "success": True, "cache_hit": False, "link_state": "pending", "counted_nanos": 0,
    }  # fmt: skip
