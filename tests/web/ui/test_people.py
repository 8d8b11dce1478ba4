"""Members and their roles: what who may change, and that it holds at once."""

from __future__ import annotations

import threading

from flask import Flask

from costlens.domain.access import Member
from costlens.domain.errors import CostLensError
from costlens.services import members
from costlens.services.keys import create_key
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.web.caller import Caller
from tests.web.people import Person, add_member, audit_of, rows_of, signed_in, text_of


def id_of(store: Store, email: str) -> int:
    user = next(row.id for row in rows_of(store, t.users) if row.email == email)
    return next(row.id for row in rows_of(store, t.members) if row.user_id == user)


def role_of(store: Store, email: str) -> str:
    return next(str(row.role) for row in rows_of(store, t.members) if row.id == id_of(store, email))


def test_members_are_listed_owners_first(owner: Person, admin: Person, member: Person) -> None:
    page = member.get("people")
    at = [page.index(f"{name}@example.com") for name in ("alice", "dora")]
    assert at == sorted(at)
    assert "Save" not in page  # a member changes nothing
    assert owner.get("people").count("Save") == 2


def test_a_role_changes_at_once(store: Store, acme: Organization, owner: Person, member: Person) -> None:
    assert member.client.get("/app/acme/settings/audit").status_code == 403
    assert owner.send(f"people/{id_of(store, 'bob@example.com')}/role", role="admin") == "bob@example.com is admin now"
    member.get("audit")
    owner.send(f"people/{id_of(store, 'bob@example.com')}/role", role="member")
    assert member.client.get("/app/acme/settings/audit").status_code == 403
    changes = ("alice@example.com", "member.role_changed", "bob@example.com")
    assert audit_of(store, acme.id)[-2:] == [changes, changes]


def test_removal_ends_access_at_once(
    app: Flask, store: Store, acme: Organization, owner: Person, member: Person
) -> None:
    caller = Caller(app, create_key(store, "Acme", "bob's", member="bob@example.com"))
    assert caller.get("/runs").status_code == 200
    assert member.client.get("/app/acme/runs").status_code == 200
    said = owner.send(f"people/{id_of(store, 'bob@example.com')}/remove")
    assert said.startswith("bob@example.com was removed")
    assert caller.get("/runs").status_code == 401
    assert member.client.get("/app/acme/runs").status_code == 404
    assert "not a member of any organization" in text_of(member.client.get("/"))
    assert audit_of(store, acme.id)[-1][1:] == ("member.removed", "bob@example.com")


def test_the_last_owner_stays(store: Store, owner: Person, admin: Person) -> None:
    alice = id_of(store, "alice@example.com")
    assert "The last owner stays owner" in owner.send(f"people/{alice}/role", role="admin")
    assert "The last owner cannot leave" in owner.send(f"people/{alice}/remove")
    assert "the last owner stays" in owner.get("people")
    owner.send(f"people/{id_of(store, 'dora@example.com')}/role", role="owner")
    assert owner.post(f"people/{alice}/remove").location == "/"
    assert owner.client.get("/app/acme/settings/people").status_code == 404
    assert role_of(store, "dora@example.com") == "owner"


def test_an_admin_changes_no_owner(store: Store, owner: Person, admin: Person, member: Person) -> None:
    alice, dora, bob = (id_of(store, f"{name}@example.com") for name in ("alice", "dora", "bob"))
    for target, role in ((alice, "member"), (bob, "owner"), (dora, "owner")):
        assert admin.post(f"people/{target}/role", role=role).status_code == 403
    assert admin.post(f"people/{alice}/remove").status_code == 403
    assert admin.send(f"people/{bob}/role", role="admin") == "bob@example.com is admin now"


def test_a_member_removes_nobody_but_may_leave(store: Store, owner: Person, admin: Person, member: Person) -> None:
    assert member.post(f"people/{id_of(store, 'dora@example.com')}/remove").status_code == 403
    assert member.post(f"people/{id_of(store, 'bob@example.com')}/remove").location == "/"
    assert member.client.get("/app/acme/runs").status_code == 404


def test_members_of_another_organization_are_unknown(app: Flask, store: Store, owner: Person, charlie_key: str) -> None:
    charlie = id_of(store, "charlie@example.com")
    assert owner.send(f"people/{charlie}/role", role="member") == "No such member"
    assert owner.post(f"people/{charlie}/remove").status_code == 404
    stranger = signed_in(app, store, "charlie@example.com")
    for path in (f"people/{charlie}/role", f"people/{charlie}/remove"):
        assert stranger.post(path, role="member").status_code == 404  # on Acme's pages
    assert role_of(store, "charlie@example.com") == "owner"
    assert "role is one of" in owner.send(f"people/{id_of(store, 'alice@example.com')}/role", role="root")


def test_two_owners_who_step_down_at_once(store: Store, acme: Organization) -> None:
    add_member(store, acme, "dora@example.com", "owner")
    ids = {name: id_of(store, f"{name}@example.com") for name in ("alice", "dora")}
    users = {row.id: row.user_id for row in rows_of(store, t.members)}
    failed: list[CostLensError] = []
    start = threading.Barrier(2)

    def step_down(name: str) -> None:
        who = Member(acme.id, ids[name], users[ids[name]], f"{name}@example.com", "owner")
        start.wait()
        try:
            members.change_role(store, who, ids[name], "member")
        except CostLensError as error:
            failed.append(error)

    threads = [threading.Thread(target=step_down, args=(name,)) for name in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failed) == 1
    assert sorted(role_of(store, f"{name}@example.com") for name in ids) == ["member", "owner"]
