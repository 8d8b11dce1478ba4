"""The table of permissions, and what a key may do at most."""

from __future__ import annotations

import pytest

from costlens.domain.access import PERMISSIONS, ROLES, SCOPES, Member, check_role, check_scopes, may, scopes_of
from costlens.domain.errors import Forbidden, InvalidInput


def test_each_role_may_what_the_next_one_may() -> None:
    held = {role: {name for name in PERMISSIONS if may(role, name)} for role in ROLES}
    assert held["owner"] > held["admin"] > held["member"] > set()
    assert held["owner"] == PERMISSIONS.keys()


def test_what_sets_the_roles_apart() -> None:
    assert {name for name in PERMISSIONS if may("owner", name) and not may("admin", name)} == {
        "manage_owners", "manage_sign_in", "manage_demo", "manage_linking", "create_organization",
        "delete_organization",
    }  # fmt: skip
    assert {name for name in PERMISSIONS if may("member", name)} == {
        "see_reports", "see_own_usage", "see_people", "leave", "manage_own_account", "use_keys", "correct_links",
    }  # fmt: skip


def test_a_refusal_says_what_and_whom_to_ask() -> None:
    bob = Member(1, 2, 3, "bob@example.com", "member")
    with pytest.raises(Forbidden, match="Only an owner or admin of the organization may see the audit log"):
        bob.must("see_audit_log")
    with pytest.raises(KeyError):
        bob.may("fly")


def test_roles_and_scopes_from_outside() -> None:
    assert check_role("admin") == "admin"
    with pytest.raises(InvalidInput):
        check_role("root")
    assert check_scopes(["read", "ingest"], "member") == "ingest read"
    assert check_scopes(["admin"], None) == check_scopes(["admin"], "owner") == "admin"
    for wrong in ([], ["fly"], ["ingest", ""]):
        with pytest.raises(InvalidInput):
            check_scopes(wrong, None)
    with pytest.raises(Forbidden):
        check_scopes(["ingest", "admin"], "member")
    assert scopes_of("admin") == scopes_of("owner") == SCOPES.keys()
