"""Teams, members, invitations, API keys, the audit log and the export over the API: the rights of who holds the key."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from costlens.config import Settings
from costlens.factory import equip
from costlens.services.keys import SCOPES, create_key
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.web.caller import Caller, error_of
from tests.web.conftest import WEB, Shipped
from tests.web.people import add_member, audit_of


def own_key(store: Store, email: str, organization: str = "Acme", **values: Any) -> str:
    """A personal key with all scopes, as far as the member's role allows."""
    return create_key(store, organization, "mine", member=email, scopes=" ".join(SCOPES), **values)


@pytest.fixture
def owner(app: Flask, store: Store, acme: Organization) -> Caller:
    return Caller(app, own_key(store, "alice@example.com"))


@pytest.fixture
def admin(app: Flask, store: Store, acme: Organization) -> Caller:
    """dora, an admin of Acme."""
    add_member(store, acme, "dora@example.com", "admin")
    return Caller(app, own_key(store, "dora@example.com"))


@pytest.fixture
def stranger(app: Flask, store: Store, charlie_key: str) -> Caller:
    """charlie, who owns another organization."""
    return Caller(app, own_key(store, "charlie@example.com", "Initech"))


def send(caller: Caller, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
    return caller.client.open(path, method=method, headers=caller.headers | headers, json=body)


def done(caller: Caller, method: str, path: str, body: Any = None, **headers: str) -> Any:
    response = send(caller, method, path, body, **headers)
    assert response.status_code == 200, response.text
    return response.json


def member_id(caller: Caller, email: str) -> int:
    return next(one["id"] for one in caller.json("/members")["members"] if one["email"] == email)


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_a_team(store: Store, shipped: Shipped, owner: Caller, bob_key: str, prefix: str) -> None:
    made = done(owner, "POST", f"{prefix}/teams", {"name": "  Check   out ", "hourlyCost": 87.5})["team"]
    assert made | {"id": 0} == {
        "id": 0, "name": "Check out", "hourlyCost": 87.5, "members": 0, "repositories": 0, "keys": 0,
    }  # fmt: skip
    path = f"{prefix}/teams/{made['id']}"
    bob = member_id(owner, "bob@example.com")
    assert done(owner, "PUT", f"{path}/members", {"members": [bob]})["members"] == [
        {"id": bob, "email": "bob@example.com", "name": None}
    ]
    assert done(owner, "PUT", f"{path}/repositories", {"repositories": [WEB.upper()]})["repositories"] == [WEB]
    changed = done(owner, "PUT", path, {"name": "Pay", "hourlyCost": None})
    assert (changed["team"]["name"], changed["team"]["hourlyCost"], changed["team"]["members"]) == ("Pay", None, 1)
    assert owner.json(path) == changed
    assert [team["name"] for team in owner.json(f"{prefix}/teams")["teams"]] == ["Pay", "Storefront"]
    assert done(owner, "DELETE", path) == {"success": True}
    error_of(owner.get(path), 404, "not_found")
    whole = audit_of(store, shipped.organization.id)
    told = [(who, what) for who, what, _ in whole if what.startswith("team.")]
    assert told == [
        ("alice@example.com", f"team.{what}")
        for what in ("created", "members_changed", "repositories_changed", "changed", "deleted")
    ]


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("", {"name": " "}, 400, "name"),
        ("", {"name": "x" * 81}, 400, "name"),
        ("", {"name": "storefront"}, 409, "name"),
        ("", {"name": "None"}, 409, "name"),
        ("", {"name": "A", "hourlyCost": 1.005}, 400, "hourlyCost"),
        ("", {"name": "A", "hourlyCost": -1}, 400, "hourlyCost"),
        ("", {"name": "A", "hourlyCost": 1e6}, 400, "hourlyCost"),
        ("", {"name": "A\0"}, 400, None),
        ("/1", {"name": "X", "hourly_cost": 95}, 400, None),
        ("/1/members", {"members": [999]}, 404, "members"),
        ("/1/repositories", {"repositories": ["acme/none"]}, 404, "repositories"),
    ],
)
def test_what_a_team_cannot_be(
    shipped: Shipped, owner: Caller, path: str, body: Any, status: int, field: str | None
) -> None:
    response = send(owner, "PUT" if path else "POST", f"/teams{path}", body)
    code = {400: "invalid_input", 404: "not_found", 409: "conflict"}[status]
    assert error_of(response, status, code).get("field") == field
    assert [team["name"] for team in owner.json("/teams")["teams"]] == ["Storefront"]


