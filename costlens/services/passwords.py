"""Passwords: checked at sign-in, changed, and chosen anew through a link that works once."""

from __future__ import annotations

import functools
import secrets
import threading
from datetime import UTC, datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from costlens.domain.access import Member
from costlens.domain.addresses import is_address
from costlens.domain.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthorized
from costlens.domain.passwords import LONGEST, check_password
from costlens.services import throttle
from costlens.services.acting import acting, note
from costlens.services.sessions import hash_of
from costlens.store import organizations as org_store
from costlens.store import sessions as session_store
from costlens.store import users as user_store
from costlens.store.engine import Store, Tx
from costlens.store.members import get_member, other_organizations
from costlens.store.organizations import User

RESET_LIFE = timedelta(hours=1)
OWNERS_LINK_LIFE = timedelta(days=1)
# In a quarter of an hour: who mistypes, an account that is tried from everywhere, an office behind one address.
PER_ACCOUNT_AND_ADDRESS, PER_ACCOUNT, PER_ADDRESS = 5, 30, 100

# OWASP's parameters of argon2id: 19 MiB and two passes. Few at a time, or many sign-ins would take all memory.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_turn = threading.BoundedSemaphore(4)


def hash_password(password: str) -> str:
    """What is stored of a password: argon2id with a salt of its own."""
    with _turn:
        return _hasher.hash(password)


@functools.cache
def _nobodys() -> str:
    """The hash of a password that nobody has, checked where there is no account: an answer takes as long either way."""
    return hash_password(secrets.token_hex(16))


def _matches(password_hash: str | None, password: str) -> bool:
    compared = password_hash or _nobodys()
    with _turn:
        try:
            _hasher.verify(compared, password)
        except (VerificationError, InvalidHashError):
            return False
    return password_hash is not None


def sign_in(store: Store, email: str, password: str, address: str | None, *, now: datetime | None = None) -> User:
    """The account of an address and its password. Raises Unauthorized, or RateLimited after too many attempts."""
    at = now or datetime.now(UTC)
    known = email.strip().lower()[:254]
    both, account = throttle.subject("both", known, address), throttle.subject("account", known)
    limits = {
        both: PER_ACCOUNT_AND_ADDRESS,
        account: PER_ACCOUNT,
        throttle.subject("address", address): PER_ADDRESS,
    }
    throttle.count(store, limits, at)
    with store.read() as tx:
        row = user_store.account_of(tx, known) if is_address(known) else None
    stored = row.password_hash if row else None
    if not _matches(stored, password[: LONGEST + 1]) or row is None:
        raise Unauthorized("This e-mail address and password do not match")
    throttle.forget(store, both, account)
    if _hasher.check_needs_rehash(row.password_hash):
        with store.write() as tx:
            user_store.change_account(tx, row.id, {"password_hash": hash_password(password)})
    return User(row.id, row.email, row.name, row.session_version)


def change_password(store: Store, user: User, current: str, new: str, *, now: datetime | None = None) -> User:
    """Sets a password, and ends every session and link of the account; answers the account as it is now.

    Raises InvalidInput, or RateLimited after too many attempts at the current one.
    """
    at = now or datetime.now(UTC)
    check_password(new, user.email)
    with store.read() as tx:
        row = user_store.account(tx, user.id)
    if row is None:
        raise NotFound("The account is gone")
    if row.password_hash is not None:
        throttle.count(store, {throttle.subject("change", str(user.id)): PER_ACCOUNT_AND_ADDRESS}, at)
        if not _matches(row.password_hash, current[: LONGEST + 1]):
            raise InvalidInput("This is not your current password", field="current")
    return _set(store, user.id, new, at)


def _set(store: Store, user_id: int, password: str, at: datetime) -> User:
    hashed = hash_password(password)
    with store.write() as tx:
        return set_in(tx, user_id, hashed, at)


def set_in(tx: Tx, user_id: int, hashed: str, at: datetime) -> User:
    """Sets a password in this transaction, with all that follows from it."""
    user_store.change_account(tx, user_id, {"password_hash": hashed})
    session_store.end_sessions(tx, user_id)
    session_store.drop_links(tx, user_id)
    user = org_store.get_user(tx, user_id)
    if user is None:
        raise NotFound("The account is gone")
    for organization in org_store.list_organizations(tx, user_id):
        org_store.add_audit(
            tx, organization.id, at=at, actor=user.email, action="password.changed", subject=user.email, details={}
        )
    return user


def reset_token(store: Store, user_id: int, *, now: datetime | None = None) -> str:
    """A token by which an account chooses a new password, once, within an hour."""
    with store.write() as tx:
        return _link(tx, user_id, (now or datetime.now(UTC)) + RESET_LIFE)


def _link(tx: Tx, user_id: int, until: datetime) -> str:
    token = secrets.token_urlsafe(32)
    session_store.add_link(tx, hash_of(token), user_id, until, "reset")
    return token


def owners_reset_token(store: Store, by: Member, member_id: int, *, now: datetime | None = None) -> tuple[str, str]:
    """(token, e-mail address): by the token a member chooses a new password, once, within a day.

    Who holds it holds the account: it is given only for members of this organization alone, so that no owner comes into
    another organization with it. Raises Forbidden, NotFound, Conflict.
    """
    at = now or datetime.now(UTC)
    with store.write() as tx:
        who = acting(tx, by)
        who.must("manage_sign_in")
        row = get_member(tx, by.organization_id, member_id)
        if row is None:
            raise NotFound("No such member")
        if row.role == "owner" and member_id != by.member_id:
            raise Forbidden("An owner's password is changed by that owner, or on the console of the server")
        if other_organizations(tx, by.organization_id, row.user_id):
            raise Conflict(f"{row.email} is in another organization too: a reset by e-mail or the console can help")
        token = _link(tx, row.user_id, at + OWNERS_LINK_LIFE)
        note(tx, who, at, "password.link_made", row.email)
    return token, str(row.email)


def reset_holder(store: Store, token: str, *, now: datetime | None = None) -> User | None:
    """Whose password a token is for. None: unknown, used or expired."""
    with store.read() as tx:
        user_id = session_store.link_holder(tx, hash_of(token), "reset", now or datetime.now(UTC))
        return org_store.get_user(tx, user_id) if user_id is not None else None


def use_reset(store: Store, token: str, password: str, *, now: datetime | None = None) -> User:
    """Sets the password that a token is for, once. Raises NotFound for a token of no use, InvalidInput."""
    at = now or datetime.now(UTC)
    holder = reset_holder(store, token, now=at)
    if holder is None:
        raise NotFound("This link was used before, or it is too old")
    check_password(password, holder.email)
    hashed = hash_password(password)
    with store.write() as tx:
        user_id = session_store.use_link(tx, hash_of(token), "reset", at)
        if user_id is None:
            raise NotFound("This link was used before, or it is too old")
        return set_in(tx, user_id, hashed, at)
