"""Linking at scale: one pass over every run, and one event at a time, in one repository.

    python -m benchmarks.link_events [--runs 1000000] [--pulls 20000] [--engine sqlite postgresql] [--rounds 30]

Makes a database and prints of a first pass (no run was seen), and of a last one over all runs after the events, its
time, the peak memory of its process and its longest write transaction; of each kind of event, the CPU time of the pass
that follows it (median and worst), the runs it looks at and the SQL statements it takes, and the time of the import or
ingest before it. The last pass must change nothing: what the events' passes left is what a look at everything gives.

The data is that of `benchmarks.link_world`: a year of one repository and 200 people.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import event

from benchmarks.link_world import HOUR, MINUTE, PEOPLE, REPOSITORY, Pull, World, fill, tidy
from costlens.domain.github import PersonRecord, Record
from costlens.domain.names import identities_of
from costlens.domain.runs import RunInput
from costlens.domain.usage import Usage
from costlens.services.ingest import ingest
from costlens.services.keys import authenticate
from costlens.services.linking import decide_links, link_repository
from costlens.services.organizations import create_organization
from costlens.services.sync import import_records
from costlens.store.engine import Store, Tx
from costlens.store.github import find_pull
from costlens.store.migrate import upgrade
from costlens.store.runs import RunFilter, list_runs
from tests.databases import ENGINES, database_url


@dataclass(slots=True)
class Watched:
    """What happens in a store: statements, and how long each write transaction held the writer."""

    statements: int = 0
    writes: list[float] = field(default_factory=list)

    def watch(self, store: Store) -> None:
        write = store.write

        @contextmanager
        def timed() -> Iterator[Tx]:
            with write() as tx:
                started = time.perf_counter()
                yield tx
                # SQLite's and PostgreSQL's commit is on the way out, so it is timed below.
                self.writes.append(started)
            self.writes[-1] = time.perf_counter() - self.writes[-1]

        store.write = timed  # type: ignore[method-assign]

        @event.listens_for(store.engine, "before_cursor_execute")
        def _count(*_: Any) -> None:
            self.statements += 1


def peak_memory() -> float:
    """The most memory that this process has had, in MiB (Linux; `resource` would count its parent's)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def full_pass(url: str, organization_id: int, repository_id: int, full: bool, result: Any) -> None:
    """One pass in a process of its own, whose memory is the pass's alone."""
    store, watched = Store(url), Watched()
    before = peak_memory()
    watched.watch(store)
    started, cpu = time.perf_counter(), time.process_time()
    done = link_repository(store, organization_id, repository_id, full=full)
    result.send(
        {
            "runs": done.runs,
            "changed": done.changed,
            "seconds": time.perf_counter() - started,
            "cpu": time.process_time() - cpu,
            "pure": done.link_seconds,
            "rss": peak_memory(),
            "start": before,
            "longest": max(watched.writes, default=0.0),
            "writes": len(watched.writes),
        }
    )
    store.close()


def print_pass(name: str, url: str, organization_id: int, repository_id: int, full: bool) -> dict[str, Any]:
    """Runs `full_pass` and prints what it took."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    arguments = (url, organization_id, repository_id, full, sender)
    process = multiprocessing.get_context("spawn").Process(target=full_pass, args=arguments)
    process.start()
    sender.close()
    found: dict[str, Any] = receiver.recv()
    process.join()
    print(
        f"{name:32} {found['runs']:9,} runs, {found['changed']:9,} changed {found['seconds']:7.1f} s"
        f" ({found['cpu']:.1f} s CPU, {found['pure']:.1f} s of it pure linking)   peak {found['rss']:.0f} MiB"
        f" ({found['start']:.0f} before)   {found['writes']:,} write transactions, longest"
        f" {1000 * found['longest']:.0f} ms",
        flush=True,
    )
    return found


def server_seconds(url: str) -> float:
    """CPU time of a PostgreSQL server's living processes so far; 0 for SQLite, which works in the process itself."""
    folder = parse_qs(urlsplit(url).query).get("host")
    if not folder:
        return 0.0
    first = (Path(folder[0]) / "data" / "postmaster.pid").read_text().split()[0]
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    return sum(int(Path(f"/proc/{child}/schedstat").read_text().split()[0]) for child in children) / 1e9


class Events:
    """Things that happen to the world, mostly to one pull request after the other."""

    def __init__(self, store: Store, key: str, organization_id: int, repository_id: int, world: World) -> None:
        self.store, self.organization_id, self.repository_id, self.world = store, organization_id, repository_id, world
        self.key = authenticate(store, key, "ingest")
        self.open = [pull for pull in world.pulls if pull.ended is None]
        self.turn = 0
        self.number = len(world.pulls)

    def link(self) -> int:
        """The pass that follows an event; answers how many runs it looked at."""
        return link_repository(self.store, self.organization_id, self.repository_id).runs

    def take(self) -> Pull:
        """The next open pull request."""
        self.turn += 1
        return self.open[self.turn % len(self.open)]

    def run(self, pull: Pull, **values: Any) -> RunInput:
        """A run in the last session of a pull request, a minute before its last commit."""
        said = {"branch": pull.branch, "session_id": f"s-{pull.number}-2", "files": pull.commits[-1].files[:2]}
        actor = f"dev{pull.person}@example.com"
        at = pull.commits[-1].authored_at - MINUTE
        run = RunInput("openai", "gpt-5.4", Usage(1_000, 0, 0, 0, 100, 0), at, repository=REPOSITORY, actor=actor)
        return replace(run, **(said | values))

    def send(self, *runs: RunInput) -> None:
        ingest(self.store, self.key, runs)

    def load(self, *records: Record) -> None:
        import_records(self.store, self.organization_id, records)

    def new(self) -> Pull:
        """A pull request that nobody has told of, with the runs on its branch linked as far as they can be."""
        self.number += 1
        pull = Pull(self.number, self.number % PEOPLE, self.world.now - HOUR)
        for place in range(3):
            at = pull.opened + place * 10 * MINUTE
            pull.commits.append(self.world.commit(pull.number, str(place), pull.person, at, "New", pull.branch))
        self.send(*(self.run(pull) for _ in range(50)))
        self.link()
        return pull

    def one_run(self, pull: Pull) -> None:
        self.send(self.run(pull))

    def run_on_main(self, pull: Pull) -> None:
        self.send(self.run(pull, branch="main"))

    def many_runs(self, pull: Pull) -> None:
        self.send(*(self.run(one) for one in (pull, *(self.take() for _ in range(199)))))

    def opened(self, pull: Pull) -> None:
        self.load(pull.record())

    def commit_pushed(self, pull: Pull) -> None:
        at, what = pull.commits[-1].authored_at + MINUTE, str(len(pull.commits))
        pull.commits.append(self.world.commit(pull.number, what, pull.person, at, "One more", pull.branch))
        self.load(pull.record())

    def edited(self, pull: Pull) -> None:
        self.load(pull.record(body=f"Now with its session.\n\nCostLens-Session: s-{pull.number}-2"))

    def merged(self, pull: Pull) -> None:
        pull.ended, pull.merged = self.world.now, True
        squash = self.world.commit(pull.number, "m", pull.person, self.world.now, f"Change (#{pull.number})", "main")
        self.load(pull.record(), squash)

    def changed_late(self, pull: Pull) -> None:
        pull.ended = (pull.ended or self.world.now) + HOUR
        self.load(pull.record())

    def on_main(self, pull: Pull) -> None:
        self.number += 1
        at = pull.commits[-1].authored_at + MINUTE
        self.load(self.world.commit(self.number, "d", pull.person, at, "Direct", "main"))

    def decided(self, pull: Pull) -> None:
        with self.store.read() as tx:
            number = find_pull(tx, self.organization_id, self.repository_id, pull.number)
            (run,) = list_runs(tx, self.organization_id, RunFilter(session_id=f"s-{pull.number}-0"), limit=1)
        decide_links(
            self.store,
            self.organization_id,
            run.id,
            repository_id=self.repository_id,
            decisions={number or 0: True},
            by="alice@example.com",
        )

    def one_person(self, pull: Pull) -> None:
        """Another name of a person's comes to light, with its own runs."""
        self.send(self.run(pull, actor=f"other{self.turn}@example.com"))
        self.load(PersonRecord(identities_of(login=f"dev{pull.person}", email=f"other{self.turn}@example.com")))


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of event, and which pull request it is about."""

    name: str
    happen: Callable[[Events, Pull], None]
    about: Callable[[Events], Pull] = Events.take
    rare: bool = False


KINDS = (
    Kind("a run on a branch", Events.one_run),
    Kind("a run on main", Events.run_on_main),
    Kind("a commit pushed", Events.commit_pushed),
    Kind("a pull request opened", Events.opened, Events.new),
    Kind("its text edited", Events.edited),
    Kind("merged", Events.merged, lambda events: events.open.pop()),
    Kind("an old one changed", Events.changed_late, lambda events: events.world.pulls[events.take().number // 2]),
    Kind("a commit on main", Events.on_main),
    Kind("a person's word on a run", Events.decided),
    Kind("nothing", lambda _events, _pull: None),
    Kind("200 runs of 200 people", Events.many_runs, rare=True),
    Kind("two people are one", Events.one_person, rare=True),
)


def measure(events: Events, kind: Kind, rounds: int, url: str) -> None:
    """Prints what the passes after so many events of a kind took; one before them is not counted."""
    told, cpu, wall, statements, looked, server = [], [], [], [], [], []
    watched = Watched()
    watched.watch(events.store)
    for number in range(rounds + 1):
        pull = kind.about(events)
        started = time.process_time()
        kind.happen(events, pull)
        middle, clock, before, there = time.process_time(), time.perf_counter(), watched.statements, server_seconds(url)
        runs = events.link()
        if number:
            told.append(1000 * (middle - started))
            cpu.append(1000 * (time.process_time() - middle))
            wall.append(1000 * (time.perf_counter() - clock))
            statements.append(watched.statements - before)
            looked.append(runs)
            server.append(1000 * (server_seconds(url) - there))
    half = statistics.median
    beside = f" + server {half(server):4.1f} ms" if any(server) else ""
    print(
        f"{kind.name:28} {half(cpu):6.1f} ms CPU (worst {max(cpu):5.1f}){beside}"
        f"  {half(wall):6.1f} ms (worst {max(wall):5.1f})"
        f"  {half(looked):6,.0f} runs  {half(statements):4.0f} statements   the event itself {half(told):5.1f} ms CPU",
        flush=True,
    )


def bench(url: str, runs: int, pulls: int, rounds: int) -> None:
    """Everything, on an empty database."""
    store = Store(url)
    upgrade(store)
    now = datetime.now(UTC).replace(microsecond=0)
    created = create_organization(store, "Acme", "alice@example.com", plan="enterprise", now=now)
    world = World(pulls, now)
    started = time.perf_counter()
    repository = fill(store, created.organization, world, runs)
    seconds = time.perf_counter() - started
    print(f"\n{store.dialect}: {runs:,} runs, {pulls:,} pull requests, made in {seconds:.0f} s", flush=True)
    print_pass("first pass", url, created.organization.id, repository, False)
    tidy(store)
    events = Events(store, created.api_key, created.organization.id, repository, world)
    for kind in KINDS:
        measure(events, kind, max(1, rounds // 10) if kind.rare else rounds, url)
    last = print_pass("a pass over all runs afterwards", url, created.organization.id, repository, True)
    store.close()
    if last["changed"]:
        raise SystemExit(f"{last['changed']} runs were left with other links than a look at everything gives")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--pulls", type=int, default=20_000)
    parser.add_argument("--engine", nargs="+", choices=ENGINES, default=["sqlite"])
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    for engine in options.engine:
        with database_url(engine, migrated=False) as url:
            bench(url, options.runs, options.pulls, options.rounds)


if __name__ == "__main__":
    main()
