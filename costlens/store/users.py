"""Accounts: what proves them, and what GitHub calls them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select, update

from costlens.store import tables as t
from costlens.store.engine import Tx


def account(tx: Tx, user_id: int) -> Row[Any] | None:
    """An account with everything. None: there is none."""
    return tx.execute(select(t.users).where(t.users.c.id == user_id)).first()


def account_of(tx: Tx, email: str) -> Row[Any] | None:
    """The account of an address, in any case of letters. None: there is none."""
    return tx.execute(select(t.users).where(t.users.c.email == email.lower())).first()


def account_of_github(tx: Tx, github_id: int) -> Row[Any] | None:
    """The account that is joined to a GitHub identity. None: there is none."""
    return tx.execute(select(t.users).where(t.users.c.github_id == github_id)).first()


def change_account(tx: Tx, user_id: int, values: dict[str, Any]) -> None:
    """Sets these columns of an account."""
    tx.execute(update(t.users).where(t.users.c.id == user_id).values(**values))
