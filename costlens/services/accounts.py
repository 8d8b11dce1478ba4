"""One's own account."""

from __future__ import annotations

from dataclasses import dataclass

from costlens.domain.errors import NotFound
from costlens.services.acting import checked_name
from costlens.store import users as user_store
from costlens.store.engine import Store
from costlens.store.organizations import User


@dataclass(frozen=True, slots=True)
class Account:
    """What an account's own page shows."""

    email: str
    name: str | None  # None: not told yet
    has_password: bool
    github_login: str | None  # None: never signed in with GitHub


def own_account(store: Store, user: User) -> Account:
    """The account of a user. Raises NotFound."""
    with store.read() as tx:
        row = user_store.account(tx, user.id)
    if row is None:
        raise NotFound("The account is gone")
    return Account(row.email, row.name, row.password_hash is not None, row.github_login)


def set_name(store: Store, user: User, name: str) -> str:
    """Sets the name that others see, and answers it. Raises InvalidInput."""
    name = checked_name(name, "You")
    with store.write() as tx:
        user_store.change_account(tx, user.id, {"name": name})
    return name
