"""The walk over each repository of GitHub: what is due, how far it is, and what stands in its way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select, update

from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.upsert import put

Values = dict[str, Any]


def get_source(tx: Tx, organization_id: int, source_id: int) -> Row[Any] | None:
    """A repository that GitHub offers, with its walk. None: not there."""
    row = t.github_repositories.c
    return tx.execute(
        select(t.github_repositories).where(row.organization_id == organization_id, row.id == source_id)
    ).first()


def list_sources(tx: Tx, organization_id: int) -> Sequence[Row[Any]]:
    """Every repository that GitHub offers or once offered, by name, with the team that it is assigned to."""
    row = t.github_repositories.c
    return tx.execute(
        select(t.github_repositories, t.repositories.c.team_id)
        .outerjoin(t.repositories, t.repositories.c.id == row.repository_id)
        .where(row.organization_id == organization_id)
        .order_by(func.lower(row.name), row.id)
    ).all()


def save_offered(tx: Tx, organization_id: int, rows: Sequence[Values]) -> None:
    """What GitHub offers now, by GitHub's id: new ones are added, the others told of; who is not there is not offered.

    A row has installation_id, github_id, name, private, archived, default_branch.
    """
    head = {"organization_id": organization_id, "offered": True}
    put(tx, t.github_repositories, [head | row for row in rows], key=("organization_id", "github_id"))
    repository = t.github_repositories.c
    tx.execute(
        update(t.github_repositories)
        .where(
            repository.organization_id == organization_id,
            repository.github_id.not_in([row["github_id"] for row in rows]),
        )
        .values(offered=False)
    )


def choose(tx: Tx, organization_id: int, source_ids: Iterable[int], now: datetime) -> None:
    """Exactly these repositories are read from now on; the others keep what is there."""
    wanted = set(source_ids)
    for row in list_sources(tx, organization_id):
        if row.chosen != (row.id in wanted):
            values: Values = {"chosen": row.id in wanted, "due_at": now if row.id in wanted else None}
            if row.id in wanted:
                values |= {"state": "waiting", "error": None, "failures": 0}
            else:
                values |= {"comments_on_at": None, "comments_error": None}
            tx.execute(update(t.github_repositories).where(t.github_repositories.c.id == row.id).values(**values))


def due_sources(tx: Tx, now: datetime, limit: int = 200) -> list[tuple[int, int]]:
    """(organization, source) of walks that should go on, those that wait longest first."""
    row = t.github_repositories.c
    rows = tx.execute(
        select(row.organization_id, row.id)
        .where(row.due_at <= now, row.chosen.is_(True))
        .order_by(row.due_at, row.id)
        .limit(limit)
    )
    return [(one.organization_id, one.id) for one in rows]


def move_on(tx: Tx, organization_id: int, source_id: int, version: int, values: Values) -> bool:
    """Changes a walk that is at this version; False: somebody else was faster."""
    row = t.github_repositories.c
    done = tx.execute(
        update(t.github_repositories)
        .where(row.organization_id == organization_id, row.id == source_id, row.version == version)
        .values(version=version + 1, **values)
    )
    return done.rowcount == 1


def hint(tx: Tx, organization_id: int, github_ids: Iterable[int], now: datetime) -> list[int]:
    """Makes the walks of these repositories due; answers which. A wait that GitHub or a failure asks for stands."""
    row = t.github_repositories.c
    waits = row.state.in_(("paused", "failing", "refused"))
    found = (
        tx.execute(
            select(row.id).where(
                row.organization_id == organization_id, row.github_id.in_(list(github_ids)), row.chosen.is_(True)
            )
        )
        .scalars()
        .all()
    )
    if found:
        tx.execute(update(t.github_repositories).where(row.id.in_(found)).values(hinted_at=now))
        # Only ever sooner: what is due already, and a walk that is under way, go on as they are.
        tx.execute(update(t.github_repositories).where(row.id.in_(found), ~waits, row.due_at > now).values(due_at=now))
    return list(found)


def get_installation(tx: Tx, organization_id: int, installation_id: int) -> Row[Any] | None:
    """An installation with its pause and token. None: not known."""
    row = t.github_installations.c
    return tx.execute(
        select(t.github_installations).where(
            row.organization_id == organization_id, row.installation_id == installation_id
        )
    ).first()


def list_installations(tx: Tx, organization_id: int) -> Sequence[Row[Any]]:
    """Every installation by the account that it reads."""
    row = t.github_installations.c
    return tx.execute(
        select(t.github_installations).where(row.organization_id == organization_id).order_by(row.account)
    ).all()


def change_installation(tx: Tx, organization_id: int, installation_id: int, values: Values) -> None:
    """Sets columns of an installation."""
    row = t.github_installations.c
    tx.execute(
        update(t.github_installations)
        .where(row.organization_id == organization_id, row.installation_id == installation_id)
        .values(**values)
    )


def get_host(tx: Tx, host: str) -> Row[Any] | None:
    """How a host of GitHub did lately. None: never failed."""
    return tx.execute(select(t.github_hosts).where(t.github_hosts.c.host == host)).first()


def set_host(tx: Tx, host: str, failures: int, open_until: datetime | None) -> None:
    """Notes failures in a row of a host, and until when it is left alone (none: it is not)."""
    put(tx, t.github_hosts, [{"host": host, "failures": failures, "open_until": open_until}])
