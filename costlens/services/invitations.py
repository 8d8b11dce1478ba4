"""Invitations: sent by e-mail or copied as a link, renewed, revoked, and used once.

A link is signed and names its invitation, so it can be shown again; whether it still holds is in the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from itsdangerous import BadSignature, URLSafeSerializer

from costlens.config import Settings
from costlens.deliveries.email import Mail, send_mails
from costlens.domain.access import Member, check_role
from costlens.domain.addresses import addresses
from costlens.domain.errors import Conflict, InvalidInput, NotFound
from costlens.services.acting import acting, note
from costlens.store import invitations as invitation_store
from costlens.store import organizations as org_store
from costlens.store.engine import Store, Tx
from costlens.store.teams import get_team
from costlens.store.types import to_millis

LIVES = {"1": timedelta(days=1), "7": timedelta(days=7), "30": timedelta(days=30)}  # in days
DEFAULT_LIFE = "7"
MAIL_PAUSE = timedelta(minutes=1)  # between two e-mails of one invitation


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation with the link that accepts it."""

    id: int
    organization_id: int
    organization: str
    slug: str
    email: str
    role: str
    team: str | None  # None: no team
    team_id: int | None  # None: no team
    invited_by: str
    created_at: datetime
    expires_at: datetime
    sent_at: datetime | None  # None: no e-mail went out
    send_error: str | None  # None: the last e-mail went out, or none was tried
    state: str  # open, expired, accepted, revoked
    url: str


@dataclass(frozen=True, slots=True)
class Invited:
    """What became of a paste of addresses."""

    made: Sequence[Invitation]
    members: Sequence[str]  # who are in the organization already
    wrong: Sequence[str]  # what is no address


def invite(
    store: Store,
    settings: Settings,
    by: Member,
    emails: str,
    *,
    role: str = "member",
    team_id: int | None = None,
    days: str = DEFAULT_LIFE,
    now: datetime | None = None,
) -> Invited:
    """Invites every address of a paste, with an e-mail to each where there is a mail server.

    Who is invited already is invited anew, with this role and team. Raises Forbidden, InvalidInput, NotFound.
    """
    at = now or datetime.now(UTC)
    found, wrong = addresses(emails)
    check_role(role)
    if days not in LIVES:
        raise InvalidInput("An invitation holds for 1, 7 or 30 days", field="days")
    made: list[int] = []
    members: list[str] = []

    def work(tx: Tx) -> None:
        made.clear()
        members.clear()
        who = acting(tx, by)
        who.must("manage_people")
        if role == "owner":
            who.must("manage_owners")
        if team_id is not None and get_team(tx, by.organization_id, team_id) is None:
            raise NotFound("No such team", field="team")
        for email in found:
            if org_store.find_member(tx, by.organization_id, email) is not None:
                members.append(email)
                continue
            values = {
                "role": role,
                "team_id": team_id,
                "invited_by": who.email,
                "expires_at": at + LIVES[days],
            }
            earlier = invitation_store.open_invitation(tx, by.organization_id, email)
            if earlier is not None:
                if earlier.role == "owner":
                    who.must("manage_owners")
                invitation_store.change_invitation(tx, earlier.id, values)
                made.append(earlier.id)
            else:
                values |= {"organization_id": by.organization_id, "email": email, "created_at": at}
                made.append(invitation_store.add_invitation(tx, values))
            note(tx, who, at, "invitation.made", email, role=role)

    store.transact(work)
    _mail(store, settings, made, at)
    with store.read() as tx:
        rows = [invitation_store.get_invitation(tx, one) for one in made]
    return Invited([_read(row, settings, at) for row in rows if row is not None], members, wrong)


