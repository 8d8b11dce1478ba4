"""Signing in with GitHub: who comes in, who does not, and what a forged or failed visit leads to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from costlens.config import Settings, load_settings
from costlens.factory import create_app
from costlens.services import github_connect
from costlens.services.github_access import github_of
from costlens.services.sealing import box
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.web.caller import Caller
from tests.web.github_peer import GithubPeer, github_peer
from tests.web.people import Person, add_member, audit_of, rows_of, signed_in, text_of
from tests.web.ui.test_invitations import invite

RUN = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1000, "outputTokens": 100}


@pytest.fixture(scope="module")
def peer() -> Iterator[GithubPeer]:
    with github_peer() as found:
        yield found


@pytest.fixture
def github(peer: GithubPeer) -> GithubPeer:
    """A GitHub without people."""
    peer.forget()
    return peer


@pytest.fixture
def settings(settings: Settings, github: GithubPeer) -> Settings:
    known = load_settings({"COSTLENS_DATA": str(settings.data)} | github.environment)
    return replace(
        settings,
        github_url=known.github_url,
        github_api_url=known.github_api_url,
        github_client_id=known.github_client_id,
        github_client_secret=known.github_client_secret,
    )


def back_from(
    client: FlaskClient, login: str, *, at: str = "as", invitation: str = "", door: str = "/sign-in/github"
) -> str:
    """Begins a visit in this browser, and answers the path and query with which GitHub sends it back."""
    begun = client.get(door + (f"?invitation={invitation}" if invitation else ""))
    assert begun.status_code == 302
    where = urlsplit(begun.location)
    path = f"/login/as/{login}" if at == "as" else "/login/cancel"
    assert httpx.get(begun.location, trust_env=False).status_code in (200, 502)
    answer = httpx.get(f"{where.scheme}://{where.netloc}{path}?{where.query}", trust_env=False)
    target = urlsplit(answer.headers["location"])
    return f"{target.path}?{target.query}"


def visit(client: FlaskClient, login: str, path: str = "") -> TestResponse:
    """Signs in with GitHub as this person, by the link on the page of an invitation at this path if there is one."""
    invitation = path.removeprefix("/invitations/")
    assert not path or f"/sign-in/github?invitation={invitation}" in client.get(path).text
    return client.get(back_from(client, login, invitation=invitation))


def test_an_account_is_found_by_a_verified_address(
    app: Flask, store: Store, acme: Organization, github: GithubPeer
) -> None:
    github.add("alice-gh", "private@example.org", "ALICE@example.com")
    client = app.test_client()
    assert client.get("/app/acme/runs").location == "/sign-in"
    assert "Continue with GitHub" in text_of(client.get("/sign-in"))
    assert visit(client, "alice-gh").location == "/app/acme/runs"
    alice = rows_of(store, t.users)[0]
    assert (alice.email, alice.github_id, alice.github_login, alice.name) == (
        "alice@example.com", 1000, "alice-gh", "Alice-Gh Example",
    )  # fmt: skip
    assert "@alice-gh" in Person(client, "", "acme").get("people")
    assert github.scopes == ["read:user user:email"]  # the least that it takes


def test_then_by_githubs_number_whatever_the_names(
    app: Flask, store: Store, acme: Organization, github: GithubPeer
) -> None:
    github.add("alice-gh", "alice@example.com", number=7)
    visit(app.test_client(), "alice-gh")
    github.forget()
    github.add("renamed", "another@example.com", number=7)
    client = app.test_client()
    assert visit(client, "renamed").location == "/"
    assert Person(client, "", "acme").get("people").count("@renamed") == 1
    assert len(rows_of(store, t.users)) == 1


def test_an_address_that_is_not_verified_proves_nothing(
    app: Flask, store: Store, acme: Organization, github: GithubPeer
) -> None:
    github.add("eve", "eve@example.com").emails.append(("alice@example.com", False, False))
    response = visit(app.test_client(), "eve")
    assert (response.status_code, "You are not invited yet" in text_of(response)) == (403, True)
    github.add("nobody").emails = [("alice@example.com", True, False)]
    assert "no verified e-mail address" in text_of(visit(app.test_client(), "nobody"))
    assert rows_of(store, t.users)[0].github_id is None


def test_another_github_account_with_the_same_address(
    app: Flask, store: Store, acme: Organization, github: GithubPeer
) -> None:
    github.add("alice-gh", "alice@example.com", number=7)
    visit(app.test_client(), "alice-gh")
    github.add("second", "alice@example.com", number=8)
    response = visit(app.test_client(), "second")
    assert (response.status_code, "belongs to another GitHub account, @alice-gh" in text_of(response)) == (409, True)


def test_not_invited(app: Flask, store: Store, acme: Organization, github: GithubPeer) -> None:
    github.add("eve", "eve@example.com")
    client = app.test_client()
    response = visit(client, "eve")
    assert response.status_code == 403
    assert "Nobody has invited eve@example.com (@eve) yet" in text_of(response)
    assert client.get("/app/acme/runs").location == "/sign-in"
    assert len(rows_of(store, t.users)) == 1
    assert len(rows_of(store, t.sessions)) == 0


def test_one_who_was_removed(app: Flask, store: Store, acme: Organization, github: GithubPeer) -> None:
    bob = add_member(store, acme, "bob@example.com", "member")
    github.add("bob", "bob@example.com")
    client = app.test_client()
    visit(client, "bob")
    owner = signed_in(app, store, "alice@example.com")
    owner.send(f"people/{bob}/remove")
    assert "not a member of any organization here" in text_of(visit(app.test_client(), "bob"))


def test_an_invitation_is_accepted(app: Flask, store: Store, acme: Organization, github: GithubPeer) -> None:
    owner = signed_in(app, store, "alice@example.com")
    path = invite(owner, role="admin")
    github.add("erin", "private@example.org", "erin@example.com")
    client = app.test_client()
    assert "Continue with GitHub" in text_of(client.get(path))
    assert client.post(path, data={"name": "x", "password": "correct horse battery"}).status_code == 404
    assert visit(client, "erin", path).location == "/app/acme/repositories"
    assert rows_of(store, t.members)[-1].role == "admin"
    assert rows_of(store, t.users)[-1].email == "erin@example.com"
    assert audit_of(store, acme.id)[-1][1] == "invitation.accepted"
    assert app.test_client().get(path).status_code == 410


def test_an_invitation_for_somebody_else(app: Flask, store: Store, acme: Organization, github: GithubPeer) -> None:
    owner = signed_in(app, store, "alice@example.com")
    path = invite(owner)
    github.add("eve", "eve@example.com")
    client = app.test_client()
    response = visit(client, "eve", path)
    assert response.status_code == 409
    assert "is for erin@example.com, which is none of the verified addresses of @eve" in text_of(response)
    assert len(rows_of(store, t.users)) == 1
    assert app.test_client().get(path).status_code == 200  # it still holds for erin
    github.add("alice-gh", "alice@example.com")
    assert visit(client, "alice-gh", path).status_code == 409
    assert visit(client, "alice-gh").location == path  # signing in by itself is not in its way
    assert client.get("/").location == "/app/acme/repositories"


def test_members_of_an_allowed_organization(app: Flask, store: Store, acme: Organization, github: GithubPeer) -> None:
    owner = signed_in(app, store, "alice@example.com")
    assert "may come in" in owner.send("people/github-organizations", login=" Acme-Corp ")
    many = tuple((f"other-{number}", number) for number in range(1, 131))
    github.add("frank", "frank@example.com", organizations=(*many, ("Acme-Corp", 555)))
    github.add("eve", "eve@example.com", organizations=(("acme-corporation", 556),))
    client = app.test_client()
    assert visit(client, "frank").location == "/app/acme/repositories"
    assert github.scopes[-1] == "read:user user:email read:org"
    assert rows_of(store, t.members)[-1].role == "member"
    assert visit(app.test_client(), "eve").status_code == 403
    # The name alone does not do once GitHub has told the number: another may have taken it over.
    github.add("grace", "grace@example.com", organizations=(("acme-corp", 999),))
    assert visit(app.test_client(), "grace").status_code == 403
    assert "come in no longer" in owner.send("people/github-organizations/remove", login="acme-corp")
    github.add("heidi", "heidi@example.com", organizations=(("acme-corp", 555),))
    assert visit(app.test_client(), "heidi").status_code == 403
    assert visit(app.test_client(), "frank").location == "/"  # who is a member stays


def test_who_may_let_organizations_in(app: Flask, store: Store, acme: Organization) -> None:
    add_member(store, acme, "dora@example.com", "admin")
    admin, owner = (signed_in(app, store, f"{name}@example.com") for name in ("dora", "alice"))
    for path in ("people/github-organizations", "people/github-organizations/remove"):
        assert admin.post(path, login="acme").status_code == 403
    for wrong in ("", "a b", "../x", "ü", "x" * 40):
        assert "login of a GitHub organization" in owner.send("people/github-organizations", login=wrong)
    assert "not in the list" in owner.send("people/github-organizations/remove", login="acme")


def test_denied(app: Flask, acme: Organization, github: GithubPeer) -> None:
    client = app.test_client()
    response = client.get(back_from(client, "", at="cancel"))
    assert (response.status_code, "You did not let CostLens in" in text_of(response)) == (400, True)
    assert "Try again" in text_of(response)


def test_a_forged_state(app: Flask, store: Store, acme: Organization, github: GithubPeer) -> None:
    github.add("alice-gh", "alice@example.com")
    github.add("eve", "eve@example.com")
    victim, attacker = app.test_client(), app.test_client()
    forged = back_from(attacker, "eve")
    for client in (victim, app.test_client()):
        victim.get("/sign-in/github") if client is victim else None
        response = client.get(forged)
        assert (response.status_code, "did not begin here" in text_of(response)) == (400, True)
    for path in (
        "/sign-in/github/callback",
        "/sign-in/github/callback?code=x&state=",
        "/sign-in/github/callback?state=é",
    ):
        assert app.test_client().get(path).status_code == 400
    assert "POST /login/oauth/access_token" not in github.calls


def test_a_visit_comes_back_once(app: Flask, store: Store, acme: Organization, github: GithubPeer) -> None:
    github.add("alice-gh", "alice@example.com")
    client = app.test_client()
    path = back_from(client, "alice-gh")
    assert client.get(path).status_code == 303
    assert client.get(path).status_code == 400


def test_a_code_of_another_visit_does_not_fit_the_verifier(
    app: Flask, store: Store, acme: Organization, github: GithubPeer
) -> None:
    """What PKCE is for: a stolen code, injected into a visit of somebody else with that visit's own state."""
    github.add("alice-gh", "alice@example.com")
    stolen = parse_qs(urlsplit(back_from(app.test_client(), "alice-gh")).query)["code"][0]
    attacker = app.test_client()
    state = parse_qs(urlsplit(attacker.get("/sign-in/github").location).query)["state"][0]
    response = attacker.get(f"/sign-in/github/callback?code={stolen}&state={state}")
    assert (response.status_code, "GitHub refused the sign-in" in text_of(response)) == (400, True)
    assert len(rows_of(store, t.sessions)) == 0


