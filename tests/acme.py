"""A small organization made by hand, with a stranger's in the same database.

Acme is in New York (UTC-5 in November). The week is 16 to 22 November 2026, the week before it 9 to 15. In dollars:

          repository  team        provider   state      pull request              runs  cost
    8 Nov web         Storefront  openai     counted    web#1 merged 17 Nov          1    10
   10 Nov web         Storefront  openai     counted    web#1                        2     1
   12 Nov –           –           openai     not code                                5    10
   14 Nov api         Payments    openai     counted    api#3 merged 15 Nov          2     8
   16 Nov web         Storefront  openai     counted    web#1                        3     4
   16 Nov web         Payments    anthropic  counted    web#1                        1     2
   16 Nov web         Storefront  openai     counted    web#4 (links taken back)     0     0
   16 Nov api         Payments    openai     counted    api#1 reverted in 4 days     1     6
   17 Nov web         Storefront  openai     counted    web#2 merged 18 Nov          1     3
   18 Nov web         Storefront  openai     counted    web#3 closed 19 Nov          2     5
   19 Nov api         Payments    anthropic  counted    api#2 open                   1     7
   20 Nov infra       –           openai     counted    infra#1 reverted in 40 days  1     9
   20 Nov api         Payments    openai     not code                               10    20
   21 Nov web         Storefront  openai     counted    a commit                     1     1
   21 Nov web         Storefront  openai     suggested                               1     2
   22 Nov api         Payments    openai     pending    (one run unpriced)           2     3
   22 Nov –           –           openai     unlinked   no repository                4     4
   22 Nov web         Storefront  openai     unlinked   no candidate                 1   0.5
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import Table, delete, event, insert, update

from costlens.domain.roi import Window
from costlens.store import lookups
from costlens.store.engine import Store, Tx
from costlens.store.pull_outcomes import Outcomes, outcomes_of
from costlens.store.rollups import PULL_MEASURES, Groups, add_groups, by_dimension, pulls, spend
from costlens.store.settled import settle_sums
from costlens.store.sqlite_driver import read_rows
from costlens.store.tables import (
    MEASURES,
    SPEND_MEASURES,
    organizations,
    people,
    pull_requests,
    repositories,
    rollup_15m,
    rollup_day,
    rollup_dimension,
    rollup_links,
    rollup_pulls,
    rollup_spend,
    teams,
)
from tests.databases import open_store

ACME, CHARLIES = 1, 2
ZONE = "America/New_York"
WEEK = Window(date(2026, 11, 16), date(2026, 11, 22), ZONE)
WEB, API, INFRA = 11, 12, 13
STOREFRONT, PAYMENTS = 21, 22
ALICE, BOB, BOT = 41, 42, 43
DOLLAR = 1_000_000_000
SUMS = {rollup_spend: SPEND_MEASURES, rollup_pulls: PULL_MEASURES, rollup_dimension: MEASURES}


def november(day: int, hour: int = 12, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


@contextmanager
def open_acme(engine: str) -> Iterator[Store]:
    """A database with the organization of this module, and Charlie's."""
    with open_store(engine) as store:
        with store.write() as tx:
            insert_acme(tx)
        yield store


def ledger(
    day: date | int,
    *,
    team: int = 0,
    repository: int = 0,
    provider: str = "openai",
    state: str = "counted",
    reason: str = "",
    pull: int = 0,
    runs: int = 1,
    priced: int | None = None,
    cost: float,
    organization: int = ACME,
) -> dict[str, Any]:
    """One row of the ledger; a number stands for that day of November, cost is in dollars."""
    return {
        "organization_id": organization,
        "day": date(2026, 11, day) if isinstance(day, int) else day,
        "team_id": team,
        "repository_id": repository,
        "provider": provider,
        "state": state,
        "reason": reason,
        "pull_request_id": pull,
        "runs": runs,
        "priced_runs": runs if priced is None else priced,
        "cost_nanos": round(cost * DOLLAR),
    }


def pull(id: int, repository: int, number: int, outcome: str, *, organization: int = ACME, **at: Any) -> dict[str, Any]:
    row = {"merged_at": None, "closed_at": None, "reverted_at": None, "first_commit_at": None, "ai_signal": None, **at}
    row["closed_at"] = row["closed_at"] or row["merged_at"]
    return {
        "id": id,
        "organization_id": organization,
        "repository_id": repository,
        "number": number,
        "title": f"Change {number}",
        "outcome": outcome,
        "created_at": november(5),
        "labels": [],
        **row,
    }