def _mail(store: Store, settings: Settings, ids: Sequence[int], at: datetime) -> None:
    """Sends each invitation by e-mail and notes what became of it."""
    if settings.mail is None or not ids:
        return
    with store.read() as tx:
        rows = [row for one in ids if (row := invitation_store.get_invitation(tx, one)) is not None]
    told = send_mails(settings.mail, [_letter(_read(row, settings, at)) for row in rows])
    with store.write() as tx:
        for row, error in zip(rows, told, strict=True):
            values: dict[str, Any] = {"send_error": error}
            if error is None:
                values["sent_at"] = at
            invitation_store.change_invitation(tx, row.id, values)


def _letter(one: Invitation) -> Mail:
    text = (
        f"{one.invited_by} invites you to {one.organization} on CostLens, as {one.role}"
        f"{' of the team ' + one.team if one.team else ''}.\n\n"
        f"Accept: {one.url}\n\n"
        f"The link is for {one.email} and holds until {one.expires_at:%d %B %Y, %H:%M} UTC.\n"
        "If you do not know what this is about, ignore it: nothing happens without you.\n"
    )
    return Mail(one.email, f"Invitation to {one.organization} on CostLens", text)


def list_invitations(
    store: Store, settings: Settings, organization_id: int, *, now: datetime | None = None
) -> Sequence[Invitation]:
    """The invitations that wait, and those that are too old, by address."""
    with store.read() as tx:
        rows = invitation_store.list_open(tx, organization_id)
    return [_read(row, settings, now or datetime.now(UTC)) for row in rows]


def renew(
    store: Store, settings: Settings, by: Member, invitation_id: int, *, now: datetime | None = None
) -> Invitation:
    """An invitation that holds for a week from now, its e-mail sent once more; answers it as it is now.

    Raises Forbidden, NotFound, or Conflict where an e-mail went out within the minute.
    """
    at = now or datetime.now(UTC)
    with store.write() as tx:
        who, row = _own(tx, by, invitation_id)
        if settings.mail is not None and row.sent_at is not None and at - row.sent_at < MAIL_PAUSE:
            raise Conflict("An e-mail went out within the last minute")
        invitation_store.change_invitation(tx, invitation_id, {"expires_at": at + LIVES[DEFAULT_LIFE]})
        note(tx, who, at, "invitation.renewed", row.email)
    _mail(store, settings, [invitation_id], at)
    with store.read() as tx:
        row = invitation_store.get_invitation(tx, invitation_id)
    if row is None:
        raise NotFound("No such invitation")
    return _read(row, settings, at)


def revoke(store: Store, by: Member, invitation_id: int, *, now: datetime | None = None) -> str:
    """Makes an invitation worthless and answers its address. Raises Forbidden, NotFound."""
    at = now or datetime.now(UTC)
    with store.write() as tx:
        who, row = _own(tx, by, invitation_id)
        invitation_store.change_invitation(tx, invitation_id, {"revoked_at": at})
        note(tx, who, at, "invitation.revoked", row.email)
    return str(row.email)


def _own(tx: Tx, by: Member, invitation_id: int) -> tuple[Member, Any]:
    who = acting(tx, by)
    who.must("manage_people")
    row = invitation_store.get_invitation(tx, invitation_id, lock=True)
    if row is None or row.organization_id != by.organization_id or row.accepted_at or row.revoked_at:
        raise NotFound("No such invitation, or it was used or revoked meanwhile")
    if row.role == "owner":
        who.must("manage_owners")
    return who, row


def find_invitation(store: Store, settings: Settings, token: str, *, now: datetime | None = None) -> Invitation | None:
    """The invitation of a link, whatever its state. None: not a link of ours, or the organization is gone."""
    try:
        invitation_id, created = _signer(settings).loads(token)
    except (BadSignature, TypeError, ValueError):
        return None
    with store.read() as tx:
        row = invitation_store.get_invitation(tx, invitation_id)
    if row is None or to_millis(row.created_at) != created:
        return None
    return _read(row, settings, now or datetime.now(UTC))