def test_github_is_away(app: Flask, store: Store, acme: Organization, github: GithubPeer) -> None:
    github.add("alice-gh", "alice@example.com")
    client = app.test_client()
    path = back_from(client, "alice-gh")
    github.away = True
    response = client.get(path)
    assert (response.status_code, "GitHub is away" in text_of(response)) == (503, True)
    github.away = False
    assert visit(client, "alice-gh").status_code == 303


def test_nothing_listens_where_github_should_be(settings: Settings, acme: Organization) -> None:
    app = create_app(replace(settings, github_url="http://127.0.0.1:9", github_api_url="http://127.0.0.1:9"))
    client = app.test_client()
    state = parse_qs(urlsplit(client.get("/sign-in/github").location).query)["state"][0]
    assert client.get(f"/sign-in/github/callback?code=x&state={state}").status_code == 503


def test_no_passwords_where_people_sign_in_with_github(app: Flask, acme: Organization) -> None:
    client = app.test_client()
    assert client.post("/sign-in/password", data={"email": "alice@example.com", "password": "x"}).status_code == 404
    for path in ("/sign-in/forgotten", "/sign-in/new-password/x"):
        assert client.get(path).status_code == 404


def test_a_session_that_somebody_else_began(app: Flask, acme: Organization, github: GithubPeer) -> None:
    github.add("alice-gh", "alice@example.com")
    client = app.test_client()
    with client.session_transaction() as session:
        session["planted"] = "by somebody else"
        session["next"] = "https://evil.example/"
    assert visit(client, "alice-gh").location == "/"
    with client.session_transaction() as session:
        assert "planted" not in session
        assert "github" not in session


