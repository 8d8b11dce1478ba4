"""How accounts come to be and come back without GitHub: by an invitation, and by an e-mail for a new password."""

from __future__ import annotations

from datetime import UTC, datetime

from costlens.config import Settings
from costlens.deliveries.email import Mail, send_mails
from costlens.domain.addresses import is_address
from costlens.domain.errors import Conflict, RateLimited, Unavailable
from costlens.domain.passwords import check_password
from costlens.queue import JobQueue
from costlens.services import throttle
from costlens.services.acting import checked_name
from costlens.services.invitations import Invitation, accept_in
from costlens.services.passwords import RESET_LIFE, hash_password, reset_token
from costlens.services.throttle import subject
from costlens.store import organizations as org_store
from costlens.store import users as user_store
from costlens.store.engine import Store, Tx
from costlens.store.organizations import User

RESETS_PER_ACCOUNT, RESETS_PER_ADDRESS = 3, 20  # in a quarter of an hour


def has_account(store: Store, email: str) -> bool:
    """Whether an address has an account."""
    with store.read() as tx:
        return user_store.account_of(tx, email) is not None


def join_with_password(
    store: Store, invitation: Invitation, name: str, password: str, *, now: datetime | None = None
) -> User:
    """Makes the account that an invitation is for, and accepts it.

    Raises InvalidInput, NotFound where the invitation holds no longer, or Conflict where the account exists: only who
    can sign in to it may accept.
    """
    at = now or datetime.now(UTC)
    name = checked_name(name, "You")
    check_password(password, invitation.email)
    hashed = hash_password(password)

    def work(tx: Tx) -> User:
        if user_store.account_of(tx, invitation.email) is not None:
            raise Conflict(f"{invitation.email} has an account: sign in, then accept")
        user_id = org_store.create_user(tx, invitation.email, at)
        user_store.change_account(tx, user_id, {"name": name, "password_hash": hashed})
        accept_in(tx, invitation.id, user_id, at)
        user = org_store.get_user(tx, user_id)
        assert user is not None, "it was made in this transaction"
        return user

    return store.transact(work)


def ask_for_reset(
    store: Store, queue: JobQueue, email: str, address: str | None, *, now: datetime | None = None
) -> None:
    """Has an e-mail sent to an address that has an account; says nothing about whether it has. Raises Unavailable.

    A worker looks the account up, so an answer takes as long either way.
    """
    at = now or datetime.now(UTC)
    known = email.strip().lower()[:254]
    if not is_address(known):
        return
    account = subject("reset", known)
    try:
        throttle.count(store, {account: RESETS_PER_ACCOUNT, subject("resets", address): RESETS_PER_ADDRESS}, at)
    except RateLimited:
        return  # the e-mails that went out are enough
    if not queue.begin("workers.people.send_reset", known, job_id=account.replace(":", "-"), seconds=60):
        raise Unavailable("E-mails cannot be sent at the moment; try again later", retry_after=60)


def send_reset(store: Store, settings: Settings, email: str) -> bool:
    """Sends the link for a new password where there is an account. Raises Unavailable when it was not taken."""
    with store.read() as tx:
        row = user_store.account_of(tx, email)
    if row is None or settings.mail is None or settings.github_sign_in:
        return False
    url = f"{settings.base_url}/sign-in/new-password/{reset_token(store, row.id)}"
    minutes = int(RESET_LIFE.total_seconds()) // 60
    text = (
        f"Somebody asked for a new password of {row.email} on CostLens.\n\n"
        f"Choose it here: {url}\n\n"
        f"The link works once, within {minutes} minutes. If it was not you, ignore it: nothing has changed.\n"
    )
    error = send_mails(settings.mail, [Mail(row.email, "A new password for CostLens", text)])[0]
    if error:
        raise Unavailable(error, retry_after=60)
    return True