def test_members(store: Store, owner: Caller, admin: Caller, bob_key: str, acme: Organization) -> None:
    assert [(one["email"], one["role"]) for one in owner.json("/members")["members"]] == [
        ("alice@example.com", "owner"), ("dora@example.com", "admin"), ("bob@example.com", "member"),
    ]  # fmt: skip
    alice, bob = member_id(owner, "alice@example.com"), member_id(owner, "bob@example.com")
    error_of(send(admin, "PUT", f"/members/{bob}", {"role": "owner"}), 403, "forbidden")
    error_of(send(admin, "DELETE", f"/members/{alice}"), 403, "forbidden")
    error_of(send(owner, "DELETE", f"/members/{alice}"), 409, "conflict")
    error_of(send(owner, "PUT", f"/members/{alice}", {"role": "member"}), 409, "conflict")
    error_of(send(owner, "PUT", f"/members/{bob}", {"role": "god"}), 400, "invalid_input")
    assert done(admin, "PUT", f"/members/{bob}", {"role": "admin"})["member"]["role"] == "admin"
    assert ("dora@example.com", "member.role_changed", "bob@example.com") in audit_of(store, acme.id)
    done(admin, "DELETE", f"/members/{bob}")
    error_of(Caller(owner.client.application, bob_key).get("/usage"), 401, "unauthorized")
    done(admin, "DELETE", f"/members/{member_id(owner, 'dora@example.com')}")  # leaves
    error_of(admin.get("/members"), 401, "unauthorized")


def test_a_role_that_is_taken_takes_the_rights_of_its_keys(owner: Caller, admin: Caller) -> None:
    done(admin, "POST", "/teams", {"name": "One"})
    done(owner, "PUT", f"/members/{member_id(owner, 'dora@example.com')}", {"role": "member"})
    error_of(send(admin, "POST", "/teams", {"name": "Two"}), 403, "forbidden")
    assert admin.get("/members").status_code == 200


def test_invitations(store: Store, shipped: Shipped, owner: Caller, admin: Caller) -> None:
    body = {"emails": ["Eve@example.com", "alice@example.com"], "role": "admin", "team": "storefront", "days": 1}
    invited = done(admin, "POST", "/invitations", body)
    assert invited["members"] == ["alice@example.com"]
    (made,) = invited["invitations"]
    assert (made["email"], made["role"], made["team"], made["invitedBy"], made["state"]) == (
        "eve@example.com", "admin", "Storefront", "dora@example.com", "open",
    )  # fmt: skip
    assert owner.client.get(made["url"].replace("http://127.0.0.1:8787", "")).status_code == 200
    (listed,) = admin.json("/invitations")["invitations"]
    assert listed == {name: made[name] for name in made if name != "url"}  # a link is told to who makes it
    renewed = done(admin, "POST", f"/invitations/{made['id']}/renew")["invitation"]
    assert renewed["url"] == made["url"]
    assert renewed["expiresAt"] > made["expiresAt"]
    done(admin, "DELETE", f"/invitations/{made['id']}")
    assert admin.json("/invitations")["invitations"] == []
    error_of(send(admin, "POST", f"/invitations/{made['id']}/renew"), 404, "not_found")
    error_of(send(admin, "POST", "/invitations", {"emails": ["f@example.com"], "role": "owner"}), 403, "forbidden")
    for wrong in ({"emails": []}, {"emails": ["f@example.com", "not one"]}, {"emails": ["a@b.c"] * 101}):
        assert error_of(send(admin, "POST", "/invitations", wrong), 400, "invalid_input")["field"].startswith("emails")
    missing = {"emails": ["f@example.com"], "team": "none such"}
    assert error_of(send(admin, "POST", "/invitations", missing), 404, "not_found")["field"] == "team"
    assert admin.json("/invitations")["invitations"] == []