def day_rollup(day: int, **values: Any) -> dict[str, Any]:
    """One row of the drill-down rollup; measures that are not named are 0."""
    return {
        "organization_id": ACME,
        "day": date(2026, 11, day),
        "team_id": STOREFRONT,
        "person_id": 0,
        "repository_id": WEB,
        "provider": "openai",
        "model": "gpt-5.4",
        "prompt_id": "",
        "tool": "",
        "environment": "",
        **dict.fromkeys(MEASURES, 0),
        **values,
    }


def quarter_rollup(at: datetime, organization: int = ACME) -> dict[str, Any]:
    return {
        "organization_id": organization,
        "bucket": at,
        "provider": "openai",
        "model": "gpt-5.4",
        "code": True,
        "success": True,
        **dict.fromkeys(MEASURES, 1),
    }


PULLS = [
    pull(101, WEB, 1, "merged", merged_at=november(17), first_commit_at=november(17, 2)),
    pull(102, WEB, 2, "merged", merged_at=november(18), first_commit_at=november(19)),  # committed after: no span
    pull(103, WEB, 3, "abandoned", closed_at=november(19)),
    pull(104, API, 1, "reverted", merged_at=november(16), first_commit_at=november(15, 16), reverted_at=november(20)),
    pull(105, API, 2, "open"),
    pull(106, API, 3, "merged", merged_at=november(16, 4, 59), first_commit_at=november(16, 1)),  # 15 Nov local
    pull(107, INFRA, 1, "reverted", merged_at=november(20), reverted_at=datetime(2026, 12, 30, tzinfo=UTC)),
    pull(108, WEB, 4, "merged", merged_at=november(18)),
    pull(109, WEB, 5, "merged", merged_at=november(18), ai_signal="trailer"),  # nobody's runs
]

LEDGER = [
    ledger(8, team=STOREFRONT, repository=WEB, pull=101, cost=10),
    ledger(10, team=STOREFRONT, repository=WEB, pull=101, runs=2, cost=1),
    ledger(12, state="not_code", runs=5, cost=10),
    ledger(14, team=PAYMENTS, repository=API, pull=106, runs=2, cost=8),
    ledger(16, team=STOREFRONT, repository=WEB, pull=101, runs=3, cost=4),
    ledger(16, team=PAYMENTS, repository=WEB, provider="anthropic", pull=101, cost=2),
    ledger(16, team=STOREFRONT, repository=WEB, pull=108, runs=0, cost=0),
    ledger(16, team=PAYMENTS, repository=API, pull=104, cost=6),
    ledger(17, team=STOREFRONT, repository=WEB, pull=102, cost=3),
    ledger(18, team=STOREFRONT, repository=WEB, pull=103, runs=2, cost=5),
    ledger(19, team=PAYMENTS, repository=API, provider="anthropic", pull=105, cost=7),
    ledger(20, repository=INFRA, pull=107, cost=9),
    ledger(20, team=PAYMENTS, repository=API, state="not_code", runs=10, cost=20),
    ledger(21, team=STOREFRONT, repository=WEB, cost=1),
    ledger(21, team=STOREFRONT, repository=WEB, state="suggested", cost=2),
    ledger(22, team=PAYMENTS, repository=API, state="pending", runs=2, priced=1, cost=3),
    ledger(22, state="unlinked", reason="no_repo", runs=4, cost=4),
    ledger(22, team=STOREFRONT, repository=WEB, state="unlinked", reason="no_candidate", cost=0.5),
]

# Charlie's rows even name Acme's team, repository and pull request: ids alone must not carry them over.
STRANGERS = [
    ledger(18, repository=31, pull=201, runs=7, cost=1000, organization=CHARLIES),
    ledger(18, team=STOREFRONT, repository=WEB, pull=101, runs=7, cost=1000, organization=CHARLIES),
]


