"""Every page of an organization is open to the roles that the table of permissions names, and to nobody else."""

from __future__ import annotations

from flask import Flask

from costlens.config import Settings
from costlens.domain.access import PERMISSIONS, ROLES, may
from costlens.factory import create_app
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from costlens.web.access import permission_of
from tests.web.people import add_member, signed_in
from tests.web.test_access import path_of, rules


def test_every_page_names_a_permission(app: Flask) -> None:
    pages = [rule for rule, _ in rules(app) if rule.rule.startswith("/app/")]
    named = {permission_of(app, rule.endpoint) for rule in pages}
    assert len(pages) > 20
    assert named <= PERMISSIONS.keys()


def test_a_page_without_a_permission_is_shut(settings: Settings, store: Store, acme: Organization) -> None:
    app = create_app(settings)
    app.add_url_rule("/app/<slug>/forgotten", "forgotten", lambda slug: "secret")
    owner = signed_in(app, store, "alice@example.com")
    response = owner.client.get("/app/acme/forgotten")
    assert response.status_code == 500
    assert "secret" not in response.text


def test_roles_on_every_page(app: Flask, store: Store, acme: Organization) -> None:
    for role in ROLES:
        add_member(store, acme, f"{role}@example.com", role)
        person = signed_in(app, store, f"{role}@example.com")
        refused = 0
        for rule, method in rules(app):
            permission = permission_of(app, rule.endpoint) if rule.rule.startswith("/app/") else None
            if permission is None or permission in ("leave", "manage_own_account"):  # some end access itself
                continue
            path = path_of(rule, slug="acme", run_id="run_0000000000000", number="999")
            response = person.client.open(path, method=method)
            assert (response.status_code == 403) == (not may(role, permission)), (role, method, path, response.text)
            refused += response.status_code == 403
        assert (refused > 0) is (role != "owner")