def test_a_key_is_told_once(app: Flask, store: Store, shipped: Shipped, owner: Caller) -> None:
    body = {"name": "CI", "shared": True, "team": "Storefront", "repo": WEB, "purpose": "staging", "scopes": ["ingest"],
            "days": 90}  # fmt: skip
    response = send(owner, "POST", "/api-keys", body, **{"Idempotency-Key": "once"})
    text, key = response.json["apiKey"], response.json["key"]
    assert response.headers["Cache-Control"] == "no-store"
    assert key["shown"] == f"{text[:11]}…{text[-4:]}"
    assert (key["member"], key["team"], key["repo"], key["purpose"], key["scopes"], key["state"]) == (
        None, "Storefront", WEB, "staging", ["ingest"], "active",
    )  # fmt: skip
    assert key["createdBy"] == "alice@example.com"
    run = {"provider": "openai", "model": "gpt-5.4", "tokensUsed": 5}
    assert Caller(app, text).post("/integrations/run", run).status_code == 200

    again = send(owner, "POST", "/api-keys", body, **{"Idempotency-Key": "once"})
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json == {"success": True, "key": key, "apiKey": None}
    with store.read() as tx:
        kept = tx.exec_driver_sql("SELECT body FROM idempotent_answers").scalar_one()
    assert text.encode() not in kept
    assert text not in owner.get("/api-keys").text + owner.get("/audit").text + owner.get("/export").text
    assert Counter(one["name"] for one in owner.json("/api-keys")["apiKeys"])["CI"] == 1


def test_a_link_is_told_once(store: Store, owner: Caller) -> None:
    body = {"emails": ["eve@example.com"]}
    first, again = (
        done(owner, "POST", "/invitations", body, **{"Idempotency-Key": "once"})["invitations"][0] for _ in range(2)
    )
    assert first["url"]
    assert again == first | {"url": None}


def test_a_key_from_the_first_call_to_the_last(app: Flask, store: Store, owner: Caller, acme: Organization) -> None:
    made = done(owner, "POST", "/api-keys", {"name": "Mine", "days": 30})
    assert (made["key"]["member"], made["key"]["scopes"]) == ("alice@example.com", ["ingest", "read"])
    program, path = Caller(app, made["apiKey"]), f"/api-keys/{made['key']['id']}"
    assert done(owner, "PUT", path, {"paused": True})["key"]["state"] == "paused"
    error_of(program.get("/usage"), 401, "unauthorized")
    assert done(owner, "PUT", path, {"paused": False})["key"]["state"] == "active"
    assert program.get("/usage").status_code == 200
    rotated = done(owner, "POST", f"{path}/rotate", {"overlapHours": 1})
    assert Caller(app, rotated["apiKey"]).get("/usage").status_code == program.get("/usage").status_code == 200
    error_of(send(owner, "POST", f"{path}/rotate", {}), 409, "conflict")
    done(owner, "DELETE", path)
    error_of(program.get("/usage"), 401, "unauthorized")
    error_of(send(owner, "DELETE", path), 409, "conflict")
    told = [what for _, what, subject in audit_of(store, acme.id) if subject == "Mine"]
    assert told == ["key.created", "key.paused", "key.resumed", "key.rotated", "key.revoked"]


