"""Signing in by link, the set-up of the first owner, sessions, and what protects the pages."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from costlens.config import Settings
from costlens.factory import create_app
from costlens.services.organizations import sign_in_link
from costlens.services.set_up import set_up_token
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.web.caller import Caller

HOME = "/app/acme/repositories"
FORM = {"organization": "Umbrella", "email": "alice@example.com", "timezone": "Europe/Berlin"}


@pytest.fixture
def token(store: Store, acme: Organization) -> str:
    """A fresh sign-in link of alice."""
    return sign_in_link(store, "alice@example.com")


@pytest.fixture
def browser(client: FlaskClient, token: str) -> FlaskClient:
    """A browser in which alice is signed in."""
    client.get(f"/sign-in/{token}")
    return client


def is_signed_in(client: FlaskClient) -> bool:
    return client.get(HOME).status_code == 200


def test_a_link_signs_in(client: FlaskClient, token: str) -> None:
    assert not is_signed_in(client)
    response = client.get(f"/sign-in/{token}")
    assert response.status_code == 302
    assert is_signed_in(client)
    assert client.get("/").location == HOME


def test_a_link_works_once(client: FlaskClient, token: str) -> None:
    client.get(f"/sign-in/{token}")
    other = client.application.test_client()
    response = other.get(f"/sign-in/{token}")
    assert response.status_code == 410
    assert not is_signed_in(other)
    assert is_signed_in(client)


def test_a_preview_does_not_use_a_link_up(client: FlaskClient, token: str) -> None:
    assert client.head(f"/sign-in/{token}").status_code == 200
    assert not is_signed_in(client)
    client.get(f"/sign-in/{token}")
    assert is_signed_in(client)


@pytest.mark.parametrize(("seconds", "status"), [(-1, 410), (30, 302)])
def test_a_link_expires(store: Store, client: FlaskClient, token: str, seconds: int, status: int) -> None:
    with store.write() as tx:
        tx.execute(update(t.sign_in_links).values(expires_at=datetime.now(UTC) + timedelta(seconds=seconds)))
    assert client.get(f"/sign-in/{token}").status_code == status


def test_a_link_lives_an_hour_and_is_not_kept(store: Store, token: str) -> None:
    with store.read() as tx:
        rows = tx.execute(t.sign_in_links.select()).all()
    left = [row.expires_at - datetime.now(UTC) for row in rows]
    assert all(timedelta(minutes=59) < life <= timedelta(hours=1) for life in left)
    assert all(token.encode() not in row.token_hash for row in rows)


@pytest.mark.parametrize("token", ["x", "%00", "../x", "é" * 40, "a" * 2000])
def test_an_unknown_link(client: FlaskClient, acme: Organization, token: str) -> None:
    assert client.get(f"/sign-in/{token}").status_code in (404, 410)
    assert not is_signed_in(client)


# Where signing in leads to.


def test_signing_in_leads_back_to_the_page_asked_for(client: FlaskClient, token: str) -> None:
    asked = "/app/acme/runs?state=unlinked"
    assert client.get(asked).location == "/sign-in"
    assert client.get(f"/sign-in/{token}").location == asked


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/", "//evil.example/app/", "/\\evil.example", "/app/\\evil.example", "javascript:alert(1)",
        "/sign-out", "", "https:/app/x", "///app/x", "\t//evil.example/app/", "/app/x\r\nSet-Cookie: a=b",
    ],
)  # fmt: skip
def test_signing_in_leads_nowhere_else(client: FlaskClient, token: str, target: str) -> None:
    with client.session_transaction() as session:
        session["next"] = target
    response = client.get(f"/sign-in/{token}?next={target.strip()}")
    assert response.location == "/"
    assert response.headers.getlist("Set-Cookie")[0].startswith("session=")


def test_a_slug_with_a_line_break_leads_nowhere(client: FlaskClient, token: str) -> None:
    assert client.get("/app/a%0d%0aSet-Cookie:%20a=b/runs").location == "/sign-in"
    assert client.get(f"/sign-in/{token}").location == "/"


def test_next_in_the_address_is_not_read(client: FlaskClient, token: str) -> None:
    client.get("/sign-in?next=https://evil.example/")
    assert client.get(f"/sign-in/{token}?next=https://evil.example/").location == "/"


# Sessions.


@pytest.mark.parametrize(("base_url", "secure"), [("http://127.0.0.1:8787", False), ("https://costlens.example", True)])
def test_the_session_cookie(settings: Settings, token: str, base_url: str, secure: bool) -> None:
    client = create_app(replace(settings, base_url=base_url)).test_client()
    cookie = client.get(f"/sign-in/{token}", base_url=base_url).headers["Set-Cookie"]
    flags = dict(part.strip().partition("=")[::2] for part in cookie.split(";")[1:])
    assert flags.keys() - {"Secure"} == {"HttpOnly", "SameSite", "Expires", "Path"}
    assert ("Secure" in flags) is secure
    assert (flags["SameSite"], flags["Path"]) == ("Lax", "/")


def test_sign_out(browser: FlaskClient) -> None:
    assert is_signed_in(browser)
    assert browser.get("/sign-out").status_code == 405  # an image on another site must not sign anybody out
    assert is_signed_in(browser)
    assert browser.post("/sign-out").location == "/sign-in"
    assert not is_signed_in(browser)


def test_a_changed_session_version_ends_every_session(store: Store, browser: FlaskClient) -> None:
    assert is_signed_in(browser)
    with store.write() as tx:
        tx.execute(update(t.users).values(session_version=t.users.c.session_version + 1))
    assert not is_signed_in(browser)


def test_a_forged_cookie(client: FlaskClient, settings: Settings, token: str) -> None:
    stranger = create_app(replace(settings, secret_key="x" * 64)).test_client()
    forged = stranger.get(f"/sign-in/{token}").headers["Set-Cookie"].partition(";")[0].removeprefix("session=")
    client.set_cookie("session", forged)
    assert not is_signed_in(client)


def test_a_session_that_somebody_else_began_is_cleared(client: FlaskClient, token: str) -> None:
    with client.session_transaction() as session:
        session["planted"] = "by somebody else"
    client.get(f"/sign-in/{token}")
    with client.session_transaction() as session:
        assert "planted" not in session


# Forms of other sites.


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"},
        {"Origin": "null"}, {"Origin": "http://localhost:1"}, {"Sec-Fetch-Site": "none", "Origin": "https://evil.example"},
    ],
    ids=str,
)  # fmt: skip
def test_a_post_of_another_site_with_the_cookie(browser: FlaskClient, headers: dict[str, str]) -> None:
    response = browser.post("/sign-out", headers=headers)
    assert response.status_code == 403
    assert is_signed_in(browser)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, {"Sec-Fetch-Site": "none"}],
    ids=str,
)
def test_a_post_of_our_own_site(browser: FlaskClient, headers: dict[str, str]) -> None:
    assert browser.post("/sign-out", headers=headers).status_code == 302
    assert not is_signed_in(browser)


def test_a_key_needs_no_same_origin(alice: Caller) -> None:
    headers = alice.headers | {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}
    body = {"provider": "openai", "model": "gpt-5.4", "tokensUsed": 5}
    assert alice.client.post("/integrations/run", headers=headers, json=body).status_code == 200


# Headers.


def test_headers_of_pages(browser: FlaskClient) -> None:
    for path in (HOME, "/app/acme/runs", "/sign-in", "/sign-in/unknown", "/app/nobody/runs", "/set-up/x"):
        response = browser.get(path)
        assert response.mimetype == "text/html", path
        policy = dict(
            part.strip().partition(" ")[::2] for part in response.headers["Content-Security-Policy"].split(";")
        )
        assert policy["default-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == policy["object-src"] == "'none'"
        assert policy["form-action"] == "'self'"
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"
        assert response.headers["Cache-Control"] == "no-store"
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|style=", response.text), path


def test_headers_of_the_api(alice: Caller) -> None:
    headers = alice.get("/runs").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in headers
    assert "Set-Cookie" not in headers


@pytest.mark.parametrize(
    ("base_url", "expected"), [("http://127.0.0.1:8787", False), ("https://costlens.example", True)]
)
def test_browsers_stay_on_tls(settings: Settings, store: Store, base_url: str, expected: bool) -> None:
    response = create_app(replace(settings, base_url=base_url)).test_client().get("/sign-in")
    assert ("Strict-Transport-Security" in response.headers) is expected


@pytest.mark.parametrize("field", ["model", "promptId", "branch", "actor", "repo"])
def test_what_callers_send_is_text_on_the_pages(browser: FlaskClient, alice: Caller, field: str) -> None:
    value = "<script>alert(1)</script>" if field != "repo" else "acme/web"
    body = {"provider": "openai", "model": "gpt-5.4", "tokensUsed": 5, "tool": '"><img src=x onerror=alert(1)>'}
    run = alice.post("/integrations/run", body | {field: value}).json["run"]["id"]
    for path in ("/app/acme/runs", f"/app/acme/runs/{run}", "/app/acme/runs?prompt=<script>alert(1)</script>"):
        page = browser.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text


# The first owner.


def test_set_up_makes_the_first_owner(client: FlaskClient, settings: Settings) -> None:
    path = f"/set-up/{set_up_token(settings)}"
    assert client.get(path).status_code == 200
    response = client.post(path, data=FORM)
    assert response.status_code == 200
    key = re.search(r"cl_[0-9a-f]{64}", response.text)
    assert key
    assert client.get("/").location == "/app/umbrella/repositories"
    assert client.get("/app/umbrella/repositories").status_code == 200
    usage = Caller(client.application, key[0]).json("/usage")
    assert usage["plan"] == settings.default_plan


def test_set_up_ends_once_an_owner_exists(client: FlaskClient, settings: Settings) -> None:
    path = f"/set-up/{set_up_token(settings)}"
    client.post(path, data=FORM)
    other = client.application.test_client()
    assert other.get(path).status_code == 404
    assert other.post(path, data=FORM | {"organization": "Second"}).status_code == 404
    assert other.get("/").location == "/sign-in"


def test_set_up_needs_its_token(client: FlaskClient, settings: Settings) -> None:
    stranger = set_up_token(replace(settings, secret_key="x" * 64))
    for token in ("x", stranger, set_up_token(settings) + "x"):
        assert client.get(f"/set-up/{token}").status_code == 404
        assert client.post(f"/set-up/{token}", data=FORM).status_code == 404


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"email": "alice"}, "alice"),
        ({"email": ""}, "Umbrella"),
        ({"organization": ""}, "alice@example.com"),
        ({"organization": "🙂"}, "alice@example.com"),
        ({"timezone": "Mars/Base"}, "Mars/Base"),
        ({"timezone": "America"}, "America"),
        ({"organization": "<b>x</b>", "email": "x"}, "&lt;b&gt;"),
    ],
)
def test_set_up_with_wrong_values_keeps_the_form(
    client: FlaskClient, settings: Settings, changes: dict[str, str], shown: str
) -> None:
    path = f"/set-up/{set_up_token(settings)}"
    response = client.post(path, data=FORM | changes)
    assert response.status_code == 400
    assert shown in response.text
    assert client.get(path).status_code == 200  # nobody is owner yet
    assert client.get("/").location == "/sign-in"