def accept_in(tx: Tx, invitation_id: int, user_id: int, at: datetime) -> str:
    """Makes an account a member by its invitation, once, and answers the organization's slug. The account is proven.

    Raises NotFound where the invitation holds no longer, Conflict where it is for another address.
    """
    row = invitation_store.get_invitation(tx, invitation_id, lock=True)
    if row is None or row.accepted_at or row.revoked_at or row.expires_at <= at:
        raise NotFound("This invitation was used, revoked, or is too old")
    user = org_store.get_user(tx, user_id)
    if user is None or user.email != row.email:
        raise Conflict(f"This invitation is for {row.email}")
    invitation_store.change_invitation(tx, invitation_id, {"accepted_at": at})
    if not invitation_store.is_member(tx, row.organization_id, user_id):
        values = {"organization_id": row.organization_id, "user_id": user_id, "role": row.role, "created_at": at}
        member_id = org_store.create_member(tx, values)
        invitation_store.join_teams(tx, member_id, [row.team_id] if row.team_id else [])
    org_store.add_audit(
        tx,
        row.organization_id,
        at=at,
        actor=user.email,
        action="invitation.accepted",
        subject=user.email,
        details={"role": row.role, "invitedBy": row.invited_by},
    )
    return str(row.slug)


def accept(store: Store, invitation: Invitation, user_id: int, *, now: datetime | None = None) -> str:
    """The same in a transaction of its own."""
    return store.transact(lambda tx: accept_in(tx, invitation.id, user_id, now or datetime.now(UTC)))


def allow_github(store: Store, by: Member, login: str, *, now: datetime | None = None) -> str:
    """Lets the members of a GitHub organization come in as members. Raises Forbidden, InvalidInput."""
    at = now or datetime.now(UTC)
    name = login.strip().lower().removeprefix("https://github.com/").strip("/@")
    if not name or len(name) > 39 or not name.replace("-", "").isascii() or not name.replace("-", "").isalnum():
        raise InvalidInput("Give the login of a GitHub organization, such as acme", field="login")
    with store.write() as tx:
        who = acting(tx, by)
        who.must("manage_sign_in")
        invitation_store.allow_organization(tx, by.organization_id, name, who.email, at)
        note(tx, who, at, "github_organization.allowed", name)
    return name


def allowed_github(store: Store, organization_id: int) -> Sequence[Any]:
    """The GitHub organizations whose members may come, each with `login` and `added_by`."""
    with store.read() as tx:
        return invitation_store.allowed_organizations(tx, organization_id)


def disallow_github(store: Store, by: Member, login: str, *, now: datetime | None = None) -> str:
    """Lets them come no longer; who is a member stays. Raises Forbidden, NotFound."""
    at = now or datetime.now(UTC)
    with store.write() as tx:
        who = acting(tx, by)
        who.must("manage_sign_in")
        if not invitation_store.disallow_organization(tx, by.organization_id, login):
            raise NotFound("This GitHub organization is not in the list")
        note(tx, who, at, "github_organization.disallowed", login)
    return login


def _read(row: Any, settings: Settings, at: datetime) -> Invitation:
    ended = "accepted" if row.accepted_at else "revoked" if row.revoked_at else None
    state = ended or ("expired" if row.expires_at <= at else "open")
    return Invitation(
        id=row.id,
        organization_id=row.organization_id,
        organization=row.organization,
        slug=row.slug,
        email=row.email,
        role=row.role,
        team=row.team,
        team_id=row.team_id,
        invited_by=row.invited_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        sent_at=row.sent_at,
        send_error=row.send_error,
        state=state,
        url=f"{settings.base_url}/invitations/{_signer(settings).dumps(_named(row))}",
    )


def _named(row: Any) -> list[int]:
    """What a link says. With the time: SQLite gives the number of a removed row to another one."""
    return [row.id, to_millis(row.created_at)]


def _signer(settings: Settings) -> URLSafeSerializer:
    return URLSafeSerializer(settings.secret_key, salt="invitation")
