"""What holds for every form and every page, taken from the URL map: other sites, redirects, cookies, inline code."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from costlens.config import Settings
from costlens.factory import create_app
from costlens.services import passwords
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.organizations import Organization, find_user
from costlens.web.ui.accounts import local_target
from tests.web.people import Person, add_member, rows_of, signed_in
from tests.web.test_access import path_of, rules

PASSWORD = "correct horse battery"
FOREIGN = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
)
VALUES = {"slug": "acme", "run_id": "run_0000000000000", "token": "x"}


def forms(app: Flask) -> list[str]:
    """The path of every form of the pages; webhooks are no forms, their signature is what counts."""
    return [
        path_of(rule, **VALUES)
        for rule, method in rules(app)
        if method == "POST" and not re.match(r"api(_api)?_|webhooks\.", rule.endpoint)
    ]


def test_every_form_refuses_other_sites(app: Flask, store: Store, acme: Organization) -> None:
    owner = signed_in(app, store, "alice@example.com")
    before = [rows_of(store, table) for table in (t.members, t.api_keys, t.organizations, t.sessions)]
    paths = forms(app)
    assert len(paths) > 25
    for path in paths:
        for headers in FOREIGN:
            for client in (owner.client, app.test_client()):
                response = client.post(path, headers=headers)
                assert (response.status_code, response.mimetype) == (403, "text/html"), (path, headers)
    assert [rows_of(store, table) for table in (t.members, t.api_keys, t.organizations, t.sessions)] == before
    owner.get("people")


def test_no_form_is_a_get(app: Flask, store: Store, acme: Organization) -> None:
    """What changes something cannot be reached by an image or a link."""
    owner = signed_in(app, store, "alice@example.com")
    for path in forms(app):
        status = owner.client.get(path).status_code
        assert status in (200, 404, 405, 410), (path, status)
    owner.get("people")


def test_a_proxy_that_changes_the_host(settings: Settings, store: Store, acme: Organization) -> None:
    app = create_app(replace(settings, base_url="http://costlens.example"))
    owner = signed_in(app, store, "alice@example.com")
    headers = {"Origin": "http://costlens.example", "Sec-Fetch-Site": "same-origin"}
    assert owner.client.post("/sign-out", headers=headers).status_code == 302


def test_redirects_stay_here(app: Flask) -> None:
    for target in (
        "https://evil.example/", "//evil.example/app/", "/\\evil.example", "/app/\\evil.example", "javascript:alert(1)",
        "/sign-out", "", None, 5, "https:/app/x", "///app/x", "\t//evil.example/app/", "/app/x\r\nSet-Cookie: a=b",
        "/invitations", "invitations/x", "//invitations/x",
    ):  # fmt: skip
        assert local_target(target) == "/", target
        form = {} if target is None else {"next": str(target)}
        assert app.test_client().post("/sign-out", data=form).location == "/sign-in", target


def test_redirects_that_are_allowed() -> None:
    for target in ("/app/acme/runs?state=unlinked", "/invitations/WzEsMV0.abc"):
        assert local_target(target) == target


@pytest.mark.parametrize(("base_url", "secure"), [("http://127.0.0.1:8787", False), ("https://costlens.example", True)])
def test_the_cookie_of_a_password(
    settings: Settings, store: Store, acme: Organization, base_url: str, secure: bool
) -> None:
    with store.read() as tx:
        user = find_user(tx, "alice@example.com")
    assert user is not None
    passwords.change_password(store, user, "", PASSWORD)
    client = create_app(replace(settings, base_url=base_url)).test_client()
    form = {"email": "alice@example.com", "password": PASSWORD}
    cookie = client.post("/sign-in/password", data=form, base_url=base_url).headers["Set-Cookie"]
    flags = dict(part.strip().partition("=")[::2] for part in cookie.split(";")[1:])
    assert flags.keys() - {"Secure"} == {"HttpOnly", "SameSite", "Expires", "Path"}
    assert ("Secure" in flags) is secure
    assert flags["SameSite"] == "Lax"


def test_pages_have_no_inline_code_and_are_not_kept(app: Flask, store: Store, acme: Organization) -> None:
    add_member(store, acme, "bob@example.com", "member")
    owner = signed_in(app, store, "alice@example.com")
    owner.send("teams", name="Payments")
    owner.send("people/invite", emails="erin@example.com", role="member", days="7")
    seen = 0
    for rule, method in rules(app):
        if method != "GET" or re.match(r"api(_api)?_|static", rule.endpoint):
            continue
        response = owner.client.get(path_of(rule, **VALUES))
        if response.mimetype != "text/html" or response.status_code >= 300:
            continue
        seen += 1
        assert response.headers["Cache-Control"] == "no-store", rule.rule
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|style=", response.text), rule.rule
    assert seen > 12


def stranger_paths(person: Person) -> list[str]:
    """Every path of a page that a link or form of the person's pages leads to."""
    return sorted(set(re.findall(r'(?:href|action)="(/[^"]*)"', person.get("people"))))


def test_links_of_a_page_lead_somewhere(app: Flask, store: Store, acme: Organization) -> None:
    owner = signed_in(app, store, "alice@example.com")
    client: FlaskClient = owner.client
    for path in stranger_paths(owner):
        if path not in ("/sign-out",) and not path.endswith(("invite", "remove", "role", "organizations")):
            assert client.get(path).status_code == 200, path
