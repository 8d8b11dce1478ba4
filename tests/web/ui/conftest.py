"""alice, who owns Acme, dora, its admin, and bob, a member, each in a browser of their own."""

from __future__ import annotations

import pytest
from flask import Flask

from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.web.people import Person, add_member, signed_in


@pytest.fixture
def owner(app: Flask, store: Store, acme: Organization) -> Person:
    return signed_in(app, store, "alice@example.com")


@pytest.fixture
def admin(app: Flask, store: Store, acme: Organization) -> Person:
    add_member(store, acme, "dora@example.com", "admin")
    return signed_in(app, store, "dora@example.com")


@pytest.fixture
def member(app: Flask, store: Store, acme: Organization) -> Person:
    add_member(store, acme, "bob@example.com", "member")
    return signed_in(app, store, "bob@example.com")
