"""People who are signed in, for tests of the pages that they see."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from costlens.services.organizations import ensure_user, sign_in_link
from costlens.store import organizations as org_store
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.organizations import Organization


@dataclass(slots=True)
class Person:
    """Somebody in a browser of their own, signed in."""

    client: FlaskClient
    email: str
    slug: str

    def get(self, path: str, status: int = 200) -> str:
        """A settings page of the organization."""
        response = self.client.get(f"/app/{self.slug}/settings/{path}")
        assert response.status_code == status, (path, response.status_code, text_of(response))
        return response.text

    def post(self, path: str, **data: Any) -> TestResponse:
        """A form of the settings, not followed."""
        return self.client.post(f"/app/{self.slug}/settings/{path}", data=data)

    def send(self, path: str, **data: Any) -> str:
        """A form that leads to a page, and what that page says came of it."""
        response = self.post(path, **data)
        assert response.status_code == 303, (response.status_code, text_of(response))
        return notice(self.client.get(response.location).text)


def notice(page: str) -> str:
    """What a page says came of the last form; '' for nothing."""
    found = re.search(r'<p class="notice \w+"[^>]*>(.*?)</p>', page, re.DOTALL)
    return re.sub(r"<[^>]*>|\s+", " ", found[1]).strip() if found else ""


def text_of(response: TestResponse) -> str:
    """The words of a page."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", response.text))


def add_member(store: Store, organization: Organization, email: str, role: str) -> int:
    """Makes somebody a member, and answers the member's id."""
    now = datetime.now(UTC)
    with store.write() as tx:
        user = ensure_user(tx, email, now)
        row = {"organization_id": organization.id, "user_id": user, "role": role, "created_at": now}
        return org_store.create_member(tx, row)


def signed_in(app: Flask, store: Store, email: str, slug: str = "acme") -> Person:
    """A person who has an account, in a new browser."""
    client = app.test_client()
    assert client.get(f"/sign-in/{sign_in_link(store, email)}").status_code == 302
    return Person(client, email, slug)


def audit_of(store: Store, organization_id: int) -> list[tuple[str, str, str]]:
    """(who, what, of) of every entry of the audit log, oldest first."""
    entry = t.audit_entries.c
    with store.read() as tx:
        query = select(entry.actor, entry.action, entry.subject).where(entry.organization_id == organization_id)
        return [(row[0], row[1], row[2]) for row in tx.execute(query.order_by(entry.id))]


def rows_of(store: Store, table: Any) -> list[Any]:
    """Every row of a table, by id."""
    with store.read() as tx:
        return list(tx.execute(select(table).order_by(*table.primary_key.columns)))
