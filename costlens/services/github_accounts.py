"""Who comes with GitHub: known by GitHub's number, joined to an account by a verified address, invited, or allowed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from costlens.domain.errors import Conflict, Forbidden
from costlens.domain.names import identities_of
from costlens.github.sign_in import GithubPerson
from costlens.services.invitations import Invitation, accept_in
from costlens.store import invitations as invitation_store
from costlens.store import organizations as org_store
from costlens.store import users as user_store
from costlens.store.engine import Store, Tx
from costlens.store.identity import person_ids
from costlens.store.organizations import User


@dataclass(frozen=True, slots=True)
class Welcome:
    """An account that may come in."""

    user: User
    joined: str | None  # slug of an organization that it has just become a member of. None: of none


class WrongAccount(Conflict):
    """An invitation is for another address than the GitHub account has."""

    code = "wrong_account"


class NotInvited(Forbidden):
    """GitHub says who it is, but nobody here has asked that person in."""

    code = "not_invited"


def asks_organizations(store: Store) -> bool:
    """Whether any organization lets the members of a GitHub organization come."""
    with store.read() as tx:
        return bool(invitation_store.allowed_organizations(tx))


def welcome(store: Store, who: GithubPerson, invitation: Invitation | None, *, now: datetime | None = None) -> Welcome:
    """The account of who has signed in with GitHub, made where an invitation or an organization allows it.

    `invitation`: the one whose link brought this browser here. Raises NotInvited, WrongAccount, or Conflict for an
    account that is joined to another GitHub identity.
    """
    at = now or datetime.now(UTC)
    if not who.emails:
        raise NotInvited("GitHub tells no verified e-mail address of yours; verify one there and try again")
    return store.transact(lambda tx: _welcome(tx, who, invitation, at))


def join(store: Store, user_id: int, who: GithubPerson, *, now: datetime | None = None) -> None:
    """Joins the account of somebody who is signed in to a GitHub identity, whatever its addresses are.

    Raises Conflict where one of the two belongs to another already.
    """
    at = now or datetime.now(UTC)

    def work(tx: Tx) -> None:
        other, mine = user_store.account_of_github(tx, who.id), user_store.account(tx, user_id)
        if other is not None and other.id != user_id:
            raise Conflict(f"@{who.login} on GitHub belongs to another account here")
        if mine is None:
            raise Conflict("The account is gone")
        if mine.github_id not in (None, who.id):
            raise Conflict(f"This account belongs to @{mine.github_login} on GitHub; remove that first")
        _remember(tx, User(mine.id, mine.email, mine.name, mine.session_version), who, at)

    store.transact(work)


def part(store: Store, user_id: int) -> None:
    """Takes the GitHub identity from an account; runs and commits stay with the person."""
    with store.write() as tx:
        user_store.change_account(tx, user_id, {"github_id": None, "github_login": None})


def _welcome(tx: Tx, who: GithubPerson, invitation: Invitation | None, at: datetime) -> Welcome:
    user = _known(tx, who)
    joined: str | None = None
    if invitation is not None and invitation.state == "open":
        mine = {user.email} if user else set()
        if invitation.email not in mine | set(who.emails):
            raise WrongAccount(
                f"This invitation is for {invitation.email}, which is none of the verified addresses of "
                f"@{who.login} on GitHub"
            )
        if user is not None and user.email != invitation.email:
            raise WrongAccount(
                f"This invitation is for {invitation.email}; @{who.login} has the account {user.email} here"
            )
        if user is None:
            user = _create(tx, invitation.email, at)
        joined = accept_in(tx, invitation.id, user.id, at)
    allowed = _allowed(tx, who)
    if user is None and allowed:
        user = _create(tx, who.emails[0], at)
    if user is None:
        raise NotInvited(f"Nobody has invited {who.emails[0]} (@{who.login}) yet")
    for organization_id in allowed:
        slug = _join(tx, organization_id, user, who, at)
        joined = joined or slug
    _remember(tx, user, who, at)
    if not org_store.list_organizations(tx, user.id):
        raise NotInvited(f"{user.email} is not a member of any organization here")
    return Welcome(user, joined)


def _known(tx: Tx, who: GithubPerson) -> User | None:
    """The account of GitHub's number, else of one of the verified addresses. None: there is none."""
    row = user_store.account_of_github(tx, who.id)
    if row is None:
        found = (user_store.account_of(tx, email) for email in who.emails)
        row = next((one for one in found if one is not None), None)
        if row is not None and row.github_id is not None:
            raise Conflict(f"{row.email} belongs to another GitHub account, @{row.github_login}")
    return User(row.id, row.email, row.name, row.session_version) if row is not None else None


def _create(tx: Tx, email: str, at: datetime) -> User:
    user = org_store.get_user(tx, org_store.create_user(tx, email, at))
    assert user is not None, "it was made in this transaction"
    return user


def _allowed(tx: Tx, who: GithubPerson) -> list[int]:
    """The organizations that let this person come, as a member of a GitHub organization."""
    found: list[int] = []
    theirs = dict(who.organizations)
    for row in invitation_store.allowed_organizations(tx):
        number = theirs.get(row.login)
        if number is not None and row.github_id in (None, number):
            if row.github_id is None:
                invitation_store.pin_organization(tx, row.login, number)
            found.append(row.organization_id)
    return found


def _join(tx: Tx, organization_id: int, user: User, who: GithubPerson, at: datetime) -> str | None:
    if invitation_store.is_member(tx, organization_id, user.id):
        return None
    values = {"organization_id": organization_id, "user_id": user.id, "role": "member", "created_at": at}
    org_store.create_member(tx, values)
    org_store.add_audit(
        tx,
        organization_id,
        at=at,
        actor=user.email,
        action="member.joined_by_github",
        subject=user.email,
        details={"login": who.login},
    )
    organization = org_store.get_organization(tx, organization_id)
    return organization.slug if organization else None


def _remember(tx: Tx, user: User, who: GithubPerson, at: datetime) -> None:
    """Keeps what GitHub tells; the login, the number and every address are one person in the runs and commits too."""
    row = user_store.account(tx, user.id)
    changes = {"github_id": who.id, "github_login": who.login} | ({} if user.name else {"name": who.name})
    if row is None or all(row._mapping[name] == value for name, value in changes.items()):
        return
    user_store.change_account(tx, user.id, changes)
    for organization in org_store.list_organizations(tx, user.id):
        names = [identities_of(login=who.login, github_id=who.id, email=user.email)]
        names += [identities_of(login=who.login, email=email) for email in who.emails]
        person_ids(tx, organization.id, names, at)
