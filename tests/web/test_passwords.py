"""Signing in with e-mail and password: throttled, reset by e-mail or by an owner's link, and what ends sessions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from costlens.config import Settings, load_settings
from costlens.domain.errors import InvalidInput, RateLimited, Unauthorized
from costlens.domain.passwords import check_password
from costlens.factory import create_app
from costlens.services import joining, passwords
from costlens.services.set_up import set_up_token
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.organizations import Organization, find_user
from tests.e2e.servers import queue_at
from tests.web.mail import MailServer, link_in, mail_server
from tests.web.people import Person, add_member, audit_of, rows_of, signed_in, text_of

PASSWORD = "correct horse battery"
OTHER = "staple paper clip seven"
HOME = "/app/acme/settings/people"


def set_password(store: Store, email: str, password: str = PASSWORD) -> None:
    with store.read() as tx:
        user = find_user(tx, email)
    assert user is not None
    passwords.change_password(store, user, PASSWORD, password)


@pytest.fixture
def alice(store: Store, acme: Organization) -> None:
    """alice has a password."""
    set_password(store, "alice@example.com")


def enter(client: FlaskClient, password: str, email: str = "alice@example.com", address: str = "10.0.0.1") -> int:
    """Tries to sign in, and answers the status."""
    form = {"email": email, "password": password}
    return client.post("/sign-in/password", data=form, environ_base={"REMOTE_ADDR": address}).status_code


def test_signing_in(client: FlaskClient, alice: None) -> None:
    assert client.get(HOME).location == "/sign-in"
    response = client.post("/sign-in/password", data={"email": " ALICE@example.com ", "password": PASSWORD})
    assert (response.status_code, response.location) == (303, HOME)
    assert client.get(HOME).status_code == 200


def wrong_for(email: str) -> tuple[str, ...]:
    """Passwords that are not this address's."""
    return ("wrong", "", "x" * 10_000, "\0" if email == "alice@example.com" else PASSWORD)


def test_a_wrong_password_says_the_same_of_every_address(
    store: Store, acme: Organization, client: FlaskClient, alice: None
) -> None:
    add_member(store, acme, "bob@example.com", "member")  # who has none
    emails = ("alice@example.com", "nobody@example.com", "bob@example.com", "", "\0")
    for email, password in [(one, wrong) for one in emails for wrong in wrong_for(one)]:
        response = client.post("/sign-in/password", data={"email": email, "password": password})
        assert response.status_code == 401
        assert "This e-mail address and password do not match" in text_of(response)
    assert client.get(HOME).status_code == 302


def test_guessing_ends_after_five(settings: Settings, client: FlaskClient, alice: None) -> None:
    assert [enter(client, "wrong") for _ in range(7)] == [401] * 5 + [429] * 2
    assert enter(client, PASSWORD) == 429
    other = create_app(settings).test_client()  # another process counts the same
    assert enter(other, PASSWORD) == 429
    assert enter(other, PASSWORD, address="10.0.0.2") == 303  # alice, who is elsewhere, is not locked out
    form = {"email": "alice@example.com", "password": "wrong"}
    response = client.post("/sign-in/password", data=form, environ_base={"REMOTE_ADDR": "10.0.0.1"})
    assert "Too many attempts; try again in" in text_of(response)


def test_guessing_from_everywhere_ends_too(store: Store, alice: None) -> None:
    now = datetime.now(UTC)
    for number in range(passwords.PER_ACCOUNT):
        with pytest.raises(Unauthorized):
            passwords.sign_in(store, "alice@example.com", "wrong", f"10.0.{number}.1", now=now)
    with pytest.raises(RateLimited) as refused:
        passwords.sign_in(store, "alice@example.com", PASSWORD, "10.9.9.9", now=now)
    assert 0 < refused.value.retry_after <= 15 * 60 + 1
    later = now + timedelta(minutes=15)
    assert passwords.sign_in(store, "alice@example.com", PASSWORD, "10.9.9.9", now=later)
    assert len({row.span for row in rows_of(store, t.attempts)}) == 1  # older counts are gone
    assert "alice" not in repr(rows_of(store, t.attempts))


