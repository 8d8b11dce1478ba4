"""The overview by one dimension: groups that add up to the total, whatever is asked."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from costlens.domain.errors import InvalidInput
from costlens.domain.names import identities_of
from costlens.domain.roi import Window
from costlens.services.analytics import overview
from costlens.services.groups import GROUP_BY, Group, GroupBy
from costlens.services.organizations import create_team
from costlens.store import analytics
from costlens.store import tables as t
from costlens.store.analytics import Where
from costlens.store.identity import person_ids
from tests.databases import ENGINES
from tests.services.ledger import NOW, Ledger, a_run, open_ledger
from tests.services.test_verify import some_runs

COLUMN = t.DIMENSIONS | {"promptId": "prompt_id"}
WINDOW = Window(date(2026, 11, 12), date(2026, 11, 15), "America/St_Johns")


@pytest.fixture(params=ENGINES, scope="module")
def ledger(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    """Runs of two teams, and of prompts whose number is beyond most limits."""
    rng = random.Random(11)
    with open_ledger("America/St_Johns", engine=request.param) as opened:
        teams = [create_team(opened.store, opened.organization.id, name, now=NOW) for name in ("Payments", "Web")]
        keys = [opened.key, *(opened.make_key(team_id=team) for team in teams)]
        for key in keys:
            runs = [
                replace(run, tool=rng.choice((None, "editor")), success=rng.random() < 0.8)
                for run in some_runs(rng, 100, days=7)
            ]
            prompts = [None, *(f"p{n}" for n in range(40)), "other", "none", "=1+1"]
            opened.send(*(replace(run, prompt_id=rng.choice(prompts)) for run in runs), key=key)
        yield opened


def read(ledger: Ledger, by: str, where: Where | None = None, *, limit: int = 1000) -> tuple[Group, ...]:
    found = overview(ledger.store, ledger.organization, WINDOW, where, group_by=GroupBy(by, limit))
    assert found.groups is not None
    for name in ("runs", "succeeded", "priced_runs", "exact_runs", "cost_nanos", "latency_ms", "timed_runs", "tokens"):
        assert sum(getattr(group.sums, name) for group in found.groups) == getattr(found.total, name), (by, name)
    return found.groups


def expected(ledger: Ledger, by: str, **where: Any) -> dict[str, list[int]]:
    """Runs, priced ones and cost by what the runs themselves name."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in ledger.rows(t.runs):
        day = (row["occurred_at"] - timedelta(hours=3, minutes=30)).date()
        if WINDOW.start <= day <= WINDOW.end and all(row[name] == value for name, value in where.items()):
            of_group = sums[str(row[COLUMN[by]] or "")]
            for place, value in enumerate((1, row["cost_nanos"] is not None, row["cost_nanos"] or 0)):
                of_group[place] += value
    return sums


@pytest.mark.parametrize("by", GROUP_BY)
@pytest.mark.parametrize("narrow", [{}, {"provider": "openai"}, {"model": "gpt-4o"}, {"prompt_id": "p3"}, {"team": 1}])
def test_groups_are_what_runs_name_and_add_up(ledger: Ledger, by: str, narrow: dict[str, Any]) -> None:
    if "team" in narrow:
        narrow = {"team_id": next(row["id"] for row in ledger.rows(t.teams))}
    where = Where(**narrow)
    groups = read(ledger, by, where)
    wanted = expected(ledger, by, **narrow)
    assert wanted
    found = {group.sums.value: [group.sums.runs, group.sums.priced_runs, group.sums.cost_nanos] for group in groups}
    assert found == wanted
    named = [group for group in groups if group.kind == "group"]
    assert [group.sums.cost_nanos for group in named] == sorted((g.sums.cost_nanos for g in named), reverse=True)
    assert [group.kind for group in groups[len(named) :]] == (["none"] if "" in wanted else [])


@pytest.mark.parametrize("limit", [1, 3, 30])
def test_groups_past_the_limit_are_one_row(ledger: Ledger, limit: int) -> None:
    every = read(ledger, "promptId")
    some = read(ledger, "promptId", limit=limit)
    assert some[:limit] == every[:limit]
    assert [(group.kind, group.key) for group in some[limit:]] == [("none", None), ("other", None)]
    assert {group.key for group in every if group.kind == "group"} >= {"other", "none"}  # prompts may be called so


def test_a_group_has_the_name_that_pages_show(ledger: Ledger) -> None:
    assert {(group.key, group.name) for group in read(ledger, "team")} == {
        ("payments", "Payments"),
        ("web", "Web"),
        (None, None),
    }
    assert {(group.key, group.name) for group in read(ledger, "repository")} == {
        ("acme/web", "acme/web"),
        (None, None),
    }
    people = {group.key: group.name for group in read(ledger, "person")}
    assert sorted(str(name) for name in people.values()) == ["None", "alice", "bob"]
    with ledger.store.write() as tx:
        both = identities_of(login="bob", email="bob@example.com")
        (bob,) = person_ids(tx, ledger.organization.id, [both], NOW).values()
    assert {group.name for group in read(ledger, "person")} == {"alice", "bob@example.com", None}
    with ledger.store.write() as tx:
        tx.execute(t.people.update().where(t.people.c.id == bob).values(name="Bob"))
    assert (str(bob), "Bob") in {(group.key, group.name) for group in read(ledger, "person")}


def test_groups_of_a_foreign_zone_are_refused(ledger: Ledger) -> None:
    with pytest.raises(InvalidInput) as refused:
        overview(ledger.store, ledger.organization, Window(WINDOW.start, WINDOW.end, "UTC"), group_by=GroupBy("model"))
    assert refused.value.field == "timezone"


@pytest.mark.parametrize("by", GROUP_BY)
def test_groups_cost_two_queries_more_at_most(ledger: Ledger, by: str) -> None:
    asked: list[str] = []

    def note(_c: Any, _k: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(ledger.store.engine, "before_cursor_execute", note)
    try:
        overview(ledger.store, ledger.organization, WINDOW)
        plain = len(asked)
        read(ledger, by)
        assert len(asked) - plain - plain <= 2
    finally:
        event.remove(ledger.store.engine, "before_cursor_execute", note)


def test_sqlite_sums_groups_in_the_order_of_the_key() -> None:
    with open_ledger() as opened:
        opened.send(a_run())
        plans: list[str] = []

        def explain(cursor: Any, _c: Any, statement: str, parameters: Any, *_: Any) -> None:
            plans.extend(row[3] for row in cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

        with opened.store.read() as tx:
            event.listen(tx, "before_cursor_execute", lambda c, k, s, p, *_: explain(k, c, s, p))
            analytics.sums_by_dimension(tx, opened.organization.id, "model", date(2026, 1, 1), date(2026, 12, 31))
            assert tx.scalar(select(t.rollup_dimension.c.runs).limit(1)) == 1
        key = "organization_id=? AND dimension=? AND value=? AND day>? AND day<?"
        assert plans[0] == f"SEARCH rollup_dimension USING PRIMARY KEY ({key})"
        assert not any("TEMP B-TREE" in plan for plan in plans)