def insert_acme(tx: Tx) -> None:
    """Write the organization of this module, and Charlie's."""
    for id, name, timezone in ((ACME, "Acme", ZONE), (CHARLIES, "Charlie's", "UTC")):
        tx.execute(
            insert(organizations).values(
                id=id,
                name=name,
                slug=f"org-{id}",
                plan="self-hosted",
                timezone=timezone,
                hourly_cost_cents=9_500,
                created_at=november(1),
            )
        )
    for id, name, hourly, owner in (
        (STOREFRONT, "Storefront", None, ACME),
        (PAYMENTS, "Payments", 20_000, ACME),
        (29, "Strangers", None, CHARLIES),
    ):
        tx.execute(
            insert(teams).values(
                id=id, organization_id=owner, name=name, slug=name, hourly_cost_cents=hourly, created_at=november(1)
            )
        )
    for id, name, team, owner in (
        (WEB, "acme/web", STOREFRONT, ACME),
        (API, "acme/api", PAYMENTS, ACME),
        (INFRA, "acme/infra", None, ACME),
        (31, "charlie/secret", 29, CHARLIES),
    ):
        tx.execute(
            insert(repositories).values(
                id=id,
                organization_id=owner,
                name=name,
                team_id=team,
                created_at=november(1),
            )
        )
    for id, bot in ((ALICE, False), (BOB, False), (BOT, True)):
        tx.execute(insert(people).values(id=id, organization_id=ACME, bot=bot, created_at=november(1)))
    stranger = pull(201, 31, 1, "merged", organization=CHARLIES, merged_at=november(18))
    tx.execute(insert(pull_requests), [*PULLS, stranger])
    insert_ledger(tx, [*LEDGER, *STRANGERS])
    insert_days(
        tx,
        [
            day_rollup(16, person_id=ALICE, runs=4, priced_runs=4, exact_runs=3),
            day_rollup(17, person_id=ALICE, runs=2, priced_runs=2, exact_runs=2, environment="ci"),
            day_rollup(17, person_id=BOT, runs=1, priced_runs=1, exact_runs=1),
            day_rollup(18, person_id=BOB, runs=2, priced_runs=1, exact_runs=0, environment="production"),
            day_rollup(22, runs=1, priced_runs=0, exact_runs=0, team_id=0, repository_id=0),
            day_rollup(15, person_id=BOB, runs=9, priced_runs=9, exact_runs=9),
            {**day_rollup(18, person_id=ALICE, runs=99, environment="x"), "organization_id": CHARLIES},
        ],
    )
    tx.execute(insert(rollup_15m), [quarter_rollup(november(22, 20, 15)), quarter_rollup(november(23), CHARLIES)])


def insert_ledger(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Stores rows of the ledger with the narrow sums that are made of them."""
    tx.execute(insert(rollup_links), rows)
    _derive_ledger(tx, rows)


def move_ledger(tx: Tx, row: dict[str, Any], **to: Any) -> None:
    """Gives one row of the ledger other keys, and moves the narrow sums that are made of it."""
    tx.execute(delete(rollup_links).where(*(column == row[column.name] for column in rollup_links.primary_key.columns)))
    taken = row | {name: -row[name] for name in ("runs", "priced_runs", "cost_nanos")}
    _derive_ledger(tx, [taken])
    insert_ledger(tx, [row | to])


def insert_days(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Stores rows of the drill-down rollup with the narrow sums that are made of them."""
    tx.execute(insert(rollup_day), rows)
    _derive(
        tx,
        rollup_day,
        rows,
        lambda groups, _: [
            (rollup_spend, spend(groups, {}, {})),
            (rollup_dimension, by_dimension(groups)),
        ],
    )


def _derive_ledger(tx: Tx, rows: list[dict[str, Any]]) -> None:
    _derive(
        tx,
        rollup_links,
        rows,
        lambda groups, outcomes: [(rollup_spend, spend({}, groups, outcomes)), (rollup_pulls, pulls(groups))],
    )


def change_pull(tx: Tx, id: int, **values: Any) -> None:
    """Gives a pull request of Acme other facts, with the sums that go by them; none: it is gone."""
    before = outcomes_of(tx, ACME, [id], change=True)
    here = pull_requests.c.id == id
    tx.execute(update(pull_requests).where(here).values(values) if values else delete(pull_requests).where(here))
    settle_sums(tx, ACME, before, [id])


def _derive(
    tx: Tx, table: Table, rows: list[dict[str, Any]], made: Callable[[Groups, Outcomes], list[tuple[Table, Groups]]]
) -> None:
    keys = [column.name for column in table.primary_key.columns][1:]
    measures = [name for name in table.c.keys() if name not in (*keys, "organization_id")]  # noqa: SIM118
    for organization in {row["organization_id"] for row in rows}:
        groups = {
            tuple(row[name] for name in keys): [row[name] for name in measures]
            for row in rows
            if row["organization_id"] == organization
        }
        outcomes = outcomes_of(tx, organization, {row.get("pull_request_id", 0) for row in rows})
        for target, sums in made(groups, outcomes):
            add_groups(tx, organization, target, SUMS[target], sums, outcomes)


@contextmanager
def statements(store: Store) -> Iterator[list[tuple[str, Any]]]:
    """The (statement, parameters) that reach the database inside the block."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            seen.append((statement, parameters))

    def look(tx: Tx, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        seen.append((sql, values))
        return read_rows(tx, sql, values)

    event.listen(store.engine, "before_cursor_execute", note)
    try:
        with pytest.MonkeyPatch.context() as patch:  # look-ups go to SQLite's driver itself, where nobody listens
            patch.setattr(lookups, "read_rows", look)
            yield seen
    finally:
        event.remove(store.engine, "before_cursor_execute", note)