def test_a_sign_in_that_works_starts_the_count_anew(client: FlaskClient, alice: None) -> None:
    for _ in range(3):
        assert [enter(client, "wrong") for _ in range(4)] == [401] * 4
        assert enter(client, PASSWORD) == 303


def test_many_guesses_at_once_are_all_counted(settings: Settings, store: Store, alice: None) -> None:
    results: list[str] = []

    def guess() -> None:
        try:
            passwords.sign_in(store, "alice@example.com", "wrong", "10.0.0.1")
        except (Unauthorized, RateLimited) as error:
            results.append(error.code)

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["rate_limited"] * 7 + ["unauthorized"] * 5


def test_a_session_that_somebody_else_began_does_not_become_this_one(client: FlaskClient, alice: None) -> None:
    with client.session_transaction() as session:
        session["planted"] = "by somebody else"
        session["_user_id"] = "chosen by somebody else"
    enter(client, PASSWORD)
    with client.session_transaction() as session:
        assert "planted" not in session
        assert session["_user_id"] != "chosen by somebody else"


def test_a_form_of_another_site_signs_nobody_in(client: FlaskClient, alice: None) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        form = {"email": "alice@example.com", "password": PASSWORD}
        assert client.post("/sign-in/password", data=form, headers=headers).status_code == 403
    assert client.get_cookie("session") is None


def test_the_first_owner_may_choose_one_at_once(client: FlaskClient, settings: Settings) -> None:
    path = f"/set-up/{set_up_token(settings)}"
    form = {"organization": "Umbrella", "email": "alice@example.com", "timezone": "", "password": "short"}
    response = client.post(path, data=form)
    assert (response.status_code, "12 to 200 characters" in text_of(response)) == (400, True)
    assert client.post(path, data=form | {"password": PASSWORD}).status_code == 200
    assert client.get("/app/umbrella/settings/people").status_code == 200
    assert enter(client.application.test_client(), PASSWORD) == 303


# One's own account.


def test_a_password_is_changed_with_the_old_one(app: Flask, store: Store, acme: Organization, alice: None) -> None:
    here, there = (signed_in(app, store, "alice@example.com") for _ in range(2))
    assert "not your current password" in here.send("sign-in/password", current="wrong", password=OTHER)
    assert "12 to 200 characters" in here.send("sign-in/password", current=PASSWORD, password="short")
    assert "password is set" in here.send("sign-in/password", current=PASSWORD, password=OTHER)
    here.get("people")  # goes on
    assert there.client.get(HOME).status_code == 302
    assert (enter(there.client, PASSWORD), enter(there.client, OTHER)) == (401, 303)
    assert audit_of(store, acme.id)[-1][1] == "password.changed"
    for _ in range(5):
        here.send("sign-in/password", current="wrong", password=OTHER)
    assert "Too many attempts" in here.send("sign-in/password", current=OTHER, password=PASSWORD)


def test_sessions_are_listed_and_ended_one_by_one(app: Flask, store: Store, acme: Organization, alice: None) -> None:
    here, there = (signed_in(app, store, "alice@example.com") for _ in range(2))
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0 <b>x</b>"
    third = app.test_client()
    form = {"email": "alice@example.com", "password": PASSWORD}
    third.post("/sign-in/password", data=form, headers={"User-Agent": agent})
    page = here.get("sign-in")
    assert "Firefox on Linux" in page
    assert page.count("this one") == 1
    assert "<b>x" not in page
    number = [row.id for row in rows_of(store, t.sessions)][1]
    assert here.send(f"sign-in/sessions/{number}/end") == "That session has ended"
    assert "ended already" in here.send(f"sign-in/sessions/{number}/end")
    assert there.client.get(HOME).status_code == 302
    assert third.get(HOME).status_code == here.client.get(HOME).status_code == 200
    own = next(row.id for row in rows_of(store, t.sessions))
    assert here.post(f"sign-in/sessions/{own}/end").location == "/sign-in"
    assert here.client.get(HOME).status_code == 302


