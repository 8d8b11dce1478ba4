"""The organization's own page: changed, another one made, and deleted with everything of it."""

from __future__ import annotations

import re

from flask import Flask
from sqlalchemy import func, select

from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from costlens.store.tables import metadata
from tests.web.caller import Caller
from tests.web.conftest import Shipped
from tests.web.people import Person, audit_of, rows_of, signed_in, text_of
from tests.web.ui.test_invitations import invite

OWN_TABLES = [table for table in metadata.sorted_tables if "organization_id" in table.c]


def rows(store: Store) -> dict[str, dict[int, int]]:
    """How many rows each organization has in each table."""
    with store.read() as tx:
        return {
            table.name: {
                row[0]: row[1]
                for row in tx.execute(select(table.c.organization_id, func.count()).group_by(table.c.organization_id))
            }
            for table in OWN_TABLES
        }


def test_name_time_zone_and_hourly_cost(store: Store, acme: Organization, owner: Person) -> None:
    form = {"name": "Acme & Sons", "timezone": "Europe/Berlin", "hourly_cost": "87.50"}
    assert "days of all reports are being cut anew" in owner.send("organization", **form)
    row = rows_of(store, t.organizations)[0]
    assert (row.name, row.slug, row.timezone, row.hourly_cost_cents) == ("Acme & Sons", "acme", "Europe/Berlin", 8750)
    assert rows_of(store, t.rollup_checks)[0].rebuild_due
    assert "Acme &amp; Sons" in owner.get("organization")
    assert owner.send("organization", **(form | {"hourly_cost": ""})) == "Saved"
    assert rows_of(store, t.organizations)[0].hourly_cost_cents is None
    assert [entry[1:] for entry in audit_of(store, acme.id)[-2:]] == [
        ("organization.changed", "Acme"),
        ("organization.changed", "Acme & Sons"),
    ]


WRONG_VALUES = (
    ({"name": ""}, "1 to 100 characters"),
    ({"name": "x" * 101}, "1 to 100 characters"),
    ({"timezone": "Mars/Base"}, "is not a time zone"),
    ({"timezone": "America"}, "is not a time zone"),
    ({"hourly_cost": "much"}, "amount in dollars"),
)


def test_wrong_values(store: Store, owner: Person) -> None:
    for values, said in WRONG_VALUES:
        told = owner.send("organization", **({"name": "Acme", "timezone": "UTC", "hourly_cost": ""} | values))
        assert said in told, values
        assert rows_of(store, t.organizations)[0].name == "Acme"
    # Spaces are made one, so no mail has a second header.
    owner.send("organization", name="a\r\nBcc: x", timezone="UTC", hourly_cost="")
    assert rows_of(store, t.organizations)[0].name == "a Bcc: x"


def test_another_organization(app: Flask, store: Store, owner: Person) -> None:
    response = owner.post("organization/new", name="Umbrella")
    key = re.search(r"cl_[0-9a-f]{64}", response.text)
    assert key
    assert Caller(app, key[0]).get("/usage").status_code == 200
    assert 'href="/app/umbrella/repositories">Umbrella</a>' in owner.get("people")  # to switch
    umbrella = Person(owner.client, owner.email, "umbrella")
    assert "Acme" in umbrella.get("organization")
    assert "exists already" in owner.send("organization/new", name="UMBRELLA")
    assert "1 to 100 characters" in owner.send("organization/new", name=" ")
    assert len(rows_of(store, t.organizations)) == 2


def test_only_owners(owner: Person, admin: Person, member: Person) -> None:
    for path in ("organization/new", "organization/delete"):
        assert admin.post(path, name="Acme").status_code == 403
    assert "Delete" not in admin.get("organization")
    assert member.post("organization", name="Mine").status_code == 403
    member.get("organization", 403)


def test_deleted_with_everything_of_it(
    app: Flask, store: Store, shipped: Shipped, alice: Caller, charlie: Caller
) -> None:
    charlie.post("/integrations/run", {"provider": "openai", "model": "gpt-5.4", "tokensUsed": 5, "repo": "x/y"})
    owner = signed_in(app, store, "alice@example.com")
    invite(owner, team="1")
    owner.send("teams/1/members", member="1")
    before = rows(store)
    assert len([name for name, found in before.items() if found.get(1)]) > 15
    assert alice.get("/runs").status_code == 200

    assert "Type the name, Acme" in owner.send("organization/delete", name="acme")
    assert rows(store) == before
    response = owner.post("organization/delete", name="Acme")
    assert response.location == "/"
    assert rows(store) == {name: {one: n for one, n in found.items() if one != 1} for name, found in before.items()}
    assert alice.get("/runs").status_code == 401
    assert charlie.get("/runs").status_code == 200
    assert rows_of(store, t.team_members) == []
    assert [row.slug for row in rows_of(store, t.organizations)] == ["initech"]
    assert "not a member of any organization" in text_of(owner.client.get("/"))
    assert len(rows_of(store, t.users)) == 2
