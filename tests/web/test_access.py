"""Who may see what, tried on every route of the URL map: a route without a rule in access_rules.py fails."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from costlens.services.keys import SCOPES, create_key, revoke_key
from costlens.services.organizations import sign_in_link
from costlens.store import tables as t
from costlens.store.engine import Store
from tests.web.access_rules import ABSENT, API, AWAY, NARROWED, OPEN, PAGES, PERSONAL, SIGNED_IN
from tests.web.caller import Caller, error_of, stored
from tests.web.conftest import PERIOD, WEB, Shipped

# What only Acme has: none of it may be in an answer to charlie.
SECRETS = re.compile(
    r"acme/web|Storefront|Sign in by link|write-v2|failed-search|alice@example|feat/login", re.IGNORECASE
)


def name_of(rule: Rule) -> str:
    """The endpoint without the prefix that tells `/x` from `/api/x`."""
    return re.sub(r"^api(_api)?_", "", rule.endpoint)


def rules(app: Flask) -> list[tuple[Rule, str]]:
    """Every route with its method."""
    return [
        (rule, method) for rule in app.url_map.iter_rules() for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    ]


def is_page(rule: Rule) -> bool:
    return rule.rule.startswith("/app/<slug>")


VALUES = {"prompt_id": "write-v2", "owner": "acme", "repo": "web", "repository": "acme/web", "hook_id": "none"}


def path_of(rule: Rule, *, number: str = "1", **values: str) -> str:
    """The path of a rule, with this for each number that is not given."""
    numbers = {name: number for kind, name in re.findall(r"<(\w+):(\w+)>", rule.rule) if kind == "int"}
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: (VALUES | numbers | values)[found[1]], rule.rule)


def call(caller: Caller, method: str, path: str) -> TestResponse:
    return caller.client.open(path, method=method, headers=caller.headers, json={} if method != "GET" else None)


def signed_in(app: Flask, store: Store, email: str) -> FlaskClient:
    client = app.test_client()
    assert client.get(f"/sign-in/{sign_in_link(store, email)}").status_code == 302
    return client


def visitor(app: Flask, store: Store, who: str) -> FlaskClient:
    """A browser of alice (owner), bob (admin or member), charlie (stranger) or nobody."""
    if who == "nobody":
        return app.test_client()
    if who == "admin":
        with store.write() as tx:
            tx.execute(update(t.members).where(t.members.c.role == "member").values(role="admin"))
    names = {"owner": "alice", "admin": "bob", "member": "bob", "stranger": "charlie"}
    return signed_in(app, store, f"{names[who]}@example.com")


def keeper_key(store: Store, organization: str, email: str) -> str:
    """The personal key of a member, with all scopes."""
    return create_key(store, organization, "all of mine", member=email, scopes=" ".join(SCOPES))


def _expired(store: Store, _: str) -> str:
    text = create_key(store, "Acme", "expired")
    with store.write() as tx:
        past = datetime.now(UTC) - timedelta(seconds=1)
        tx.execute(update(t.api_keys).where(t.api_keys.c.name == "expired").values(expires_at=past))
    return text


def _revoked(store: Store, _: str) -> str:
    text = create_key(store, "Acme", "revoked")
    revoke_key(store, "Acme", text)
    return text


# Every kind of key: from the store and bob's own key to the text of one.
KEYS: dict[str, Callable[[Store, str], str]] = {
    "only ingest": lambda store, _: create_key(store, "Acme", "one", scopes="ingest"),
    "only read": lambda store, _: create_key(store, "Acme", "one", scopes="read"),
    "only admin": lambda store, _: create_key(store, "Acme", "one", scopes="admin"),
    "all scopes": lambda store, _: create_key(store, "Acme", "all", scopes=" ".join(SCOPES)),
    "personal": lambda _, bobs: bobs,
    "an owner's": lambda store, _: keeper_key(store, "Acme", "alice@example.com"),
    "an owner's for production": lambda store, _: create_key(
        store, "Acme", "hers", member="alice@example.com", scopes=" ".join(SCOPES), purpose="production"
    ),
    "of a team": lambda store, _: create_key(store, "Acme", "team's", team="Storefront"),
    "for production": lambda store, _: create_key(store, "Acme", "live", purpose="production"),
    "expired": _expired,
    "revoked": _revoked,
    "of no server": lambda *_: f"cl_{'0' * 64}",
    "cut short": lambda _, bobs: bobs[:-1],
    "in capitals": lambda _, bobs: bobs.upper(),
}
HELD_BY_A_MEMBER = {"personal", "an owner's", "an owner's for production"}
BOUND = {"an owner's for production"}
NO_LONGER_VALID = {"expired", "revoked", "of no server", "cut short", "in capitals"}
SCOPES_OF = {
    "only ingest": {"ingest"},
    "only read": {"read"},
    "only admin": {"admin"},
    "all scopes": set(SCOPES),
    "an owner's": set(SCOPES),
    "an owner's for production": set(SCOPES),
}  # others have ingest and read


def test_every_route_has_a_rule(app: Flask) -> None:
    tables = (API.keys(), PAGES.keys(), OPEN.keys(), SIGNED_IN)
    assert sorted({name_of(rule) for rule, _ in rules(app)}) == sorted(name for table in tables for name in table)
    assert {name_of(rule) for rule, _ in rules(app) if is_page(rule)} == PAGES.keys()


def test_every_route_of_the_api_answers_under_both_prefixes(app: Flask) -> None:
    paths = {(rule.rule, method) for rule, method in rules(app) if name_of(rule) in API}
    plain = {(path, method) for path, method in paths if not path.startswith("/api/")}
    assert plain
    assert paths - plain == {(f"/api{path}", method) for path, method in plain}


def test_without_a_key(app: Flask, store: Store, nobody: Caller, shipped: Shipped) -> None:
    before = stored(store)
    for rule, method in rules(app):
        if name_of(rule) in API:
            path = path_of(rule, run_id=shipped.ids["login"])
            body = error_of(call(nobody, method, path), 401, "unauthorized")
            assert body["error"] == "Unauthorized - Invalid API key", path
    assert stored(store) == before


@pytest.mark.parametrize("kind", KEYS)
def test_with_every_kind_of_key(app: Flask, store: Store, shipped: Shipped, bob_key: str, kind: str) -> None:
    caller = Caller(app, KEYS[kind](store, bob_key))
    before = stored(store)
    for rule, method in rules(app):
        needed = API.get(name_of(rule))
        if needed is None:
            continue
        name = name_of(rule)
        # What is there shall stay: these change what they name.
        number = "999" if name in PERSONAL else "1"
        response = call(caller, method, path_of(rule, number=number, run_id=shipped.ids["login"]))
        if kind in NO_LONGER_VALID:
            error_of(response, 401, "unauthorized")
        elif name in PERSONAL and (kind not in HELD_BY_A_MEMBER or (kind in BOUND and needed == {"admin"})):
            error_of(response, 403, "forbidden")
        elif needed <= SCOPES_OF.get(kind, {"ingest", "read"}):
            usual = (200, 400, ABSENT.get(name), 503 if name in AWAY else 200)
            assert response.status_code in usual, (rule.rule, response.text)  # {} is no run
        else:
            error_of(response, 403, "forbidden")
    assert stored(store) == before


def test_another_organizations_key_sees_nothing(app: Flask, store: Store, shipped: Shipped, charlie_key: str) -> None:
    alice = Caller(app, keeper_key(store, "Acme", "alice@example.com"))
    charlie = Caller(app, keeper_key(store, "Initech", "charlie@example.com"))
    queries = ("", f"?{PERIOD}", f"?{PERIOD}&limit=100", f"?run={shipped.ids['login']}", "?timezone=UTC&days=1000")
    visible = 0
    for rule, method in rules(app):
        if name_of(rule) not in API or method != "GET":
            continue
        for query in queries:
            path = path_of(rule, run_id=shipped.ids["login"]) + query
            visible += bool(SECRETS.search(alice.get(path).text))
            answer = charlie.get(path)
            assert answer.status_code in (200, 404, 503 if name_of(rule) in AWAY else 200), path
            assert not SECRETS.search(answer.text), (path, answer.text)
    assert visible > 20  # the same paths show alice what charlie must not see


def test_another_organizations_run_cannot_be_told_from_none(shipped: Shipped, charlie: Caller) -> None:
    answers = []
    for run in (shipped.ids["login"], "run_0000000000000"):
        for response in (
            charlie.get(f"/runs/{run}"),
            charlie.post(f"/runs/{run}/links", {"action": "confirm", "prNumber": 1, "repo": WEB}),
            charlie.post(f"/runs/{run}/links", {"action": "reject", "prNumber": 1}),
        ):
            body = error_of(response, 404, "not_found")
            answers.append({name: body[name] for name in body if name != "requestId"})
    assert answers[:3] == answers[3:]


@pytest.mark.parametrize("query", [f"repo={quote(WEB)}", "team=Storefront", "team=storefront"])
def test_another_organizations_names_are_unknown(app: Flask, shipped: Shipped, charlie: Caller, query: str) -> None:
    for rule, _ in rules(app):
        if name_of(rule) in NARROWED:
            error_of(charlie.get(f"{path_of(rule)}?{query}"), 404, "not_found")


def test_the_same_names_are_two_things_in_two_organizations(shipped: Shipped, alice: Caller, charlie: Caller) -> None:
    call = {"provider": "openai", "model": "gpt-5.4", "tokensUsed": 5, "repo": WEB, "requestId": "login"}
    assert charlie.post("/integrations/run", call).json["run"]["id"] != shipped.ids["login"]
    assert len(charlie.json(f"/runs?repo={quote(WEB)}")["runs"]) == 1
    assert charlie.json("/links")["links"] == []
    assert len(alice.json("/runs")["runs"]) == len(shipped.ids)


def test_members_of_one_organization_see_the_same(shipped: Shipped, alice: Caller, bob: Caller) -> None:
    for path in ("/runs", "/links", f"/roi/repositories?{PERIOD}", f"/runs/{shipped.ids['login']}"):
        assert alice.json(path) == bob.json(path)


@pytest.mark.parametrize("who", ["owner", "admin", "member", "stranger", "nobody"])
def test_pages(app: Flask, store: Store, shipped: Shipped, bob_key: str, charlie_key: str, who: str) -> None:
    client = visitor(app, store, who)
    slug = shipped.organization.slug
    tried = 0
    for rule, method in rules(app):
        if not is_page(rule):
            continue
        page = PAGES[name_of(rule)]
        tried += 1
        absent, found = (
            client.open(
                path_of(rule, slug=name, run_id=shipped.ids["login"], number="999"),
                method=method,
                data=dict(page.form),
            )
            for name in ("no-such-organization", slug)
        )
        where = (method, rule.rule, found.text[:300])
        if who == "nobody":
            assert (found.status_code, found.location) == (absent.status_code, absent.location) == (302, "/sign-in"), (
                where
            )
        elif who == "stranger":
            assert found.status_code == absent.status_code == 404, where
            assert found.mimetype == "text/html"
            assert not SECRETS.search(found.text), where
        else:
            assert absent.status_code == 404, where
            assert found.status_code == (page.status if who in page.roles else 403), where
            if page.ends:
                client = visitor(app, store, who)
    assert tried >= len(PAGES)


def test_what_is_for_the_signed_in_of_any_organization(app: Flask, store: Store, charlie_key: str) -> None:
    for rule, method in rules(app):
        if name_of(rule) in SIGNED_IN:
            response = app.test_client().open(rule.rule, method=method)
            assert (response.status_code, response.location) == (302, "/sign-in"), rule.rule
            assert signed_in(app, store, "charlie@example.com").open(rule.rule, method=method).status_code == 200


def test_pages_do_not_take_a_key(app: Flask, shipped: Shipped, alice: Caller) -> None:
    response = alice.get(f"/app/{shipped.organization.slug}/runs")
    assert (response.status_code, response.location) == (302, "/sign-in")


def test_the_api_does_not_take_a_session(app: Flask, store: Store, shipped: Shipped) -> None:
    client = signed_in(app, store, "alice@example.com")
    for rule, method in rules(app):
        if name_of(rule) in API:
            response = client.open(path_of(rule, run_id=shipped.ids["login"]), method=method)
            error_of(response, 401, "unauthorized")


def test_ids_of_another_organization_on_ones_own_pages(
    app: Flask, store: Store, shipped: Shipped, charlie_key: str
) -> None:
    client = signed_in(app, store, "charlie@example.com")
    assert client.get(f"/app/initech/runs/{shipped.ids['login']}").status_code == 404
    for page in ("runs", "pulls", "repositories", "teams"):
        for name in ("repository", "team", "pull"):
            response = client.get(f"/app/initech/{page}?{name}=1&period=12m", follow_redirects=True)
            assert response.status_code == 200
            assert not SECRETS.search(response.text), (page, name)


def test_a_member_who_left_sees_nothing(app: Flask, store: Store, shipped: Shipped, bob_key: str) -> None:
    client = signed_in(app, store, "bob@example.com")
    page = f"/app/{shipped.organization.slug}/repositories"
    assert client.get(page).status_code == 200
    with store.write() as tx:
        tx.exec_driver_sql("UPDATE api_keys SET member_id = NULL WHERE name = 'bob''s'")
        tx.exec_driver_sql("DELETE FROM members WHERE role = 'member'")
    assert client.get(page).status_code == 404