def test_runs_of_the_login_and_of_the_address_become_one_persons(
    app: Flask, store: Store, acme: Organization, alice_key: str, github: GithubPeer
) -> None:
    caller = Caller(app, alice_key)
    for actor in ("alice-gh", "alice@example.com", "private@example.org"):
        caller.post("/integrations/run", RUN | {"actor": actor})
    assert len({row.person_id for row in rows_of(store, t.runs)}) == 3
    github.add("alice-gh", "private@example.org", "alice@example.com")
    client = app.test_client()
    visit(client, "alice-gh")
    assert len({row.person_id for row in rows_of(store, t.runs)}) == 1
    assert "of 3 runs" in text_of(client.get("/app/acme/settings/usage"))


def test_without_settings_nobody_is_asked(
    store: Store, acme: Organization, github: GithubPeer, tmp_path: object
) -> None:
    app = create_app(load_settings({"COSTLENS_DATA": str(tmp_path), "DATABASE_URL": str(store.engine.url)}))
    client = app.test_client()
    assert "Continue with GitHub" not in text_of(client.get("/sign-in"))
    for path in ("/sign-in/github", "/sign-in/github/callback?code=x&state=y"):
        assert client.get(path).status_code == 404
    assert github.calls == []


ACCOUNT = "/app/acme/settings/sign-in"