def test_whose_keys_one_sees_and_changes(store: Store, owner: Caller, admin: Caller, bob: Caller) -> None:
    assert {one["member"] for one in bob.json("/api-keys")["apiKeys"]} == {"bob@example.com"}
    assert {one["member"] for one in admin.json("/api-keys")["apiKeys"]} == {
        "alice@example.com", "bob@example.com", "dora@example.com",
    }  # fmt: skip
    of = {one["member"]: one["id"] for one in admin.json("/api-keys")["apiKeys"]}
    error_of(send(admin, "DELETE", f"/api-keys/{of['alice@example.com']}"), 403, "forbidden")
    error_of(send(owner, "POST", f"/api-keys/{of['bob@example.com']}/rotate", {}), 403, "forbidden")
    error_of(send(bob, "DELETE", f"/api-keys/{of['bob@example.com']}"), 403, "forbidden")  # no scope admin
    done(admin, "DELETE", f"/api-keys/{of['bob@example.com']}")
    error_of(bob.get("/api-keys"), 401, "unauthorized")


@pytest.mark.parametrize(
    "body",
    [{}, {"name": ""}, {"name": "a", "scopes": []}, {"name": "a", "scopes": ["all"]}, {"name": "a", "days": 31},
     {"name": "a", "purpose": "fun"}, {"name": "a", "repo": "not a name"},
     {"name": "a", "team": ""}, {"name": "a", "team": "none"}, {"name": "a", "repo": ""}, {"name": "a", "repo": "none"},
     {"name": "a", "scope": ["ingest"]}, {"name": "a", "expires": 30}],
)  # fmt: skip
def test_what_a_key_cannot_be(owner: Caller, body: Any) -> None:
    error_of(send(owner, "POST", "/api-keys", body), 400, "invalid_input")


def test_keys_that_are_nobody_manage_nobody(app: Flask, store: Store, shipped: Shipped, owner: Caller) -> None:
    for text in (
        create_key(store, "Acme", "shared", scopes=" ".join(SCOPES)),
        own_key(store, "alice@example.com", team="Storefront"),
        own_key(store, "alice@example.com", purpose="production"),
    ):
        caller = Caller(app, text)
        assert caller.get("/teams").status_code == 200
        for method, path, body in (
            ("POST", "/teams", {"name": "A"}),
            ("DELETE", "/teams/1", None),
            ("PUT", "/members/1", {"role": "member"}),
            ("POST", "/invitations", {"emails": ["eve@example.com"]}),
            ("POST", "/api-keys", {"name": "A"}),
            ("DELETE", "/api-keys/1", None),
            ("GET", "/audit", None),
            ("GET", "/export", None),
        ):
            assert "personal key" in error_of(send(caller, method, path, body), 403, "forbidden")["error"]


def test_another_organization_cannot_be_reached(
    store: Store, shipped: Shipped, owner: Caller, stranger: Caller, bob_key: str
) -> None:
    made = done(owner, "POST", "/invitations", {"emails": ["eve@example.com"]})["invitations"][0]
    key = done(owner, "POST", "/api-keys", {"name": "CI", "shared": True})["key"]
    bob, (team,) = member_id(owner, "bob@example.com"), owner.json("/teams")["teams"]
    before = {path: owner.json(path) for path in ("/teams", "/members", "/invitations", "/api-keys")}
    for method, path, body in (
        ("GET", f"/teams/{team['id']}", None),
        ("PUT", f"/teams/{team['id']}", {"name": "Stolen"}),
        ("DELETE", f"/teams/{team['id']}", None),
        ("PUT", f"/teams/{team['id']}/members", {"members": []}),
        ("PUT", f"/teams/{team['id']}/repositories", {"repositories": []}),
        ("PUT", f"/members/{bob}", {"role": "owner"}),
        ("DELETE", f"/members/{bob}", None),
        ("POST", f"/invitations/{made['id']}/renew", None),
        ("DELETE", f"/invitations/{made['id']}", None),
        ("PUT", f"/api-keys/{key['id']}", {"paused": True}),
        ("POST", f"/api-keys/{key['id']}/rotate", {"overlapHours": 0}),
        ("DELETE", f"/api-keys/{key['id']}", None),
        ("POST", "/api-keys", {"name": "a", "team": "Storefront"}),
        ("POST", "/api-keys", {"name": "a", "repo": WEB}),
        ("POST", "/invitations", {"emails": ["eve@example.com"], "team": "Storefront"}),
    ):
        error_of(send(stranger, method, path, body), 404, "not_found")
    own = done(stranger, "POST", "/teams", {"name": "Storefront"})["team"]
    for path, body in (("members", {"members": [bob]}), ("repositories", {"repositories": [WEB]})):
        error_of(send(stranger, "PUT", f"/teams/{own['id']}/{path}", body), 404, "not_found")
    assert {path: owner.json(path) for path in before} == before
    for path in ("/members", "/invitations", "/api-keys", "/audit", "/export"):
        text = stranger.get(path).text
        assert "alice@" not in text
        assert "acme" not in text.lower()
    newest = owner.json("/audit")["entries"][0]["id"]
    assert "alice@" not in stranger.get(f"/audit?cursor={newest}").text


