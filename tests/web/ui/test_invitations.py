"""Invitations: made, sent, renewed, revoked and accepted, each once and only by whom they are for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from costlens.config import Settings, load_settings
from costlens.factory import create_app
from costlens.services import invitations
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.web.mail import MailServer, link_in, mail_server
from tests.web.people import Person, add_member, audit_of, notice, rows_of, signed_in, text_of

FORM = {"role": "member", "days": "7", "team": ""}
PASSWORD = "correct horse battery"
NEW = {"name": "Erin Example", "password": PASSWORD}


@pytest.fixture(scope="module")
def server() -> Iterator[MailServer]:
    with mail_server() as found:
        yield found


@pytest.fixture
def mails(server: MailServer) -> MailServer:
    server.mails.clear()
    server.refused.clear()
    return server


@pytest.fixture
def mailing(settings: Settings, store: Store, acme: Organization, mails: MailServer) -> Iterator[Person]:
    """alice, on a server that sends e-mails."""
    mail = load_settings({"COSTLENS_DATA": str(settings.data), "SMTP_URL": mails.url}).mail
    app = create_app(replace(settings, mail=mail))
    yield signed_in(app, store, "alice@example.com")
    app.extensions["costlens"].store.close()


def links(page: str) -> list[str]:
    """The paths of the links to copy."""
    return re.findall(r'value="https?://[^/"]+(/invitations/[^"]+)"', page)


def invite(person: Person, emails: str = "erin@example.com", **values: str) -> str:
    """Invites, and answers the path of the last link."""
    person.send("people/invite", emails=emails, **(FORM | values))
    return links(person.get("people"))[-1]


def members_of(store: Store) -> dict[str, str]:
    emails = {row.id: row.email for row in rows_of(store, t.users)}
    return {emails[row.user_id]: row.role for row in rows_of(store, t.members) if row.organization_id == 1}


def test_a_new_person_joins_with_a_password(app: Flask, store: Store, acme: Organization, owner: Person) -> None:
    owner.send("teams", name="Payments")
    path = invite(owner, role="admin", team="1")
    browser = app.test_client()
    page = text_of(browser.get(path))
    assert "alice@example.com invites erin@example.com as admin of the team Payments" in page
    response = browser.post(path, data=NEW)
    assert (response.status_code, response.location) == (303, "/app/acme/repositories")
    erin = Person(browser, "erin@example.com", "acme")
    assert "Payments" in erin.get("people")
    assert members_of(store)["erin@example.com"] == "admin"
    assert rows_of(store, t.users)[-1].password_hash.startswith("$argon2id$")
    assert [entry[:2] for entry in audit_of(store, acme.id)[-2:]] == [
        ("alice@example.com", "invitation.made"),
        ("erin@example.com", "invitation.accepted"),
    ]


def test_an_invitation_works_once(app: Flask, store: Store, owner: Person) -> None:
    path = invite(owner)
    assert app.test_client().post(path, data=NEW).status_code == 303
    for client in (app.test_client(), owner.client):
        assert client.get(path).status_code == 410
        assert client.post(path, data=NEW).status_code == 410
        assert client.post(f"{path}/accept").status_code == 410
    assert "was accepted" in text_of(app.test_client().get(path))
    assert len(members_of(store)) == 2


def test_one_who_was_removed_does_not_come_back_with_the_link(app: Flask, store: Store, owner: Person) -> None:
    path = invite(owner)
    browser = app.test_client()
    browser.post(path, data=NEW)
    owner.send(f"people/{rows_of(store, t.members)[-1].id}/remove")
    assert browser.post(f"{path}/accept").status_code == 410
    assert "erin@example.com" not in members_of(store)


def test_an_old_one_is_renewed(app: Flask, store: Store, owner: Person) -> None:
    path = invite(owner, days="1")
    with store.write() as tx:
        tx.execute(update(t.invitations).values(expires_at=datetime.now(UTC)))
    browser = app.test_client()
    assert "too old" in text_of(browser.get(path))
    assert browser.post(path, data=NEW).status_code == 410
    assert "expired" in owner.get("people")
    assert "holds for a week" in owner.send("people/invitations/1/renew")
    assert browser.get(path).status_code == 200
    assert browser.post(path, data=NEW).status_code == 303


def test_a_revoked_one(app: Flask, owner: Person) -> None:
    path = invite(owner)
    assert "is revoked" in owner.send("people/invitations/1/revoke")
    browser = app.test_client()
    assert "was revoked" in text_of(browser.get(path))
    assert browser.post(path, data=NEW).status_code == 410
    assert "used or revoked meanwhile" in owner.send("people/invitations/1/renew")


def test_a_link_that_is_not_ours(client: FlaskClient, owner: Person) -> None:
    invite(owner)
    for token in ("x", "%00", "WzEsMV0.x", "é" * 30, "a" * 2000):
        assert client.get(f"/invitations/{token}").status_code == 404
        assert client.post(f"/invitations/{token}", data=NEW).status_code == 404


def test_a_link_of_a_deleted_organization_is_not_the_next_ones(app: Flask, store: Store, owner: Person) -> None:
    path = invite(owner)
    owner.post("organization/new", name="Umbrella")
    owner.post("organization/delete", name="Acme")
    umbrella = Person(owner.client, owner.email, "umbrella")
    invite(umbrella)  # of the same number, on SQLite
    assert app.test_client().get(path).status_code == 404


def test_who_has_an_account_signs_in_first(app: Flask, store: Store, owner: Person, charlie_key: str) -> None:
    path = invite(owner, "charlie@example.com")
    browser = app.test_client()
    assert "Sign in to accept" in text_of(browser.get(path))
    response = browser.post(path, data=NEW)  # a link alone must not set somebody's password
    assert (response.status_code, "sign in, then accept" in text_of(response)) == (409, True)
    assert rows_of(store, t.users)[1].password_hash is None
    charlie = signed_in(app, store, "charlie@example.com", "initech")
    assert "You are signed in as charlie@example.com" in text_of(charlie.client.get(path))
    assert charlie.client.post(f"{path}/accept").location == "/app/acme/repositories"
    assert members_of(store)["charlie@example.com"] == "member"


def test_another_account(app: Flask, store: Store, owner: Person, charlie_key: str) -> None:
    path = invite(owner)
    charlie = signed_in(app, store, "charlie@example.com", "initech")
    for response in (charlie.client.get(path), charlie.client.post(f"{path}/accept")):
        assert response.status_code == 409
        assert "is for erin@example.com, and you are signed in as charlie@example.com" in text_of(response)
    assert charlie.client.post("/sign-out", data={"next": path}).location == path
    assert "Create account and join" in text_of(charlie.client.get(path))
    assert set(members_of(store)) == {"alice@example.com"}


def test_signing_in_leads_back_to_the_invitation(app: Flask, store: Store, owner: Person, charlie_key: str) -> None:
    path = invite(owner, "charlie@example.com")
    browser = app.test_client()
    browser.get(path)
    charlie = signed_in(app, store, "charlie@example.com", "initech")
    charlie.post("sign-in/password", password=PASSWORD)
    response = browser.post("/sign-in/password", data={"email": "charlie@example.com", "password": PASSWORD})
    assert response.location == path


def test_a_paste_of_many(owner: Person, store: Store, acme: Organization) -> None:
    add_member(store, acme, "bob@example.com", "member")
    pasted = "erin@example.com; Frank <FRANK@example.com>\nbob@example.com, junk, erin@example.com"
    said = owner.send("people/invite", emails=pasted, **FORM)
    assert said == "2 invitations made: copy the links; already here: bob@example.com; not an address: junk"
    assert [row.email for row in rows_of(store, t.invitations)] == ["erin@example.com", "frank@example.com"]
    assert "1 invitation made" in owner.send("people/invite", emails="erin@example.com", **(FORM | {"role": "admin"}))
    assert [row.role for row in rows_of(store, t.invitations)] == ["admin", "member"]


WRONG_VALUES = (
    ({"emails": ""}, "at least one"),
    ({"emails": " ".join(f"p{one}@example.com" for one in range(101))}, "At most 100"),
    ({"role": "root"}, "A role is one of"),
    ({"days": "400"}, "holds for 1, 7 or 30 days"),
    ({"team": "99"}, "No such team"),
)


def test_wrong_values(store: Store, owner: Person) -> None:
    for values, said in WRONG_VALUES:
        assert said in owner.send("people/invite", **({"emails": "erin@example.com"} | FORM | values)), values
    assert rows_of(store, t.invitations) == []


def test_who_may_invite_whom(app: Flask, store: Store, owner: Person, admin: Person, member: Person) -> None:
    form = FORM | {"emails": "erin@example.com"}
    assert member.post("people/invite", **form).status_code == 403
    assert "invitations/" not in member.get("people")
    assert admin.post("people/invite", **(form | {"role": "owner"})).status_code == 403
    invite(owner, "grace@example.com", role="owner")
    for what in ("renew", "revoke"):
        assert admin.post(f"people/invitations/1/{what}").status_code == 403
    assert admin.post("people/invite", **(form | {"emails": "grace@example.com"})).status_code == 403
    assert "/invitations/W" not in admin.get("people")  # nor may an admin copy the link that makes an owner


def test_invitations_of_another_organization(app: Flask, store: Store, owner: Person, charlie_key: str) -> None:
    invite(owner)
    charlie = signed_in(app, store, "charlie@example.com", "initech")
    for what in ("renew", "revoke"):
        assert "No such invitation" in charlie.send(f"people/invitations/1/{what}")
    assert rows_of(store, t.invitations)[0].revoked_at is None
    assert "erin@example.com" not in charlie.get("people")


def test_by_email(mailing: Person, mails: MailServer, store: Store) -> None:
    said = mailing.send("people/invite", emails="erin@example.com frank@example.com", **FORM)
    assert said == "2 invitations made"
    assert [mail["To"] for mail in mails.mails] == ["erin@example.com", "frank@example.com"]
    mail = mails.mails[0]
    assert mail["Subject"] == "Invitation to Acme on CostLens"
    assert "alice@example.com invites you to Acme on CostLens, as member." in mail.get_content()
    assert "sent just now" in re.sub(r"<[^>]*>|\s+", " ", mailing.get("people")).replace("  ", " ")
    browser = mailing.client.application.test_client()
    assert browser.get(link_in(mail)).status_code == 200
    assert browser.post(link_in(mail), data=NEW).status_code == 303


def test_an_email_that_is_refused_can_be_sent_again(mailing: Person, mails: MailServer, store: Store) -> None:
    mails.refused.add("erin@example.com")
    assert "1 e-mail did not go out" in mailing.send("people/invite", emails="erin@example.com", **FORM)
    assert "550 No such mailbox" in mailing.get("people")
    assert "did not go out: erin@example.com was refused" in mailing.send("people/invitations/1/renew")
    mails.refused.clear()
    assert mailing.send("people/invitations/1/renew") == "Sent to erin@example.com again"
    assert "within the last minute" in mailing.send("people/invitations/1/renew")
    assert len(mails.mails) == 1
    with store.write() as tx:
        tx.execute(update(t.invitations).values(sent_at=datetime.now(UTC) - timedelta(minutes=2)))
    mailing.send("people/invitations/1/renew")
    assert link_in(mails.mails[0]) == link_in(mails.mails[1])  # whichever the person finds first works


def test_links_name_this_server_whatever_host_is_asked_for(
    mailing: Person, mails: MailServer, settings: Settings
) -> None:
    cookie = mailing.client.get_cookie("session")
    assert cookie is not None
    evil = mailing.client.application.test_client()
    evil.set_cookie("session", cookie.value, domain="evil.example")
    response = evil.post(
        "/app/acme/settings/people/invite",
        data=FORM | {"emails": "erin@example.com"},
        base_url="http://evil.example",
    )
    assert response.location.startswith("/app/acme/")
    assert settings.base_url in mails.mails[0].get_content()
    assert "evil" not in mails.mails[0].as_string()


def test_names_are_text(app: Flask, store: Store, owner: Person) -> None:
    name = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    path = invite(owner)
    browser = app.test_client()
    assert browser.post(path, data=NEW | {"name": name, "password": "short"}).text.count("<script>alert") == 0
    browser.post(path, data=NEW | {"name": name})
    owner.send("teams", name=name)
    owner.send("organization", name=name, timezone="UTC", hourly_cost="")
    owner.post("keys/new", name=name, kind="personal", scope="read", purpose="staging", days="")
    erin = Person(browser, "erin@example.com", "acme")
    invite(owner, "zoe@example.com", team="1")
    other = app.test_client().get(links(owner.get("people"))[-1]).text
    pages = [owner.get(one) for one in ("people", "teams", "teams/1", "keys", "keys/new", "organization", "audit")]
    for page in (*pages, erin.get("sign-in"), other):
        assert "<script>alert" not in page
        assert "<img src=x" not in page
    assert notice(pages[0]) == ""


def test_two_accept_at_once(app: Flask, settings: Settings, store: Store, acme: Organization, owner: Person) -> None:
    path = invite(owner)
    found = invitations.find_invitation(store, settings, path.rpartition("/")[2])
    assert found is not None
    add_member(store, acme, "erin@example.com", "member")  # meanwhile, by other means
    user = rows_of(store, t.users)[-1].id
    assert invitations.accept(store, found, user) == "acme"
    assert list(members_of(store)) == ["alice@example.com", "erin@example.com"]