def test_an_account_is_joined_while_signed_in_whatever_its_addresses_are(
    app: Flask, store: Store, acme: Organization, github: GithubPeer
) -> None:
    github.add("alice-gh", "private@example.org")
    alice = signed_in(app, store, "alice@example.com")
    assert "Connect GitHub" in alice.get("sign-in")
    back = alice.client.get(back_from(alice.client, "alice-gh", door=f"{ACCOUNT}/github"))
    assert (back.status_code, back.location) == (303, ACCOUNT)
    shown = alice.get("sign-in")
    assert "belongs to @alice-gh" in shown
    assert "Remove GitHub" in shown
    assert visit(app.test_client(), "alice-gh").status_code == 303, "she comes in by it now"
    assert "belongs to nobody" in alice.send("sign-in/github/remove")
    assert rows_of(store, t.users)[0].github_id is None
    assert visit(app.test_client(), "alice-gh").status_code == 403


def test_an_identity_belongs_to_one_account_and_an_account_to_one_identity(
    app: Flask, store: Store, acme: Organization, github: GithubPeer
) -> None:
    add_member(store, acme, "bob@example.com", "member")
    github.add("bob-gh", "bob@example.com")
    github.add("alice-gh", "alice@example.com")
    visit(app.test_client(), "bob-gh")
    alice = signed_in(app, store, "alice@example.com")
    for login, words in (("bob-gh", "another account"), ("alice-gh", "belongs to @alice-gh"), ("bob-gh", "another")):
        alice.client.get(back_from(alice.client, login, door=f"{ACCOUNT}/github"))
        assert words in alice.get("sign-in")
    github.add("second", "second@example.org")
    alice.client.get(back_from(alice.client, "second", door=f"{ACCOUNT}/github"))
    assert "remove that first" in alice.get("sign-in")
    assert sorted(filter(None, (row.github_login for row in rows_of(store, t.users)))) == ["alice-gh", "bob-gh"]


