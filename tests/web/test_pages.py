"""What holds for every page of the URL map: security headers, nothing inline, text that stays text, few queries."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from costlens.config import Settings
from costlens.services.organizations import create_organization, create_team, sign_in_link
from costlens.services.set_up import set_up_token
from costlens.store.engine import Store
from tests.acme import statements
from tests.web.access_rules import PAGES, SIGNED_IN
from tests.web.caller import Caller
from tests.web.conftest import Shipped
from tests.web.test_access import name_of, path_of, rules

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
# Every statement of a page, with reading who is signed in and what the frame shows.
QUERIES = {
    "/app/acme/repositories": 19,
    "/app/acme/teams": 18,
    "/app/acme/runs": 12,
    "/app/acme/runs?team=none&state=counted": 12,
    "/app/acme/prompts": 11,
    "/app/acme/prompts/write?from=2025-01-01&to=2025-01-31": 13,
    "/app/acme/models": 12,
    "/app/acme/models/prices": 12,
    "/app/acme/search?q=zzz": 17,
    "/app/acme/pulls": 11,
    "/app/acme/start": 13,
    "/app/acme/pulls/acme/web/1": 16,
    "/app/acme/repositories/acme/web": 14,
    "/app/acme/repositories/acme/web?tab=commits": 13,
    "/app/acme/repositories/acme/web?tab=unlinked": 13,
    "/app/acme/unlinked": 10,
}


def sign_in(app: Flask, store: Store) -> FlaskClient:
    """alice's browser."""
    client = app.test_client()
    client.get(f"/sign-in/{sign_in_link(store, 'alice@example.com')}")
    return client


def every_page(app: Flask, run: str) -> list[str]:
    """Addresses of all pages of Acme, and of those outside any organization."""
    return [
        path_of(rule, slug="acme", run_id=run)
        for rule, method in rules(app)
        if method == "GET" and name_of(rule) in PAGES.keys() | SIGNED_IN
    ]


def test_security_headers_and_nothing_inline(app: Flask, store: Store, shipped: Shipped, settings: Settings) -> None:
    client = sign_in(app, store)
    outside = ["/sign-in", "/sign-in/unknown", f"/set-up/{set_up_token(settings)}", "/app/nobody/runs"]
    pages = [*every_page(app, shipped.ids["login"]), *outside, "/app/acme/runs?period=forever"]
    assert len(pages) > 12
    for path in pages:
        response = client.get(path)
        assert response.mimetype == "text/html", path
        policy = response.headers["Content-Security-Policy"]
        for part in ("default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
            assert part in policy, path
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"
        assert response.headers["Cache-Control"] == "no-store", path
        assert not re.search(r'<script(?! (?:src|type="application/json"))', response.text), path
        assert not re.search(r"<[^>]+\s(?:on\w+|style)=", response.text), path
        assert "<style" not in response.text, path
        # Nothing from elsewhere; a link may lead there.
        assert not re.search(r'<(?!a\s)[^>]*\s(?:src|href)="(?:https?:)?//', response.text), path


@pytest.mark.parametrize(
    "page",
    [
        *("repositories", "teams", "pulls", "runs", "prompts", "models", "models/prices", "search"),
        *("repositories/acme/web", "unlinked"),
    ],
)
def test_what_a_query_says_is_text(app: Flask, store: Store, shipped: Shipped, page: str) -> None:
    client = sign_in(app, store)
    for name in (
        "period",
        "team",
        "provider",
        "from",
        "cursor",
        "sort",
        "state",
        "model",
        "prompt",
        "environment",
        "tool",
        "session",
        "q",
        "x",
    ):
        response = client.get(f"/app/acme/{page}", query_string={name: HOSTILE}, follow_redirects=True)
        assert response.status_code in (200, 400), name
        assert "<img src=x" not in response.text, name
        assert "<script>alert" not in response.text, name


def test_names_are_text_wherever_they_stand(app: Flask, store: Store) -> None:
    made = create_organization(store, HOSTILE, "alice@example.com", plan="self-hosted", demo=True)
    create_organization(store, f"Second {HOSTILE}", "alice@example.com", plan="self-hosted")
    create_team(store, made.organization.id, HOSTILE)
    client = sign_in(app, store)
    slug = made.organization.slug
    body = {"provider": HOSTILE, "model": HOSTILE, "promptId": HOSTILE, "environment": HOSTILE, "tokensUsed": 5}
    before = client.get(f"/app/{slug}/start").text
    run = Caller(app, made.api_key).post("/integrations/run", body).json["run"]["id"]
    assert "&lt;img src=x" in before
    usage = ("prompts", f"prompts/{quote(HOSTILE, safe='')}", "models", "models/prices", "search?q=img")
    for path in ("start", "start/first-run", "repositories", "teams", "runs", f"runs/{run}", "pulls", "demo", *usage):
        page = client.get(f"/app/{slug}/{path}").text
        assert "<img src=x" not in page + before, path
        assert "<script>alert" not in page + before, path


@pytest.mark.parametrize("path", QUERIES)
def test_a_page_takes_few_queries(app: Flask, store: Store, shipped: Shipped, path: str) -> None:
    client = sign_in(app, store)
    with statements(app.extensions["costlens"].store) as seen:
        assert client.get(path).status_code == 200
    assert len(seen) == QUERIES[path], [statement[:90] for statement, _ in seen]
