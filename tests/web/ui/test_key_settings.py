"""API keys on their page: made once, bound, rotated, paused and revoked."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from flask import Flask
from sqlalchemy import update

from costlens.config import Settings
from costlens.factory import create_app
from costlens.services import keys as key_service
from costlens.services.organizations import sign_in_link
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.web.caller import Caller
from tests.web.people import Person, audit_of, rows_of, signed_in, text_of

RUN = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1000, "outputTokens": 100}
FORM = {"name": "laptop", "kind": "personal", "scope": ["ingest", "read"], "purpose": "development", "days": ""}


def made(person: Person, **values: object) -> str:
    """The text of a new key, from the page that shows it once."""
    response = person.post("keys/new", **(FORM | values))
    assert response.status_code == 200, text_of(response)
    assert response.headers["Cache-Control"] == "no-store"
    return shown(response.text)


def shown(page: str) -> str:
    found = set(re.findall(r"cl_[0-9a-f]{64}", page))
    assert len(found) == 1
    return found.pop()


def last_key(store: Store) -> int:
    return int(rows_of(store, t.api_keys)[-1].id)


def status(app: Flask, key: str, path: str = "/runs") -> int:
    return Caller(app, key).get(path).status_code


def test_a_key_is_shown_once(app: Flask, store: Store, acme: Organization, member: Person) -> None:
    key = made(member)
    assert status(app, key) == 200
    page = member.get("keys")
    assert key not in page
    assert f"{key[:11]}…{key[-4:]}" in page
    assert "never" in page
    assert audit_of(store, acme.id)[-1] == ("bob@example.com", "key.created", "laptop")
    row = rows_of(store, t.api_keys)[-1]
    assert (row.created_by, row.scopes, row.purpose, row.expires_at) == ("bob@example.com", "ingest read", None, None)
    Caller(app, key).post("/integrations/run", RUN)
    assert "just now" in member.get("keys")


def test_what_a_key_is_bound_to_holds_for_its_runs(app: Flask, store: Store, owner: Person, alice_key: str) -> None:
    Caller(app, alice_key).post("/integrations/run", RUN | {"repo": "acme/web"})
    owner.send("teams", name="Payments")
    team, repository = rows_of(store, t.teams)[0].id, rows_of(store, t.repositories)[0].id
    key = made(owner, kind="shared", team=team, repository=repository, purpose="production", days="90")
    caller = Caller(app, key)
    for body, expected in ((RUN, repository), (RUN | {"repo": "acme/other"}, repository + 1)):
        assert caller.post("/integrations/run", body).status_code == 200
        run = rows_of(store, t.runs)[-1]
        assert (run.team_id, run.repository_id, run.person_id, run.code) == (team, expected, None, False)
    left = rows_of(store, t.api_keys)[-1].expires_at - datetime.now(UTC)
    assert timedelta(days=89) < left <= timedelta(days=90)
    page = owner.get("keys")
    assert "Payments · acme/web · production" in re.sub(r"\s+", " ", page)


def test_scopes(app: Flask, owner: Person) -> None:
    key = made(owner, scope=["ingest"])
    assert status(app, key) == 403
    assert Caller(app, key).post("/integrations/run", RUN).status_code == 200


def test_rotation_leaves_time_to_change_programs(app: Flask, store: Store, owner: Person) -> None:
    old = made(owner, scope=["read"], days="30")
    number = last_key(store)
    response = owner.post(f"keys/{number}/rotate", overlap="24")
    assert "The old key ends in a day" in text_of(response)
    new = shown(response.text)
    assert (status(app, old), status(app, new)) == (200, 200)
    before, after = rows_of(store, t.api_keys)[-2:]
    assert before.rotated_to == after.id
    assert timedelta(hours=23) < before.expires_at - datetime.now(UTC) <= timedelta(days=1)
    assert (after.scopes, after.name) == ("read", "laptop")
    assert "rotated already" in owner.send(f"keys/{number}/rotate", overlap="24")
    with store.write() as tx:
        tx.execute(update(t.api_keys).where(t.api_keys.c.id == before.id).values(expires_at=datetime.now(UTC)))
    key_service.forget_trusted(store)
    assert (status(app, old), status(app, new)) == (401, 200)
    assert "expired" in owner.get("keys")
    assert status(app, shown(owner.post(f"keys/{after.id}/rotate", overlap="0").text)) == 200
    assert status(app, new) == 401
    assert "works on for" in owner.send(f"keys/{last_key(store)}/rotate", overlap="12")


def test_a_paused_key_is_refused_until_it_is_resumed(
    app: Flask, store: Store, acme: Organization, owner: Person
) -> None:
    key = made(owner)
    assert status(app, key) == 200
    assert "is paused" in owner.send(f"keys/{last_key(store)}/pause")
    answer = Caller(app, key).get("/runs")
    assert (answer.status_code, answer.json["error"]) == (401, "Unauthorized - This API key is paused")
    assert "works again" in owner.send(f"keys/{last_key(store)}/resume")
    assert status(app, key) == 200
    assert [entry[1] for entry in audit_of(store, acme.id)[-2:]] == ["key.paused", "key.resumed"]


def test_a_revoked_key_is_refused_by_another_process_at_once(settings: Settings, store: Store, owner: Person) -> None:
    """Another process with a copy of the application trusts the key, and refuses it with its next call."""
    key = made(owner)
    script = (
        "import os, sys\n"
        "from costlens.factory import create_app\n"
        "from costlens.services import keys\n"
        "keys._TRUST_SECONDS = 3600.0\n"
        "client = create_app().test_client()\n"
        "for line in sys.stdin:\n"
        "    answer = client.get('/runs', headers={'Authorization': 'Bearer ' + line.strip()})\n"
        "    print(answer.status_code, flush=True)\n"
    )
    env = {
        "COSTLENS_DATA": str(settings.data),
        "DATABASE_URL": settings.database_url,
        "COSTLENS_SECRET_KEY": settings.secret_key,
    }
    with subprocess.Popen(
        (sys.executable, "-c", script), env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None

        def answer() -> str:
            print(key, file=other.stdin, flush=True)
            return str(other.stdout.readline().strip()) if other.stdout else ""

        assert (answer(), answer()) == ("200", "200")
        assert "is revoked" in owner.send(f"keys/{last_key(store)}/revoke")
        assert answer() == "401"
        other.stdin.close()
    assert "ended already" in owner.send(f"keys/{last_key(store)}/revoke")


def test_a_member_sees_and_changes_only_own_keys(app: Flask, store: Store, owner: Person, member: Person) -> None:
    secret = made(owner, name="alice's own")
    number = last_key(store)
    made(member, name="mine")
    page = member.get("keys")
    assert "mine" in page
    assert "alice" not in page
    assert "First key" not in page
    for what in ("rotate", "pause", "resume", "revoke"):
        assert member.send(f"keys/{number}/{what}", overlap="0") == "No such key"
    assert status(app, secret) == 200
    assert member.post("keys/new", **(FORM | {"kind": "shared"})).status_code == 403
    assert member.post("keys/new", **(FORM | {"scope": ["admin"]})).status_code == 403
    assert "admin: change settings" not in member.get("keys/new")


def test_who_manages_keys_never_learns_those_of_others(
    app: Flask, store: Store, owner: Person, admin: Person, member: Person
) -> None:
    key = made(member)
    bobs = last_key(store)
    assert "bob@example.com" in admin.get("keys")
    assert admin.post(f"keys/{bobs}/rotate", overlap="24").status_code == 403
    admin.send(f"keys/{bobs}/revoke")
    assert status(app, key) == 401
    made(owner)
    assert admin.post(f"keys/{last_key(store)}/revoke").status_code == 403  # an owner's


def test_keys_of_another_organization(app: Flask, store: Store, owner: Person, charlie_key: str) -> None:
    key = made(owner)
    number = last_key(store)
    owner.send("teams", name="Payments")
    charlie = signed_in(app, store, "charlie@example.com", "initech")
    for what in ("rotate", "pause", "revoke"):
        assert charlie.send(f"keys/{number}/{what}", overlap="0") == "No such key"
    assert status(app, key) == 200
    for field in ("team", "repository"):
        response = charlie.post("keys/new", **(FORM | {field: "1"}))
        assert (response.status_code, f"No such {field}" in text_of(response)) == (400, True)


WRONG_VALUES_KEEP_THE_FORM: tuple[tuple[dict[str, object], str], ...] = (
    ({"name": ""}, "A key: a name has"),
    ({"purpose": "fun"}, "purpose is one of"),
    ({"days": "7"}, "A key lives 30"),
    ({"scope": []}, "scopes are some of"),
    ({"scope": ["fly"]}, "scopes are some of"),
)


def test_wrong_values_keep_the_form(store: Store, owner: Person) -> None:
    before = last_key(store)
    for values, said in WRONG_VALUES_KEEP_THE_FORM:
        response = owner.post("keys/new", **(FORM | {"name": "my laptop"} | values))
        assert (response.status_code, last_key(store)) == (400, before)
        assert said in text_of(response)
        assert values.get("name") == "" or 'value="my laptop"' in response.text


def test_snippets_name_this_server(settings: Settings, owner: Person) -> None:
    response = owner.post("keys/new", **FORM)
    assert settings.base_url in response.text
    assert re.findall(r'aria-label="(curl|Python|Node)"', response.text) == ["curl", "Python", "Node"]


def test_a_form_of_another_server_name(settings: Settings, store: Store, acme: Organization) -> None:
    """The host that a caller names is in no link and no snippet."""
    app = create_app(replace(settings, base_url="http://costlens.example"))
    client = app.test_client()
    link = f"/sign-in/{sign_in_link(store, 'alice@example.com')}"
    assert client.get(link, base_url="http://evil.example").location == "/"
    page = client.post("/app/acme/settings/keys/new", data=FORM, base_url="http://evil.example")
    assert "http://costlens.example/integrations/run" in page.text
    assert "evil.example" not in page.text
