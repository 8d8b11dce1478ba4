"""The audit log: filters, pages and CSV."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from costlens.store import organizations as org_store
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.web.people import Person, signed_in, text_of

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def log(store: Store, acme: Organization) -> None:
    """250 entries of two people, an hour apart."""
    with store.write() as tx:
        for number in range(250):
            org_store.add_audit(
                tx,
                acme.id,
                at=START + timedelta(hours=number),
                actor=("dora@example.com", "=HYPERLINK(1)")[number % 2],
                action=("key.created", "team.created")[number % 2],
                subject=f"thing {number}",
                details={"number": number},
            )


def test_pages_follow_each_other(owner: Person, log: None) -> None:
    seen: list[str] = []
    path: str | None = "audit"
    while path:
        page = owner.get(path)
        seen += [part.partition("<")[0] for part in page.split('data-label="Of">')[1:]]
        link = page.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0] if 'rel="next"' in page else ""
        path = link.partition("settings/")[2].replace("&amp;", "&") or None
    things = [name for name in seen if name.startswith("thing")]
    assert things == [f"thing {number}" for number in range(249, -1, -1)]


def test_filters(owner: Person, log: None) -> None:
    assert owner.get("audit?actor=dora@example.com&from=2026-03-02&to=2026-03-02").count("<tr>") == 1 + 12
    assert owner.get("audit?action=team.created&to=2026-03-01").count("<tr>") == 1 + 12
    assert "No change matches" in owner.get("audit?action=nothing")
    assert "must be a date" in owner.get("audit?from=yesterday", 400)


def test_csv_is_every_entry_of_the_filters(store: Store, acme: Organization, owner: Person, log: None) -> None:
    response = owner.client.get("/app/acme/settings/audit?format=csv&to=2026-12-31&from=2026-01-01")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert response.mimetype == "text/csv"
    mine = [row for row in rows if row["Of"].startswith("thing")]
    assert len(mine) == 250
    assert mine[0] == {
        "Time": "2026-03-11T09:00:00.000Z", "Who": "'=HYPERLINK(1)", "What": "team.created", "Of": "thing 249",
        "Details": '{"number":249}',
    }  # fmt: skip
    assert "audit_log.exported" in owner.get("audit")


def test_only_who_may(
    app: Flask, store: Store, acme: Organization, member: Person, charlie_key: str, log: None
) -> None:
    for query in ("", "?format=csv"):
        member.get(f"audit{query}", 403)
        charlie = signed_in(app, store, "charlie@example.com", "initech")
        assert "thing 1" not in text_of(charlie.client.get(f"/app/initech/settings/audit{query}"))
        assert charlie.client.get(f"/app/acme/settings/audit{query}").status_code == 404