def test_lists_come_in_pages(owner: Caller) -> None:
    for name in ("A", "B", "C"):
        done(owner, "POST", "/teams", {"name": name})
    first = owner.json("/teams?limit=2")
    rest = owner.json(f"/teams?limit=2&cursor={first['nextCursor']}")
    assert [team["name"] for team in (*first["teams"], *rest["teams"])] == ["A", "B", "C"]
    assert rest["nextCursor"] is None
    for query in ("limit=0", "cursor=x"):
        error_of(owner.get(f"/members?{query}"), 400, "invalid_input")


def test_the_audit_log(store: Store, owner: Caller, acme: Organization) -> None:
    for name in ("A", "B", "C"):
        done(owner, "POST", "/teams", {"name": name})
    shown = owner.json("/audit?action=team.created&limit=2")
    assert [one["subject"] for one in shown["entries"]] == ["C", "B"]
    assert shown["entries"][0]["details"] == {"hourlyCostCents": None, "apiKey": "mine"}
    rest = owner.json(f"/audit?action=team.created&limit=2&cursor={shown['nextCursor']}")
    assert ([one["subject"] for one in rest["entries"]], rest["nextCursor"]) == (["A"], None)
    assert owner.json("/audit?actor=console&endDate=2020-01-01")["entries"] == []
    error_of(owner.get("/audit?startDate=x"), 400, "invalid_input")
    rows = list(csv.DictReader(io.StringIO(owner.get("/audit?format=csv&action=team.created").text)))
    assert [row["subject"] for row in rows] == ["C", "B", "A"]
    assert json.loads(owner.get("/audit?format=ndjson").text.splitlines()[0])["action"] == "audit_log.exported"


def lines_of(caller: Caller) -> list[dict[str, Any]]:
    response = caller.get("/api/export")
    assert (response.status_code, response.mimetype) == (200, "application/x-ndjson")
    return [json.loads(line) for line in response.text.splitlines()]


