"""The overview, drill-downs of a year, ROI and the pages over HTTP, at 10⁵, 10⁶ or 10⁷ runs.

    python -m benchmarks.queries [--runs 100000 1000000] [--engine sqlite postgresql] [--rounds 20] [--only pages]
        [--database FILE] [--match TEXT]

For each size it makes a database, starts `costlens web` on it, asks each route over one connection and prints median,
95th percentile and worst milliseconds, of the first call too, and the server's CPU time a call; pages as a browser that
is signed in, each with every filter alone and for 28 days, 91 days and 12 months. A p95 above 100 ms gets a mark, and a
table at the end has each page alone and with its dearest filter. `--database` is a SQLite file that this made earlier,
which is copied, upgraded and not changed; `--match` asks only the routes and pages whose path holds that text. 10⁷ runs
take about 15 minutes and 9 GB to make.

The data: one organization, 365 days up to yesterday, the same number of runs each day; 200 people in 12 teams, 40
repositories, 30 prompts, 4 models of 2 providers, 3 tools, one run in twenty in production; 97 % of a repository's runs
are by people of one team. 500 pull requests a
repository, spread over the year; three of four runs count for one of the ten that are under way in their repository.
Runs, links and sums are written by the functions that ingest and linking use, without HTTP.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import os
import random
import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import event, func, insert, select, update

from benchmarks.export import link as link_row
from benchmarks.ingest import MODELS
from benchmarks.instances import ROOT, answer_of, cpu_seconds, instance, serving
from costlens.domain.estimates import Assumptions, Range
from costlens.domain.runs import show_id
from costlens.services import report_rounds, team_reports
from costlens.services.assumptions import set_assumptions
from costlens.services.verify import check
from costlens.store import tables as t
from costlens.store.engine import Store, Tx
from costlens.store.organizations import Organization, find_organization
from costlens.store.rollups import Change
from costlens.store.upsert import insert_many
from tests.databases import ENGINES

DAYS, PEOPLE, TEAMS, REPOSITORIES, PROMPTS, TOOLS = 365, 200, 12, 40, 30, 3
PULLS, UNDER_WAY = 500, 10  # of a repository: in the year, and at any time
GOAL = 100  # ms; the p95 of a page
CHUNK = 5_000  # runs a transaction
DIMENSIONS = ("team", "person", "repository", "provider", "model", "promptId", "tool", "environment")
ROUTES = (
    ("overview, 30 days", "/analytics/overview"),
    ("overview, 365 days", "/analytics/overview?days=365"),
    *((f"365 days by {name}", f"/analytics/overview?days=365&groupBy={name}") for name in DIMENSIONS),
    ("ROI by repository, 28 days", "/roi/repositories"),
    ("ROI by repository, 12 months", "/roi/repositories?period=12m"),
    ("ROI by team, 28 days", "/roi/teams"),
    ("ROI by team, 12 months", "/roi/teams?period=12m"),
    ("ROI by team, provider, 12 months", "/roi/teams?period=12m&provider=openai"),
    ("pull requests by cost, 28 days", "/roi/pull-requests?sort=cost"),
    ("one pull request", "/roi/pull-requests/acme/repository-7/490"),
)
PERIODS = ("28d", "91d", "12m")
FEW = {"team": "1", "repository": "1", "provider": "openai"}  # a value of each filter
USAGE = {**FEW, "model": "gpt-5.4", "environment": "production", "tool": "tool-1"}
RUNS = {
    **USAGE,
    "prompt": "prompt-3-v1",
    "result": "failed",
    **{f"state={state}": "" for state in ("code", "counted", "suggested", "pending", "unlinked", "not_code")},
    "reason": "no_candidate",
    "price": "none",
    "session": "session-77777",
    "pull": "500",
    "dir": "asc",
    "team=1&result=failed": "",
    "repository=1&state=counted": "",
    "repository=1&model": "gpt-5.4",
    "repository=1&prompt": "prompt-3-v1",
    "repository=1&team=1&result=failed": "",
    "model=unheard-of&tool": "tool-1",
}
PULLS_OF = {
    **FEW,
    **{f"outcome={outcome}": "" for outcome in ("merged", "open", "abandoned", "reverted", "closed")},
    **{f"ai={ai}": "" for ai in ("linked", "declared", "none_seen")},
    "sort": "cost",
}
# Pages of an organization that have a period, and their filters, of which each is asked for alone.
PAGES: dict[str, dict[str, str]] = {
    "overview": {**FEW, "compare": "none"},
    "repositories": {**FEW, "team=1&provider": "openai"},
    "teams": {**FEW, "team=1&provider": "openai"},
    "pulls": PULLS_OF,
    "repositories/acme/repository-7": {"team": "1", "provider": "openai", "outcome": "merged", "open": "490"},
    "repositories/acme/repository-7?tab=commits": {"team": "1", "provider": "openai"},
    "repositories/acme/repository-7?tab=prompts": {"team": "1", "provider": "openai"},
    "repositories/acme/repository-7?tab=unlinked": {"team": "1", "provider": "openai"},
    "unlinked": FEW,
    "runs": RUNS,
    "prompts": USAGE,
    "prompts/prompt-3": USAGE,
    "models": USAGE,
    "settings/usage": {},
    "estimate": FEW,
    "comparison": {"team": "1", "repository": "1"},
}
# Pages without a period.
OTHERS = (
    *("start", "runs/{run}", "pulls/acme/repository-7/490", "models/prices", "reports", "reports/{report}", "github"),
    *(f"search?q={text}" for text in ("request-77", "zzz", "acme/repository-7", "session-77", "Change", "prompt-3")),
    *(f"settings/{name}" for name in ("assumptions", "audit", "identities", "identities/7", "keys", "keys/new")),
    *(f"settings/{name}" for name in ("linking", "organization", "people", "sign-in", "teams", "teams/1")),
)


def fill(store: Store, organization: Organization, count: int) -> None:
    """Stores that many runs with their links and sums, oldest day first."""
    rng = random.Random(1)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = today - timedelta(days=DAYS)
    with store.write() as tx:
        repositories = [_repository(tx, organization.id, number, first) for number in range(REPOSITORIES)]
    number = 0
    for day in range(DAYS):
        here = count * (day + 1) // DAYS - count * day // DAYS
        while here > 0:
            size = min(here, CHUNK)
            with store.write() as tx:
                _chunk(tx, organization, rng, number, size, first + timedelta(days=day), day, repositories)
            number, here = number + size, here - size
    if store.dialect == "postgresql":
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")  # what it does by itself after a while


def complete(store: Store, organization: Organization) -> None:
    """What `fill` leaves out and pages read: teams, people, authors, sizes, assumptions. Nothing where it was done."""
    now = datetime.now(UTC)
    head = {"organization_id": organization.id, "created_at": now}
    with store.write() as tx:
        if tx.scalar(select(func.count()).select_from(t.teams)):
            return
        teams = [head | {"id": n, "name": f"Team {n}", "slug": f"t{n}"} for n in range(1, TEAMS + 1)]
        tx.execute(insert(t.teams), teams)
        tx.execute(insert(t.people), [head | {"id": n, "name": f"P{n}", "bot": False} for n in range(1, PEOPLE + 1)])
        known = [
            {"organization_id": organization.id, "kind": "email", "value": f"person{n - 1}@example.com", "person_id": n}
            for n in range(1, PEOPLE + 1)
        ]
        tx.execute(insert(t.identities), known)
        tx.execute(update(t.members).values(person_id=1))  # so that the owner has runs
        pull = t.pull_requests.c
        sizes = {"person_id": pull.id % PEOPLE + 1, "additions": pull.id % 700, "deletions": pull.id % 90}
        tx.execute(update(t.pull_requests).values(sizes))
    hours = Range(0.1, 0.2, 0.4)
    for team in (None, *range(1, TEAMS + 1)):
        given = Assumptions(hourly_cost_cents=9_500, seats_cents=100_000, hours=hours)
        set_assumptions(store, organization.id, team, date(2020, 1, 1), given, by="a key")


def _repository(tx: Tx, organization_id: int, number: int, first: datetime) -> tuple[int, list[int]]:
    """Id of a new repository, and the ids of its pull requests in the order of the year."""
    head = {"organization_id": organization_id, "created_at": first}
    made = tx.execute(insert(t.repositories).values(name=f"acme/repository-{number}", imported_at=first, **head))
    repository_id = int(made.inserted_primary_key[0])
    alias = {"organization_id": organization_id, "name": f"acme/repository-{number}", "repository_id": repository_id}
    tx.execute(insert(t.repository_aliases).values(alias))
    pulls = []
    for pull in range(PULLS):
        opened = first + timedelta(days=DAYS) * pull / PULLS
        merged = min(opened + timedelta(days=4), first + timedelta(days=DAYS)) if pull % 8 else None
        row = {
            **head, "repository_id": repository_id, "number": pull + 1, "title": f"Change {pull}", "labels": [],
            "created_at": opened, "first_commit_at": opened, "merged_at": merged, "closed_at": merged or opened,
            "outcome": "merged" if merged else "abandoned", "head_ref": f"feature/{pull}",
        }  # fmt: skip
        pulls.append(int(tx.execute(insert(t.pull_requests).values(**row)).inserted_primary_key[0]))
    return repository_id, pulls


def _chunk(
    tx: Tx,
    organization: Organization,
    rng: random.Random,
    number: int,
    size: int,
    day: datetime,
    place: int,
    repositories: list[tuple[int, list[int]]],
) -> None:
    change = Change(organization.id, organization.timezone)
    runs, links = [], []
    at = place * PULLS // DAYS
    for n in range(number, number + size):
        which = rng.randrange(REPOSITORIES)
        repository_id, pulls = repositories[which]
        code = rng.random() > 0.05
        pull = pulls[min(at + rng.randrange(UNDER_WAY), PULLS - 1)] if code and rng.random() < 0.75 else None
        person = rng.randrange(PEOPLE)
        if rng.random() < 0.97:  # of the repository's own team
            person += (which - person) % TEAMS
        run = _run(rng, organization.id, n, day, repository_id, person % PEOPLE, code, pull is not None)
        link = link_row(run, pull) if pull is not None else None
        runs.append(run)
        links += [link] if link else []
        change.add_run(run)
        change.add_ledger(run, [link] if link else [])
    insert_many(tx, t.runs, runs)
    insert_many(tx, t.links, links)
    change.write(tx)


def _run(
    rng: random.Random,
    organization_id: int,
    number: int,
    day: datetime,
    repository_id: int,
    person: int,
    code: bool,
    counted: bool,
) -> dict[str, Any]:
    provider, model = rng.choice(MODELS)
    cost = rng.randrange(10**6, 10**9)
    at = day + timedelta(milliseconds=rng.randrange(86_400_000))
    state = "counted" if counted else "unlinked" if code else "not_code"
    return {
        "id": number + 1,
        "organization_id": organization_id,
        "request_id": f"request-{number}",
        "session_id": f"session-{number // 5}",
        "source": "api",
        "received_at": at,
        "occurred_at": at,
        "person_id": person + 1,
        "actor": f"person{person}@example.com",
        "team_id": person % TEAMS + 1,
        "provider": provider,
        "model": model,
        "prompt_id": f"prompt-{rng.randrange(PROMPTS)}-v1",
        "environment": None if code else "production",
        "tool": f"tool-{rng.randrange(TOOLS)}",
        "code": code,
        "repository_id": repository_id,
        "branch": f"feature/{number % PULLS}",
        "input_uncached": rng.randrange(500, 50_000),
        "cache_read": rng.randrange(50_000),
        "cache_write_5m": 0,
        "cache_write_1h": 0,
        "output_text": rng.randrange(50, 2_000),
        "output_reasoning": 0,
        "usage_quality": "exact",
        "cost_nanos": cost,
        "baseline_cost_nanos": None,
        "cost_status": "priced",
        "success": rng.random() > 0.02,
        "latency_ms": rng.randrange(300, 20_000),
        "cache_hit": False,
        "link_state": state,
        "unlinked_reason": "no_candidate" if state == "unlinked" else None,
        "counted_nanos": cost if counted else 0,
        "linked_at": at,
    }


def times(port: int, headers: dict[str, str], path: str, rounds: int) -> Iterator[float]:
    """Milliseconds of each call over one connection, read to the end. Ends the program at an answer that is none."""
    expected = (200, 302) if urlsplit(path).path.endswith("/search") else (200,)  # a search leads to what it finds
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(rounds):
        started = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        yield 1000 * (time.perf_counter() - started)
        if answer.status not in expected or "/sign-in" in (answer.getheader("Location") or ""):
            raise SystemExit(f"{path}: {answer.status} {body[:200]!r}")
    connection.close()


def cookie_of(port: int, sign_in_url: str) -> str:
    """What a browser sends that has followed a sign-in link. Ends the program when the link signs nobody in."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", urlsplit(sign_in_url).path)
    answer = connection.getresponse()
    found = answer.getheader("Set-Cookie")
    connection.close()
    if not found:
        raise SystemExit(f"no cookie for the sign-in link: {answer.status}")
    return found.partition(";")[0]