def test_sessions_of_others_cannot_be_ended(app: Flask, store: Store, acme: Organization, alice: None) -> None:
    add_member(store, acme, "bob@example.com", "owner")
    alice_, bob = (signed_in(app, store, f"{name}@example.com") for name in ("alice", "bob"))
    assert "ended already" in bob.send(f"sign-in/sessions/{rows_of(store, t.sessions)[0].id}/end")
    alice_.get("people")


def test_signing_out_everywhere(app: Flask, store: Store, acme: Organization, alice: None) -> None:
    here, there = (signed_in(app, store, "alice@example.com") for _ in range(2))
    copied = here.client.get_cookie("session")
    assert copied is not None
    assert here.post("sign-in/sessions/end-all").location == "/sign-in"
    thief = app.test_client()
    thief.set_cookie("session", copied.value)
    assert [one.get(HOME).status_code for one in (here.client, there.client, thief)] == [302] * 3
    assert audit_of(store, acme.id)[-1][1] == "sessions.ended"


def test_a_copied_cookie_is_worth_nothing_after_signing_out(app: Flask, store: Store, acme: Organization) -> None:
    person = signed_in(app, store, "alice@example.com")
    copied = person.client.get_cookie("session")
    assert copied is not None
    person.client.post("/sign-out")
    thief = app.test_client()
    thief.set_cookie("session", copied.value)
    assert thief.get(HOME).status_code == 302


def test_a_session_ends_by_itself(app: Flask, store: Store, acme: Organization) -> None:
    person = signed_in(app, store, "alice@example.com")
    with store.write() as tx:
        tx.execute(update(t.sessions).values(expires_at=datetime.now(UTC)))
    assert person.client.get(HOME).status_code == 302


# A new password.


@pytest.fixture(scope="module")
def server() -> Iterator[MailServer]:
    with mail_server() as found:
        yield found