def test_the_export_has_everything(store: Store, shipped: Shipped, owner: Caller, bob: Caller) -> None:
    decided = bob.post(f"/runs/{shipped.ids['stray']}/links", {"action": "confirm", "prNumber": 1})
    assert decided.status_code == 200, decided.text
    price = {"provider": "openai", "model": "house", "rates": {"inputUncached": 2.5, "outputText": 10}}
    done(owner, "PUT", "/models/prices", price)
    done(owner, "POST", "/invitations", {"emails": ["eve@example.com"]})
    done(owner, "PUT", "/roi/assumptions", {"hourlyCost": 95, "seatsPerMonth": 1200})
    first, *lines, last = lines_of(owner)
    assert (first["type"], first["format"], first["organization"]["slug"]) == ("export", 1, "acme")
    assert (last["type"], last["counts"]) == ("end", dict(Counter(line["type"] for line in lines)) | {"report": 0})
    of: dict[str, list[dict[str, Any]]] = {kind: [] for kind in last["counts"]}
    for line in lines:
        of[line.pop("type")].append(line)
    assert of["run"] == owner.json("/runs?limit=1000")["runs"]
    assert of["link"] == owner.json("/links?limit=1000")["links"]
    assert of["team"] == owner.json("/teams")["teams"]
    assert of["member"] == owner.json("/members")["members"]
    assert of["apiKey"] == owner.json("/api-keys")["apiKeys"]
    assert of["price"] == owner.json("/models/prices")["prices"]
    assert of["invitation"] == owner.json("/invitations")["invitations"]
    assert of["auditEntry"] == owner.json("/audit?limit=1000")["entries"]
    assert of["auditEntry"][0]["action"] == "organization.exported"
    assert [(one["repo"], one["number"], one["outcome"]) for one in of["pullRequest"]] == [
        (WEB, 1, "merged"), (WEB, 2, "open"), (WEB, 3, "abandoned"),
    ]  # fmt: skip
    assert {one["sha"] for one in of["commit"]} == {letter * 40 for letter in "abc"}
    assert [(one["run"], one["pullRequest"], one["decidedBy"]) for one in of["decision"]] == [
        (shipped.ids["stray"], 1, "bob@example.com")
    ]
    assert of["assumptions"][0]["team"] is None
    assert {each["value"] for one in of["person"] for each in one["identities"]} >= {"alice", "bob"}


def test_the_export_comes_in_pages(
    store: Store, shipped: Shipped, owner: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [line for line in lines_of(owner) if line["type"] not in ("export", "end", "auditEntry")]
    for module in ("exports", "whole", "audit"):
        monkeypatch.setattr(f"costlens.services.{module}.PAGE", 2)
    assert [line for line in lines_of(owner) if line["type"] not in ("export", "end", "auditEntry")] == whole


def test_an_export_that_fails_has_no_end(store: Store, shipped: Shipped, owner: Caller) -> None:
    parts = owner.get("/export").iter_encoded()
    text = next(parts) + next(parts)
    with store.write() as tx:
        tx.exec_driver_sql("ALTER TABLE links RENAME TO gone")
    found: list[bytes] = []
    with pytest.raises(RuntimeError, match="ended early"):
        found.extend(parts)
    text += b"".join(found)
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(text.splitlines()[-1])
    with store.write() as tx:
        tx.exec_driver_sql("ALTER TABLE gone RENAME TO links")  # the database is the next test's too


TOKEN = "a-token-of-the-tests"


@pytest.fixture
def watched(app: Flask, settings: Settings) -> Flask:
    """The application with metrics on."""
    app.extensions["costlens"].store.close()
    equip(app, replace(settings, metrics_token=TOKEN))
    return app


def test_metrics_are_off_at_first(app: Flask, owner: Caller) -> None:
    error_of(owner.get("/metrics"), 404, "not_found")


def test_metrics(watched: Flask, shipped: Shipped, owner: Caller) -> None:
    for caller in (owner, Caller(watched, None), Caller(watched, TOKEN[:-1])):
        error_of(caller.get("/metrics"), 401, "unauthorized")
    for path in ("/metrics", "/api/metrics"):
        response = Caller(watched, TOKEN).get(path)
        assert response.content_type == "text/plain; version=0.0.4; charset=utf-8"
        values = dict(line.rsplit(" ", 1) for line in response.text.splitlines() if not line.startswith("#"))
        assert float(values["costlens_runs"]) == len(shipped.ids)
        assert float(values["costlens_organizations"]) == 1
        assert float(values["costlens_queue_up"]) == 0
        assert "acme" not in response.text.lower()
        families = [line.split()[2] for line in response.text.splitlines() if line.startswith("# TYPE")]
        assert len(families) == len(set(families))
        assert {name.partition("{")[0] for name in values} == set(families)