@dataclass(frozen=True, slots=True)
class Asked:
    """One page or route that is asked for."""

    page: str  # what the table calls it
    filters: str  # '': none
    period: str  # '': it has none
    path: str


def asked_pages(run: str, report: int) -> Iterator[Asked]:
    """Every page of an organization: alone, and with each of its filters, in each period."""
    for page, filters in PAGES.items():
        for period in PERIODS:
            span = "" if period == ("12m" if page == "comparison" else "28d") else f"period={period}"
            for narrowed in ("", *(f"{name}={value}" if value else name for name, value in filters.items())):
                query = "&".join(part for part in (narrowed, span) if part)
                path = f"{page}{('&' if '?' in page else '?') if query else ''}{query}"
                yield Asked(page, narrowed, period, path)
    for page in OTHERS:
        yield Asked(page, "", "", page.format(run=run, report=report))


def measure(engine: str, count: int, rounds: int, only: str | None, match: str, database: Path | None) -> None:
    """One size on one engine, or a database that was made before."""
    with instance(ROOT, engine) as one:
        if database is None:
            made = answer_of(one, "organization", "create", "Acme", "--owner", "alice@example.com", "--json")
            caller = {"Authorization": f"Bearer {json.loads(made)['apiKey']}"}
        else:
            shutil.copyfile(database, Path(one.settings["COSTLENS_DATA"]) / "costlens.db")
            answer_of(one, "db", "upgrade")
            only, caller = "pages", {}  # its API key is not known
        store = Store(one.database_url)
        if engine == "sqlite":  # only while filling
            event.listen(store.engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous = OFF"))
        with store.read() as tx:
            organization = find_organization(tx, "acme")
        assert organization is not None
        if database is None:
            started = time.perf_counter()
            fill(store, organization, count)
            print(f"\n{engine}, {count:,} runs made in {time.perf_counter() - started:,.0f} s", flush=True)
            if count <= 1_000_000 and check(store, organization.id).differing:
                raise SystemExit("the sums are not those of the runs")
        complete(store, organization)
        report = _some_report(store, organization)
        with store.read() as tx:
            run = show_id("run", int(tx.scalar(select(func.max(t.runs.c.id))) or 0) // 2)
        store.close()
        with serving(one, 1) as (port, pid):
            reader = {"Cookie": cookie_of(port, answer_of(one, "sign-in-link", "alice@example.com").split()[-1])}
            routes = [(Asked(name, "", "", path), caller) for name, path in ROUTES if only != "pages"]
            pages = [(asked, reader) for asked in asked_pages(run, report)]
            found: list[tuple[Asked, float, float]] = []
            for asked, headers in routes + pages:
                path = asked.path if headers is caller else f"/app/acme/{asked.path}"
                if match not in path:
                    continue
                before = cpu_seconds(pid)
                took = sorted(times(port, headers, path, rounds))
                cpu = 1000 * (cpu_seconds(pid) - before) / rounds
                p95 = took[math.ceil(0.95 * len(took)) - 1]
                middle = statistics.median(took)
                figures = f"median {middle:7.1f}   p95 {p95:7.1f}   worst {took[-1]:7.1f} ms   cpu {cpu:6.1f}"
                print(f"  {path.removeprefix('/app/acme/'):75} {figures}{'  ***' if p95 > GOAL else ''}", flush=True)
                if headers is reader:
                    found.append((asked, p95, cpu))
        print_slowest(found)


def print_slowest(found: Sequence[tuple[Asked, float, float]]) -> None:
    """A table: p95 and CPU time of each page alone by period, and with its dearest filter."""
    print("\n| page | 28 days | 91 days | 12 months | dearest filter |\n|---|---|---|---|---|")
    for page in dict.fromkeys(asked.page for asked, *_ in found):
        own = [one for one in found if one[0].page == page]
        alone = {asked.period: f"{p95:.0f} / {cpu:.0f}" for asked, p95, cpu in own if not asked.filters}
        cells = [alone.get(period, alone.get("", "") if period == "28d" else "") for period in PERIODS]
        worst, p95, cpu = max(own, key=lambda one: one[2] if one[0].filters else 0)
        slowest = f"{p95:.0f} / {cpu:.0f}: {worst.filters}, {worst.period}" if worst.filters else ""
        print(f"| {page} | {' | '.join(cells)} | {slowest} |")
    above, busy = sum(p95 > GOAL for _, p95, _ in found), sum(cpu > GOAL for *_, cpu in found)
    load = os.getloadavg()[1]
    print(f"\n{len(found)} pages, {above} with a p95 above {GOAL} ms, {busy} with as much CPU; load {load:.1f}")


def _some_report(store: Store, organization: Organization) -> int:
    """The id of a kept report of a month of the whole organization."""
    now = datetime.now(UTC)
    span = report_rounds.windows(organization.timezone, now)["month"]
    return team_reports.make(store, organization.id, "organization", 0, kind="asked", window=span, now=now)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--engine", nargs="+", choices=ENGINES, default=["sqlite"])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", choices=["pages"], help="leave out the routes of the API")
    parser.add_argument("--match", default="", help="only the paths that hold this")
    parser.add_argument("--database", type=Path, help="a SQLite file that this benchmark made")
    given = parser.parse_args()
    if given.database:
        measure("sqlite", 0, given.rounds, "pages", given.match, given.database)
        return
    for engine in given.engine:
        for count in given.runs:
            measure(engine, count, given.rounds, given.only, given.match, None)


if __name__ == "__main__":
    main()