@pytest.fixture
def mailing(settings: Settings, server: MailServer, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a server that sends e-mails, with a real queue."""
    server.mails.clear()
    mail = load_settings({"COSTLENS_DATA": str(settings.data), "SMTP_URL": server.url}).mail
    with queue_at(tmp_path) as url:
        yield replace(settings, mail=mail, redis_url=url)


def test_a_reset_by_email(mailing: Settings, server: MailServer, store: Store, alice: None) -> None:
    app = create_app(mailing)
    person = signed_in(app, store, "alice@example.com")
    said = set()
    for email in ("alice@example.com", "nobody@example.com"):
        response = app.test_client().post("/sign-in/forgotten", data={"email": email})
        assert response.status_code == 200
        said.add(text_of(response).replace(email, "…"))
    assert len(said) == 1
    assert app.extensions["costlens"].queue._open().count == 2
    for email in ("alice@example.com", "nobody@example.com"):
        joining.send_reset(store, mailing, email)  # as the worker does, tests/workers/test_people_jobs.py
    assert [mail["To"] for mail in server.mails] == ["alice@example.com"]
    path = link_in(server.mails[0])
    assert path.startswith("/sign-in/new-password/")

    browser = app.test_client()
    assert browser.head(path).status_code == 200  # as a preview sends
    assert "For alice@example.com" in text_of(browser.get(path))
    assert "too easy to guess" in text_of(browser.post(path, data={"password": "passwordpassword"}))
    assert browser.post(path, data={"password": OTHER}).status_code == 303
    assert browser.get(HOME).status_code == 200
    assert person.client.get(HOME).status_code == 302
    for response in (browser.get(path), browser.post(path, data={"password": PASSWORD})):
        assert response.status_code == 410
    assert enter(app.test_client(), OTHER) == 303


def test_resets_are_not_asked_for_without_end(mailing: Settings, store: Store, alice: None) -> None:
    app = create_app(mailing)
    queue = app.extensions["costlens"].queue
    for _ in range(5):
        assert app.test_client().post("/sign-in/forgotten", data={"email": "alice@example.com"}).status_code == 200
        queue._open().empty()
    assert app.test_client().post("/sign-in/forgotten", data={"email": "alice@example.com"}).status_code == 200
    assert queue._open().count == 0


def test_the_queue_is_away(settings: Settings, server: MailServer, store: Store, alice: None) -> None:
    mail = load_settings({"COSTLENS_DATA": str(settings.data), "SMTP_URL": server.url}).mail
    response = (
        create_app(replace(settings, mail=mail))
        .test_client()
        .post("/sign-in/forgotten", data={"email": "alice@example.com"})
    )
    assert (response.status_code, "cannot be sent at the moment" in text_of(response)) == (503, True)


def test_without_a_mail_server(client: FlaskClient, alice: None) -> None:
    assert "sends no e-mails" in text_of(client.get("/sign-in/forgotten"))
    assert client.post("/sign-in/forgotten", data={"email": "alice@example.com"}).status_code == 404


@pytest.mark.parametrize("seconds", [-1, 30])
def test_a_reset_link_expires(store: Store, client: FlaskClient, alice: None, seconds: int) -> None:
    token = passwords.reset_token(store, rows_of(store, t.users)[0].id)
    with store.write() as tx:
        tx.execute(update(t.sign_in_links).values(expires_at=datetime.now(UTC) + timedelta(seconds=seconds)))
    assert client.get(f"/sign-in/new-password/{token}").status_code == (200 if seconds > 0 else 410)


def test_links_are_of_one_kind(store: Store, client: FlaskClient, alice: None) -> None:
    token = passwords.reset_token(store, rows_of(store, t.users)[0].id)
    assert client.get(f"/sign-in/{token}").status_code == 410  # it does not sign in
    assert client.get(f"/sign-in/new-password/{token}").status_code == 200


def test_an_owners_link(app: Flask, store: Store, acme: Organization) -> None:
    owner = signed_in(app, store, "alice@example.com")
    bob = add_member(store, acme, "bob@example.com", "member")
    response = owner.post(f"sign-in/password-link/{bob}")
    path = "/sign-in/new-password/" + response.text.partition("/sign-in/new-password/")[2].partition("<")[0].strip()
    browser = app.test_client()
    assert browser.post(path, data={"password": OTHER}).status_code == 303
    assert Person(browser, "bob@example.com", "acme").get("people")
    assert ("alice@example.com", "password.link_made", "bob@example.com") in audit_of(store, acme.id)


def test_an_owners_link_opens_no_other_organization(
    app: Flask, store: Store, acme: Organization, charlie_key: str
) -> None:
    charlie = add_member(store, acme, "charlie@example.com", "member")
    eve = add_member(store, acme, "eve@example.com", "owner")
    dora = add_member(store, acme, "dora@example.com", "admin")
    owner, admin = (signed_in(app, store, f"{name}@example.com") for name in ("alice", "dora"))
    assert "in another organization too" in owner.send(f"sign-in/password-link/{charlie}")
    assert owner.post(f"sign-in/password-link/{eve}").status_code == 403
    assert admin.post(f"sign-in/password-link/{dora}").status_code == 403
    assert rows_of(store, t.sign_in_links)[-1].purpose == "sign_in"


@pytest.mark.parametrize(
    "password",
    ["short", "x" * 201, "aaaaaaaaaaaaaa", "password1234", "alice@example.com", "Alice1234567", "123456123456"],
)  # fmt: skip
def test_passwords_that_are_too_easy(password: str) -> None:
    with pytest.raises(InvalidInput):
        check_password(password, "alice@example.com")


def test_passwords_that_are_not() -> None:
    for password in (PASSWORD, OTHER, "Tr0ub4dor&3 zebra", "ünïcödé wörds"):
        check_password(password, "alice@example.com")
