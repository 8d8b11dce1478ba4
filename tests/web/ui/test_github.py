"""The pages of the connection: connect by App or token, choose, assign, change the secret, let go."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from costlens.config import Settings
from costlens.domain.runs import RunInput
from costlens.domain.usage import Usage, UsageQuality
from costlens.factory import create_app
from costlens.services import comments, github_connect, github_disconnect, linking
from costlens.services.github_access import github_of
from costlens.services.github_walk import advance
from costlens.services.ingest import ingest
from costlens.services.keys import authenticate
from costlens.services.organizations import create_team, sign_in_link
from costlens.services.provider_keys import add_key
from costlens.services.sealing import Box, box, reseal
from costlens.services.verify import check
from costlens.store import connections
from costlens.store import sync as sync_store
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.github import peer as github
from tests.github.peer import Peer, history
from tests.github.stored import facts
from tests.services.test_github_trouble import app_key

PAGE = "/app/acme/github"


@pytest.fixture(scope="module")
def key() -> str:
    return app_key()


@pytest.fixture
def peer(key: str) -> Iterator[Peer]:
    with github.serving(history(6, 2), history(3, 1, name="acme/api", github_id=502)) as serving:
        serving.app = {
            "id": 77, "slug": "costlens-acme", "html_url": f"{serving.url}/apps/costlens-acme", "pem": key,
            "webhook_secret": "from github", "client_id": "Iv1.x", "client_secret": "shh",
        }  # fmt: skip
        yield serving


@pytest.fixture
def settings(settings: Settings, peer: Peer) -> Settings:
    ours = {"github_api_url": peer.url, "github_url": peer.url, "github_source": "rest", "github_horizon_days": 7_300}
    return replace(settings, **ours)


@pytest.fixture
def app(store: Store, settings: Settings, acme: Organization) -> Iterator[Flask]:
    made = create_app(settings)
    yield made
    made.extensions["costlens"].store.close()


@pytest.fixture
def alice(app: Flask, store: Store) -> FlaskClient:
    return signed_in(app, store, "alice@example.com")


@pytest.fixture
def bob(app: Flask, store: Store, bob_key: str) -> FlaskClient:
    return signed_in(app, store, "bob@example.com")


def signed_in(app: Flask, store: Store, email: str) -> FlaskClient:
    client = app.test_client()
    client.get(f"/sign-in/{sign_in_link(store, email)}")
    return client


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def sources(store: Store, organization: Organization) -> dict[str, int]:
    with store.read() as tx:
        return {row.name: row.id for row in sync_store.list_sources(tx, organization.id)}


def read_all(store: Store, settings: Settings, organization: Organization) -> None:
    """Does what the worker would do."""
    for source_id in sources(store, organization).values():
        while advance(store, github_of(settings), organization.id, source_id).wait == timedelta(0):
            pass


def test_an_app_is_created_by_one_button_and_its_repositories_are_read(
    alice: FlaskClient, store: Store, settings: Settings, acme: Organization, peer: Peer, key: str
) -> None:
    assert "Create the GitHub App" in alice.get(PAGE).text
    form = alice.post(f"{PAGE}/app", data={"account": "acme-inc"})
    action = re.search(r'action="([^"]*settings/apps/new[^"]*)"', form.text)
    sent = re.search(r'name="manifest"\s+value="([^"]*)"', form.text)
    assert action is not None
    assert sent is not None
    asked = urlsplit(unescape(action[1]))
    assert asked.path == "/organizations/acme-inc/settings/apps/new"
    assert peer.url in form.headers["Content-Security-Policy"]
    body = json.loads(unescape(sent[1]))
    assert body["public"] is False
    assert set(body["default_permissions"].values()) == {"read"}
    assert urlsplit(body["redirect_url"]).path == f"{PAGE}/created"
    assert "hook_attributes" not in body, "GitHub cannot reach this machine"

    state = parse_qs(asked.query)["state"][0]
    back = alice.get(f"{PAGE}/created?code=abc-1&state={state}")
    assert (back.status_code, back.location) == (302, f"{peer.url}/apps/costlens-acme/installations/new")
    assert alice.get(f"{PAGE}/installed?installation_id=1&setup_action=install").status_code == 303
    assert "Asking GitHub" in alice.get(PAGE).text
    assert github_connect.refresh(store, github_of(settings), acme.id) == 2

    chosen = sources(store, acme)
    assert alice.post(f"{PAGE}/repositories", data={"repository": list(chosen.values())}).status_code == 303
    read_all(store, settings, acme)
    page = text_of(alice.get(PAGE).text)
    assert "2 repositories of 2 read" in page
    assert page.count("up to date") == 2
    assert len(facts(store)["pulls"]) == 9
    assert peer.minted == 1
    with store.read() as tx:
        row = connections.get_connection(tx, acme.id)
        installation = sync_store.get_installation(tx, acme.id, 1)
    raw = repr(row) + repr(installation)
    for secret in (key, "from github", "shh", "ghs_1_1"):
        assert secret not in raw
    assert github_of(settings).box.open(row.webhook_secret) == "from github"


def test_a_token_is_tried_before_it_is_stored(alice: FlaskClient, store: Store, acme: Organization, peer: Peer) -> None:
    peer.script(r"GET /user", (401, {}, {"message": "Bad credentials"}))
    refused = alice.post(f"{PAGE}/token", data={"token": "github_pat_wrong"})
    assert (refused.status_code, "GitHub does not accept this token" in refused.text) == (400, True)
    assert github_connect.connected(store, acme.id).connection is None
    peer.script(r"GET /user", *[(503, {}, None)] * 2)
    assert "Try again in a moment" in alice.post(f"{PAGE}/token", data={"token": "github_pat_good"}).text
    assert alice.post(f"{PAGE}/token", data={"token": " github_pat_good\n"}).status_code == 303
    page = alice.get(PAGE).text
    assert "None is read yet" in page
    assert "github_pat_good" not in page
    again = alice.post(f"{PAGE}/token", data={"token": "github_pat_good"})
    assert (again.status_code, "connected already" in again.text) == (400, True)


@pytest.mark.parametrize("query", ["code=abc", "code=abc&state=", "code=abc&state=guess", "state=guess"])
def test_an_answer_that_nobody_asked_for_is_refused(
    alice: FlaskClient, store: Store, acme: Organization, peer: Peer, query: str
) -> None:
    for _ in range(2):
        assert alice.get(f"{PAGE}/created?{query}").status_code == 400
        alice.post(f"{PAGE}/app", data={"account": ""})
    assert github_connect.connected(store, acme.id).connection is None
    assert peer.count("conversions") == 0


def test_a_code_that_github_does_not_know(alice: FlaskClient, peer: Peer) -> None:
    state = begin(alice)
    peer.script("conversions", (404, {}, {"message": "Not Found"}))
    answer = alice.get(f"{PAGE}/created?code=old&state={state}")
    assert (answer.status_code, "begin again" in answer.text) == (400, True)
    assert alice.get(f"{PAGE}/created?code=abc&state={state}").status_code == 400, "a state is good once"


def begin(client: FlaskClient) -> str:
    found = re.search(r"state=([\w-]+)", client.post(f"{PAGE}/app", data={"account": ""}).text)
    assert found is not None
    return found[1]


def test_only_owners_and_admins_change_anything(
    bob: FlaskClient, alice: FlaskClient, store: Store, acme: Organization
) -> None:
    assert "An owner or an admin" in bob.get(PAGE).text
    alice.post(f"{PAGE}/token", data={"token": "github_pat_good"})
    source = next(iter(sources(store, acme).values()))
    for path in ("app", "token", "list", "repositories", f"repositories/{source}/team", f"repositories/{source}/again",
                 "webhook-secret", "disconnect", "comments", "comments/again", "comments/delete"):  # fmt: skip
        assert bob.post(f"{PAGE}/{path}", data={"confirmation": "Acme"}).status_code == 403, path
    assert bob.get(f"{PAGE}/created?code=1&state=1").status_code == 403
    shown = bob.get(PAGE).text
    assert "<form" not in shown.split('id="main"')[1].split("</main>")[0]
    assert github_connect.connected(store, acme.id).connection is not None


def test_a_team_gets_a_repository_once_it_was_read(
    alice: FlaskClient, store: Store, settings: Settings, acme: Organization, charlie_key: str
) -> None:
    alice.post(f"{PAGE}/token", data={"token": "github_pat_good"})
    team = create_team(store, acme.id, "Storefront")
    with store.read() as tx:
        other = tx.execute(select(t.organizations.c.id).where(t.organizations.c.slug == "initech")).scalar_one()
    strange = create_team(store, other, "Others")
    source = sources(store, acme)["acme/web"]
    assert alice.post(f"{PAGE}/repositories/{source}/team", data={"team": team}).status_code == 400
    alice.post(f"{PAGE}/repositories", data={"repository": [source]})
    read_all(store, settings, acme)
    assert alice.post(f"{PAGE}/repositories/{source}/team", data={"team": team}).status_code == 303
    assert re.search(r"selected>\s*Storefront", alice.get(PAGE).text)
    assert alice.post(f"{PAGE}/repositories/{source}/team", data={"team": strange}).status_code == 404
    assert alice.post(f"{PAGE}/repositories/99999/team", data={"team": team}).status_code == 404
    assert alice.post(f"{PAGE}/repositories/{source}/team", data={"team": ""}).status_code == 303
    with store.read() as tx:
        assert {row.team_id for row in tx.execute(select(t.repositories))} == {None}


def test_a_repository_that_is_not_offered_cannot_be_chosen(
    alice: FlaskClient, store: Store, acme: Organization
) -> None:
    alice.post(f"{PAGE}/token", data={"token": "github_pat_good"})
    assert alice.post(f"{PAGE}/repositories", data={"repository": ["999", "x"]}).status_code == 400


def test_the_states_are_told_in_words(
    alice: FlaskClient, store: Store, settings: Settings, acme: Organization, peer: Peer
) -> None:
    alice.post(f"{PAGE}/token", data={"token": "github_pat_good"})
    chosen = sources(store, acme)
    alice.post(f"{PAGE}/repositories", data={"repository": list(chosen.values())})
    assert "waiting" in alice.get(PAGE).text
    peer.script(r"GET /repositories/501", (403, {"Retry-After": "600"}, {"message": "secondary rate limit"}))
    read_all(store, settings, acme)
    page = text_of(alice.get(PAGE).text)
    assert "rate limit" in page
    assert "GitHub asks to wait" in page
    assert "paused until" in page
    with store.write() as tx:
        half = {
            "phase": "pulls", "floor": datetime(2026, 1, 1, tzinfo=UTC), "state": "ok", "items": 120,
            "started_at": datetime(2026, 11, 1, tzinfo=UTC), "top": datetime(2026, 11, 1, tzinfo=UTC),
            "reached": datetime(2026, 6, 2, tzinfo=UTC),
        }  # fmt: skip
        tx.execute(t.github_repositories.update().values(**half))
    page = alice.get(PAGE).text
    assert 'value="45"' in page
    assert "data-live" in page


def test_the_webhook_secret_of_a_token_is_shown_once(
    alice: FlaskClient, store: Store, settings: Settings, acme: Organization
) -> None:
    alice.post(f"{PAGE}/token", data={"token": "github_pat_good"})
    shown = alice.post(f"{PAGE}/webhook-secret").text
    with store.read() as tx:
        row = connections.get_connection(tx, acme.id)
    secret = github_of(settings).box.open(row.webhook_secret)
    assert secret in shown
    assert secret not in alice.get(PAGE).text


def test_comments_are_off_until_they_are_turned_on_and_what_hinders_them_is_said(
    alice: FlaskClient, store: Store, settings: Settings, acme: Organization, alice_key: str, peer: Peer
) -> None:
    peer.repo(502).private = False
    alice.post(f"{PAGE}/token", data={"token": "github_pat_good"})
    alice.post(f"{PAGE}/repositories", data={"repository": list(sources(store, acme).values())})
    read_all(store, settings, acme)
    card = comments_card(alice)
    assert "Off: one quiet comment" in card
    assert "acme/api public" in card
    assert comments.at_work(store) == []
    web = sources(store, acme)["acme/web"]
    assert alice.post(f"{PAGE}/comments", data={"on": "yes", "repository": [999]}).status_code == 400
    assert alice.post(f"{PAGE}/comments", data={"on": "yes", "repository": [web]}).status_code == 303
    assert "On: one quiet comment" in comments_card(alice)
    assert re.search(rf'value="{web}"\s+checked', alice.get(PAGE).text.split('id="comments"')[1])

    now = datetime.now(UTC)
    used = Usage(1_000, 0, 0, 0, 200, 0, UsageQuality.EXACT)
    run = RunInput("openai", "gpt-5.4", used, now, repository="acme/web", pr_number=3)
    ingest(store, authenticate(store, alice_key, "ingest"), [run], now=now)
    with store.read() as tx:
        repository_id = tx.execute(select(t.runs.c.repository_id)).scalar_one()
    linking.link_repository(store, acme.id, repository_id, now=now)
    peer.script(r"POST /repos/acme/web/issues", (403, {}, {"message": "Resource not accessible by token"}))
    for _ in range(2):
        comments.work(store, github_of(settings), settings.base_url, acme.id)
    card = comments_card(alice)
    assert "GitHub does not let CostLens comment. Give the token the permission Pull requests: Read and write" in card
    assert "acme/web not allowed GitHub refuses access: Resource not accessible by token" in card
    assert alice.post(f"{PAGE}/comments/again").status_code == 303
    assert "not allowed" not in comments_card(alice)
    comments.work(store, github_of(settings), settings.base_url, acme.id)
    assert "acme/web 1 comment, the last just now" in comments_card(alice)

    assert alice.post(f"{PAGE}/comments", data={"repository": [web]}).status_code == 303
    assert "1 comment stands where comments are off. It is not edited any more." in comments_card(alice)
    assert alice.post(f"{PAGE}/comments/delete").status_code == 303
    assert "1 comment being deleted" in comments_card(alice)
    comments.work(store, github_of(settings), settings.base_url, acme.id)
    assert "being deleted" not in comments_card(alice)
    assert peer.comments == {}
    with store.read() as tx:
        actions = [row.action for row in tx.execute(select(t.audit_entries).order_by(t.audit_entries.c.id))]
    assert actions[-3:] == ["github.comments_changed", "github.comments_changed", "github.comments_deleted"]


def comments_card(client: FlaskClient) -> str:
    return text_of(client.get(PAGE).text.split('id="comments"')[1].split("</section>")[0])


def test_disconnect_deletes_what_github_told_and_keeps_the_runs(
    alice: FlaskClient, store: Store, settings: Settings, acme: Organization, alice_key: str, peer: Peer
) -> None:
    peer.repo(502).pulls[0]["body"] = "CostLens-Run: homeless"
    alice.post(f"{PAGE}/token", data={"token": "github_pat_good"})
    alice.post(f"{PAGE}/repositories", data={"repository": list(sources(store, acme).values())})
    read_all(store, settings, acme)
    now = datetime.now(UTC)
    used = Usage(1_000, 0, 0, 0, 200, 0, UsageQuality.EXACT)
    runs = [
        RunInput("openai", "gpt-5.4", used, now - timedelta(hours=n), repository="acme/web", pr_number=n, branch="x")
        for n in (1, 2, 3)
    ]
    runs.append(RunInput("openai", "gpt-5.4", used, now - timedelta(hours=4), request_id="homeless"))
    ingest(store, authenticate(store, alice_key, "ingest"), runs, now=now)
    with store.read() as tx:
        ids = [row.id for row in tx.execute(select(t.repositories))]
    for number in (0, *ids):
        linking.link_repository(store, acme.id, number, now=now)
    assert states(store) == ["counted"] * 4

    wrong = alice.post(f"{PAGE}/disconnect", data={"confirmation": "acme"})
    assert (wrong.status_code, "Type Acme to confirm" in text_of(wrong.text)) == (400, True)
    assert alice.post(f"{PAGE}/disconnect", data={"confirmation": "Acme"}).status_code == 303
    waits = text_of(alice.get(PAGE).text)
    assert ("Disconnecting" in waits, "waiting for the worker" in waits) == (True, True)
    again = alice.post(f"{PAGE}/token", data={"token": "github_pat_good"})
    assert (again.status_code, "still being deleted" in again.text) == (400, True)
    assert github_disconnect.go_on(store, acme.id, seconds=0)
    assert "0 %" in text_of(alice.get(PAGE).text)
    assert not github_disconnect.go_on(store, acme.id)
    found = facts(store)
    assert (found["pulls"], found["commits"], found["mentions"]) == ([], [], [])
    assert set(states(store)) <= {"pending", "unlinked"}
    assert check(store, acme.id).findings == ()
    with store.read() as tx:
        assert tx.execute(select(t.links)).all() == []
        for table in (t.github_connections, t.github_installations, t.github_repositories, t.github_deliveries):
            assert tx.execute(select(table)).all() == []
        actions = [row.action for row in tx.execute(select(t.audit_entries).order_by(t.audit_entries.c.id))]
    assert actions[-3:] == ["github.connected", "github.repositories_chosen", "github.disconnected"]
    assert "Connect by token" in alice.get(PAGE).text
    for page in ("repositories", "pulls", "runs"):
        assert alice.get(f"/app/acme/{page}").status_code == 200


def states(store: Store) -> list[str]:
    with store.read() as tx:
        return [row.link_state for row in tx.execute(select(t.runs))]


def test_secrets_are_sealed_anew_when_the_servers_secret_changes(
    alice: FlaskClient, store: Store, settings: Settings, acme: Organization
) -> None:
    alice.post(f"{PAGE}/token", data={"token": "github_pat_good"})
    add_key(store, box(settings), acme.id, "openai", "sk-of-acme", by="alice@example.com", now=datetime.now(UTC))
    old, new = settings.secret_key, "n" * 40
    assert reseal(store, Box((new, old))) == 3
    with store.read() as tx:
        row = connections.get_connection(tx, acme.id)
        key = tx.execute(select(t.provider_keys)).one()
    assert Box((new,)).open(row.token) == "github_pat_good"
    assert Box((new,)).open(key.sealed) == "sk-of-acme"