def test_joining_ends_with_the_session_that_began_it(
    app: Flask, store: Store, acme: Organization, github: GithubPeer
) -> None:
    github.add("alice-gh", "private@example.org")
    alice = signed_in(app, store, "alice@example.com")
    back = back_from(alice.client, "alice-gh", door=f"{ACCOUNT}/github")
    with alice.client.session_transaction() as session:
        kept = session["github"]
    stranger = app.test_client()
    with stranger.session_transaction() as session:
        session["github"] = kept
    assert stranger.get(back).status_code == 400
    assert rows_of(store, t.users)[0].github_id is None


@pytest.fixture
def oauth(settings: Settings, store: Store, github: GithubPeer) -> Iterator[Flask]:
    """A server where people sign in by an OAuth App."""
    github.client_id = "Ov23li.costlens"
    made = create_app(replace(settings, github_client_id=github.client_id))
    yield made
    made.extensions["costlens"].store.close()


def test_an_owner_connects_by_the_oauth_app(
    oauth: Flask, store: Store, acme: Organization, github: GithubPeer, settings: Settings
) -> None:
    github.add("alice-gh", "alice@example.com")
    alice = signed_in(oauth, store, "alice@example.com").client
    assert "the token could also write" in text_of(alice.get("/app/acme/github"))
    middle = alice.get(back_from(alice, "alice-gh", door="/app/acme/github/authorize"))
    assert (middle.status_code, middle.location) == (303, "/app/acme/github/authorized")
    assert github.scopes == ["repo"]
    assert alice.get(middle.location).location == "/app/acme/github"
    shown = text_of(alice.get("/app/acme/github"))
    assert "acme/web" in shown
    assert "the OAuth App of signing in" in shown
    row = rows_of(store, t.github_connections)[0]
    (token,) = github.tokens
    assert token not in repr(row)
    assert (row.kind, box(settings).open(row.token)) == ("oauth", token)
    assert alice.get(middle.location).status_code == 400, "a code is good once"

    github.tokens.clear()  # the authorization is revoked
    assert github_connect.refresh(store, github_of(settings), acme.id) == 0
    assert "does not accept the credentials" in text_of(alice.get("/app/acme/github"))


def test_an_oauth_app_that_may_not_read_repositories_connects_nothing(
    oauth: Flask, store: Store, acme: Organization, github: GithubPeer
) -> None:
    github.add("alice-gh", "alice@example.com")
    alice = signed_in(oauth, store, "alice@example.com").client
    back = back_from(alice, "alice-gh", door="/app/acme/github/authorize")
    for begun in github.codes.values():
        begun["scope"] = "read:user"  # unticked on GitHub
    refused = alice.get(alice.get(back).location)
    assert (refused.status_code, "does not let CostLens read" in refused.text) == (400, True)
    assert rows_of(store, t.github_connections) == []


def test_a_github_app_gives_no_token_to_read_with(
    app: Flask, store: Store, acme: Organization, github: GithubPeer
) -> None:
    alice = signed_in(app, store, "alice@example.com").client
    assert "OAuth App" not in text_of(alice.get("/app/acme/github"))
    assert alice.get("/app/acme/github/authorize").status_code == 404
    assert github.calls == []
