"""Repositories that GitHub renamed: the old name goes on to name them, and so does what runs named meanwhile."""

from __future__ import annotations

from sqlalchemy import insert, select, update

from costlens.domain.errors import Conflict
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.identity import find_repositories
from costlens.store.moved_sums import move_sums


def follow_rename(tx: Tx, organization_id: int, github_id: int, name: str) -> bool:
    """Gives the repository of a GitHub id the name that GitHub tells now; answers whether anything changed.

    Raises Conflict when that name has GitHub facts of another repository.
    """
    repository = t.repositories.c
    row = tx.execute(
        select(repository.id, repository.name).where(
            repository.organization_id == organization_id, repository.github_id == github_id
        )
    ).first()
    if row is None or row.name.lower() == name.lower():
        return False
    other = find_repositories(tx, organization_id, [name]).get(name.lower())
    if other is None:
        alias = {"organization_id": organization_id, "name": name.lower(), "repository_id": row.id}
        tx.execute(insert(t.repository_aliases).values(alias))
    elif other != row.id:
        _join(tx, organization_id, keep=row.id, drop=other, name=name)
    tx.execute(update(t.repositories).where(repository.id == row.id).values(name=name))
    return True


def _join(tx: Tx, organization_id: int, *, keep: int, drop: int, name: str) -> None:
    """Moves the runs of a repository that only runs have named, with their sums, and removes it."""
    repository = t.repositories.c
    imported = tx.scalar(select(repository.imported_at).where(repository.id == drop))
    told = tx.scalar(select(repository.github_id).where(repository.id == drop))
    if imported is not None or told is not None:
        raise Conflict(f"{name} is known to GitHub as another repository", field="name")
    # First: who stores runs under a name holds it until they are in, and they must be moved too.
    alias = t.repository_aliases.c
    tx.execute(
        update(t.repository_aliases)
        .where(alias.organization_id == organization_id, alias.repository_id == drop)
        .values(repository_id=keep)
    )
    run = t.runs.c
    tx.execute(
        update(t.runs)
        .where(run.organization_id == organization_id, run.repository_id == drop)
        .values(repository_id=keep, linked_at=None)
    )
    move_sums(tx, organization_id, "repository", keep=keep, drop=drop)
    key = t.api_keys.c
    tx.execute(
        update(t.api_keys)
        .where(key.organization_id == organization_id, key.repository_id == drop)
        .values(repository_id=keep)
    )
    tx.execute(t.repositories.delete().where(repository.organization_id == organization_id, repository.id == drop))
