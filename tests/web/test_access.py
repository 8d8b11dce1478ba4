"""Who may see what, tried on every route of the URL map: a route without a rule here fails."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from costlens.services.keys import SCOPES, create_key
from costlens.services.organizations import sign_in_link
from costlens.store.engine import Store
from tests.web.caller import Caller, error_of, stored
from tests.web.conftest import PERIOD, WEB, Shipped

# The scopes that each route of the API asks for.
SCOPES_OF = {
    "integrations.track_run": {"ingest"},
    "integrations.track_batch": {"ingest"},
    "analytics.get_overview": {"read"},
    "analytics.get_usage": {"read"},
    "runs.list_runs": {"read"},
    "runs.get_run": {"read"},
    "runs.decide": {"read", "ingest"},
    "runs.list_links": {"read"},
    "roi.get_repositories": {"read"},
    "roi.get_teams": {"read"},
    "roi.get_pull_requests": {"read"},
}
# Routes that are open to anybody, each with the reason.
OPEN = {
    "static": "the pages' own files",
    "health.get_health": "says only that the process is alive",
    "health.get_ready": "says only whether runs can be stored",
    "accounts.home": "redirects to sign-in",
    "accounts.sign_in": "where signing in begins",
    "accounts.use_link": "the token is the secret",
    "accounts.sign_out": "ends the caller's own session",
    "accounts.set_up_form": "the token is the secret",
    "accounts.set_up": "the token is the secret",
    "webhooks.github": "the signature is the secret",
}
# Pages that do not answer 200 to alice here: forms and answers of GitHub without what they need.
BARE = {
    "github.created": 400,
    "github.connect_token": 400,
    "github.choose": 303,
    "github.installed": 404,
    "github.look_again": 404,
    "github.assign": 404,
    "github.read_again": 404,
    "github.change_secret": 404,
    "github.disconnect": 404,
}

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
    return rule.rule.startswith("/app/<slug>/")


def path_of(rule: Rule, **values: str) -> str:
    known = {"source_id": "1", "hook_id": "none"} | values
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: known[found[1]], rule.rule)


def call(caller: Caller, method: str, path: str) -> TestResponse:
    return caller.client.open(path, method=method, headers=caller.headers, json={} if method != "GET" else None)


def signed_in(app: Flask, store: Store, email: str) -> FlaskClient:
    client = app.test_client()
    assert client.get(f"/sign-in/{sign_in_link(store, email)}").status_code == 302
    return client


def test_every_route_has_a_rule(app: Flask) -> None:
    names = {name_of(rule) for rule, _ in rules(app) if not is_page(rule)}
    assert names == SCOPES_OF.keys() | OPEN.keys()
    assert SCOPES_OF.keys().isdisjoint(OPEN)


def test_every_route_of_the_api_answers_under_both_prefixes(app: Flask) -> None:
    paths = {(rule.rule, method) for rule, method in rules(app) if name_of(rule) in SCOPES_OF}
    plain = {(path, method) for path, method in paths if not path.startswith("/api/")}
    assert plain
    assert paths - plain == {(f"/api{path}", method) for path, method in plain}


def test_without_a_key(app: Flask, store: Store, nobody: Caller, shipped: Shipped) -> None:
    before = stored(store)
    for rule, method in rules(app):
        if name_of(rule) in SCOPES_OF:
            path = path_of(rule, run_id=shipped.ids["login"])
            body = error_of(call(nobody, method, path), 401, "unauthorized")
            assert body["error"] == "Unauthorized - Invalid API key", path
    assert stored(store) == before


@pytest.mark.parametrize("scope", SCOPES)
def test_with_a_key_of_one_scope(app: Flask, store: Store, shipped: Shipped, scope: str) -> None:
    caller = Caller(app, create_key(store, "Acme", f"only {scope}", scopes=scope))
    before = stored(store)
    for rule, method in rules(app):
        needed = SCOPES_OF.get(name_of(rule))
        if needed is None:
            continue
        response = call(caller, method, path_of(rule, run_id=shipped.ids["login"]))
        if needed <= {scope}:
            assert response.status_code in (200, 400), (rule.rule, response.text)  # {} is no run
        else:
            error_of(response, 403, "forbidden")
    assert stored(store) == before


def test_another_organizations_key_sees_nothing(app: Flask, shipped: Shipped, alice: Caller, charlie: Caller) -> None:
    queries = ("", f"?{PERIOD}", f"?{PERIOD}&limit=100", f"?run={shipped.ids['login']}", "?timezone=UTC&days=1000")
    visible = 0
    for rule, method in rules(app):
        if name_of(rule) not in SCOPES_OF or method != "GET":
            continue
        for query in queries:
            path = path_of(rule, run_id=shipped.ids["login"]) + query
            visible += bool(SECRETS.search(alice.get(path).text))
            answer = charlie.get(path)
            assert answer.status_code in (200, 404), path
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
    for rule, method in rules(app):
        if (
            name_of(rule) in SCOPES_OF
            and method == "GET"
            and name_of(rule) not in ("runs.get_run", "analytics.get_usage")
        ):
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


def test_pages_signed_out(app: Flask, shipped: Shipped) -> None:
    pages = [(rule, method) for rule, method in rules(app) if is_page(rule)]
    assert len(pages) >= 5
    for rule, method in pages:
        for slug in (shipped.organization.slug, "no-such-organization"):
            response = app.test_client().open(path_of(rule, slug=slug, run_id=shipped.ids["login"]), method=method)
            assert (response.status_code, response.location) == (302, "/sign-in"), rule.rule


def test_pages_do_not_take_a_key(app: Flask, shipped: Shipped, alice: Caller) -> None:
    response = alice.get(f"/app/{shipped.organization.slug}/runs")
    assert (response.status_code, response.location) == (302, "/sign-in")


def test_the_api_does_not_take_a_session(app: Flask, store: Store, shipped: Shipped) -> None:
    client = signed_in(app, store, "alice@example.com")
    for rule, method in rules(app):
        if name_of(rule) in SCOPES_OF:
            response = client.open(path_of(rule, run_id=shipped.ids["login"]), method=method)
            error_of(response, 401, "unauthorized")


def test_pages_of_another_organization(app: Flask, store: Store, shipped: Shipped, charlie_key: str) -> None:
    alice, charlie = (signed_in(app, store, f"{name}@example.com") for name in ("alice", "charlie"))
    slug = shipped.organization.slug
    for rule, method in rules(app):
        if not is_page(rule):
            continue
        page = path_of(rule, slug=slug, run_id=shipped.ids["login"])
        assert alice.open(page, method=method).status_code == BARE.get(rule.endpoint, 200), page
        found, absent = (
            charlie.open(path_of(rule, slug=name, run_id=shipped.ids["login"]), method=method)
            for name in (slug, "no-such-organization")
        )
        assert found.status_code == absent.status_code == 404, page
        assert not SECRETS.search(found.text), page


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
