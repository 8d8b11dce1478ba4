"""Whole lists page by page: each row once, whatever happens between two pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from costlens.services import exports
from costlens.services.exports import every_link, every_run
from costlens.services.linking import decide_links
from costlens.services.runs import page_of_links, page_of_runs
from costlens.services.sync import import_records
from costlens.store import tables as t
from costlens.store.runs import RunFilter
from tests.databases import ENGINES
from tests.services.ledger import NOW, Ledger, a_commit, a_pull, a_run, open_ledger

PAGE = 4


@pytest.fixture(params=ENGINES)
def ledger(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setattr(exports, "PAGE", PAGE)
    with open_ledger(engine=request.param) as opened:
        yield opened


def runs(ledger: Ledger, **values: Any) -> Iterator[Sequence[Any]]:
    read = partial(page_of_runs, ledger.store, ledger.organization, RunFilter())
    return every_run(read, **({"limit": None} | values))


def links(ledger: Ledger, **values: Any) -> Iterator[Sequence[Any]]:
    return every_link(partial(page_of_links, ledger.store, ledger.organization.id), **({"limit": None} | values))


def send(ledger: Ledger, count: int) -> list[int]:
    """Runs of three different moments; their ids, newest first."""
    made = [a_run(occurred_at=NOW - timedelta(hours=n % 3), repository="acme/web") for n in range(count)]
    stored = [ledger.row(result.run["id"]) for result in ledger.send(*made)]
    return [row.id for row in sorted(stored, key=lambda row: (row.occurred_at, row.id), reverse=True)]


def decide(ledger: Ledger, run_id: int, *numbers: int) -> None:
    """Links a run to just these pull requests by a person's word."""
    repository = ledger.repository("acme/web")
    pulls = {row["id"]: row["number"] in numbers for row in ledger.rows(t.pull_requests)}
    decide_links(
        ledger.store, ledger.organization.id, run_id, repository_id=repository, decisions=pulls, by="alice", now=NOW
    )


def linked(ledger: Ledger, count: int) -> list[int]:
    """Runs that are each linked to two pull requests; their ids, newest first."""
    pulls = [a_pull(n, a_commit(str(n) * 40, NOW)) for n in (1, 2, 3)]
    import_records(ledger.store, ledger.organization.id, pulls, now=NOW)
    made = send(ledger, count)
    for run_id in made:
        decide(ledger, run_id, 1, 2)
    return sorted(made, reverse=True)


def ids(pages: Iterator[Sequence[Any]]) -> list[int]:
    return [row.id for page in pages for row in page]


@pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE])
def test_each_run_comes_once_newest_first(ledger: Ledger, count: int) -> None:
    made = send(ledger, count)
    pages = list(runs(ledger))
    assert ids(iter(pages)) == made
    assert all(1 <= len(page) <= PAGE for page in pages) or count == 0


def test_a_limit_is_kept_and_a_place_goes_on(ledger: Ledger) -> None:
    made = send(ledger, 2 * PAGE + 2)
    for limit in range(1, len(made) + 2):
        assert ids(runs(ledger, limit=limit)) == made[:limit]
    last = ledger.row(made[4])
    assert ids(runs(ledger, before=(last.occurred_at, last.id))) == made[5:]


def test_runs_that_come_meanwhile_move_no_others(ledger: Ledger) -> None:
    made = send(ledger, 3 * PAGE)
    pages = runs(ledger)
    found = [row.id for row in next(pages)]
    new = send(ledger, 6)
    older = ledger.send_one(a_run(occurred_at=NOW - timedelta(days=1))).id
    found += ids(pages)
    assert [run_id for run_id in found if run_id in made] == made
    assert max(Counter(found).values()) == 1
    assert found[-1] == older
    assert set(found) <= {*made, *new, older}


def test_each_link_comes_once_by_the_newest_run_and_a_run_s_links_are_together(ledger: Ledger) -> None:
    made = linked(ledger, 7)
    pages = list(links(ledger))
    rows = [row for page in pages for row in page]
    assert [(row.run_id, row.number) for row in rows] == [(run_id, number) for run_id in made for number in (1, 2)]
    for page in pages:
        assert len(page) <= PAGE
        assert all(count == 2 for count in Counter(row.run_id for row in page).values())
    for limit in range(1, len(rows) + 2):
        assert [row.id for page in links(ledger, limit=limit) for row in page] == [row.id for row in rows[:limit]]
    place = (rows[2].run_id, rows[2].id)
    assert [row.id for page in links(ledger, after=place) for row in page] == [row.id for row in rows[3:]]


def test_a_run_with_more_links_than_a_page_comes_whole(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    made = linked(ledger, 3)
    monkeypatch.setattr(exports, "PAGE", 1)
    rows = [row for page in links(ledger) for row in page]
    assert [(row.run_id, row.number) for row in rows] == [(run_id, number) for run_id in made for number in (1, 2)]


@pytest.mark.parametrize("pages_before", [1, 2, 3])
def test_linking_anew_meanwhile_shows_no_run_twice_and_leaves_none_out(ledger: Ledger, pages_before: int) -> None:
    made = linked(ledger, 7)
    pages = links(ledger)
    rows = [row for _ in range(pages_before) for row in next(pages)]
    for run_id in made:
        decide(ledger, run_id, 3)
    rows += [row for page in pages for row in page]
    counted: dict[int, list[int]] = {}
    for row in rows:
        if row.state == "counted":
            counted.setdefault(row.run_id, []).append(row.number)
    assert list(counted) == made
    assert all(numbers in ([1, 2], [3]) for numbers in counted.values())
    for run_id, numbers in counted.items():
        share = sum(row.cost_nanos for row in rows if row.run_id == run_id)
        assert share == ledger.row(run_id).cost_nanos, numbers
