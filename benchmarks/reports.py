"""Kept reports at 10⁶ runs: CPU and statements of making one, of showing it, and of the weekly round with its e-mails.

    python -m benchmarks.reports [--runs 1000000] [--engine sqlite|postgresql] [--database FILE] [--rounds 3]

`--database` is a SQLite file of `benchmarks.queries`, which is copied and not changed. Teams get names, seats and
assumptions, pull requests authors and sizes, so that every part of a report
has something to read. CPU time is that of the process, with the database in it (SQLite); the best of the rounds.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import event, text

from benchmarks.instances import ROOT, answer_of, instance
from benchmarks.queries import complete, fill
from costlens.services import report_rounds, team_reports
from costlens.services.report_rounds import Round
from costlens.services.reports import roi_report
from costlens.store.engine import Store
from costlens.store.organizations import find_organization
from tests.databases import ENGINES

SEEN: list[tuple[float, str]] = []  # CPU seconds and text of each statement since the last measurement


@contextmanager
def opened(url: str) -> Iterator[Store]:
    """A store that counts its statements."""
    store = Store(url)
    begun: list[float] = []

    @event.listens_for(store.engine, "before_cursor_execute")
    def before(*_: object) -> None:
        begun.append(time.process_time())

    @event.listens_for(store.engine, "after_cursor_execute")
    def after(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        SEEN.append((time.process_time() - begun.pop(), " ".join(statement.split())))

    try:
        yield store
    finally:
        store.close()


def best(name: str, rounds: int, work: Callable[[], object]) -> None:
    """Prints the CPU seconds of the best round, its statements and the two dearest of them."""
    found = []
    for _ in range(rounds):
        SEEN.clear()
        begun = time.process_time()
        work()
        found.append((time.process_time() - begun, len(SEEN), sorted(SEEN, reverse=True)[:2]))
    cpu, statements, dearest = min(found)
    print(f"{name:<46} {cpu * 1000:>8,.0f} ms  {statements:>5} statements")
    for seconds, statement in dearest:
        print(f"    {seconds * 1000:,.0f} ms: {statement[:110]}")


def measure(store: Store, rounds: int) -> None:
    with store.read() as tx:
        organization = find_organization(tx, "acme")
        newest = tx.execute(text("SELECT max(occurred_at) FROM runs")).scalar_one()
    assert organization is not None
    complete(store, organization)
    now = datetime.fromtimestamp(newest / 1000, UTC) if isinstance(newest, int) else newest
    windows = report_rounds.windows(organization.timezone, now)
    for kind in ("week", "month"):
        for scope, id in (("team", 1), ("repository", 1), ("organization", 0)):
            made: list[int] = []

            def make(scope: str = scope, id: int = id, kind: str = kind, made: list[int] = made) -> None:
                made.append(
                    team_reports.make(store, organization.id, scope, id, kind="asked", window=windows[kind], now=now)
                )

            def show(made: list[int] = made) -> None:
                team_reports.load(store, organization.id, made[-1])

            best(f"make, {kind} of the {scope}", rounds, make)
            best(f"show, {kind} of the {scope}", rounds, show)

        def figures(kind: str = kind) -> None:
            roi_report(store, organization.id, "team", window=windows[kind])

        best(f"figures alone, {kind} by team", rounds, figures)
    week = Round(organization, "week", windows["week"])
    done: list[int] = []
    best("the weekly round", 1, lambda: done.append(report_rounds.make_round(store, week, now=now)))
    best("the weekly round once more", 1, lambda: report_rounds.make_round(store, week, now=now))
    best("a look whether a round is missing", rounds, lambda: report_rounds.missing(store, now))
    print(f"{done[0]} reports in the round")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--engine", choices=ENGINES, default="sqlite")
    parser.add_argument("--database", type=Path, help="a SQLite file that benchmarks.queries made")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    if asked.database:
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copyfile(asked.database, Path(folder) / "costlens.db")
            with opened(f"sqlite:///{copy}") as store:
                measure(store, asked.rounds)
        return
    with instance(ROOT, asked.engine) as one:
        answer_of(one, "organization", "create", "Acme", "--owner", "alice@example.com")
        with opened(one.database_url) as store:
            with store.read() as tx:
                organization = find_organization(tx, "acme")
            assert organization is not None
            fill(store, organization, asked.runs)
            measure(store, asked.rounds)


if __name__ == "__main__":
    main()
