"""The overview, drill-downs of a year, ROI and the pages over HTTP, at 10⁵, 10⁶ or 10⁷ runs.

    python -m benchmarks.queries [--runs 100000 1000000] [--engine sqlite postgresql] [--rounds 20] [--only pages]

For each size it makes a database, starts `costlens web` on it, asks each route over one connection and prints median,
95th percentile and worst milliseconds, of the first call too; pages as a browser that is signed in. 10⁷ runs take about
15 minutes and 9 GB to make.

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
import random
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import event, insert

from benchmarks.export import link as link_row
from benchmarks.ingest import MODELS
from benchmarks.instances import ROOT, answer_of, instance, serving
from costlens.domain.runs import show_id
from costlens.services.verify import check
from costlens.store import tables as t
from costlens.store.engine import Store, Tx
from costlens.store.organizations import Organization, find_organization
from costlens.store.rollups import Change
from costlens.store.upsert import insert_many
from tests.databases import ENGINES

DAYS, PEOPLE, TEAMS, REPOSITORIES, PROMPTS, TOOLS = 365, 200, 12, 40, 30, 3
PULLS, UNDER_WAY = 500, 10  # of a repository: in the year, and at any time
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
# Of the organization's pages; the period is 28 days unless it is said.
PAGES = (
    ("runs", "runs"),
    ("runs, failed of one team", "runs?team=1&result=failed"),
    ("runs, unlinked of a provider", "runs?provider=openai&state=unlinked"),
    ("runs, one prompt and model", "runs?prompt=prompt-3-v1&model=gpt-5.4"),
    ("runs, none matches", "runs?model=unheard-of&tool=tool-1"),
    ("runs, without a price", "runs?price=none"),
    ("runs, 12 months", "runs?period=12m"),
    ("one run", "runs/{run}"),
    ("prompts", "prompts"),
    ("prompts of one team", "prompts?team=1"),
    ("prompts, 12 months", "prompts?period=12m"),
    ("one prompt", "prompts/prompt-3"),
    ("models", "models"),
    ("models of one repository", "models?repository=1"),
    ("models, 12 months", "models?period=12m"),
    ("prices", "models/prices"),
    ("search, a request", "search?q=request-77"),
    ("search, nothing", "search?q=zzz"),
    ("overview", "overview"),
    ("ROI by repository", "repositories"),
    ("ROI by team", "teams"),
    ("ROI of a team", "repositories?team=1"),
    ("ROI of a provider by team", "teams?provider=openai"),
    ("pull requests", "pulls"),
    ("pull requests by cost", "pulls?sort=cost"),
    ("one pull request", "pulls/acme/repository-7/490"),
    ("one repository", "repositories/acme/repository-7"),
    ("its direct work", "repositories/acme/repository-7?tab=commits"),
    ("its prompts", "repositories/acme/repository-7?tab=prompts"),
    ("what it has not linked", "repositories/acme/repository-7?tab=unlinked"),
    ("not linked, by reason", "unlinked"),
    *(
        (f"{name}, {words}", f"{path}{'&' if '?' in path else '?'}period={period}")
        for period, words in (("91d", "91 days"), ("12m", "12 months"))
        for name, path in (
            ("overview", "overview"),
            ("ROI by repository", "repositories"),
            ("ROI by team", "teams"),
            ("ROI of a team", "repositories?team=1"),
            ("ROI of a provider by team", "teams?provider=openai"),
            ("pull requests", "pulls"),
            ("pull requests by cost", "pulls?sort=cost"),
            ("one repository", "repositories/acme/repository-7"),
            ("its prompts", "repositories/acme/repository-7?tab=prompts"),
            ("what it has not linked", "repositories/acme/repository-7?tab=unlinked"),
            ("not linked, by reason", "unlinked"),
        )
    ),
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


def measure(engine: str, count: int, rounds: int, only: str | None) -> None:
    """One size on one engine."""
    with instance(ROOT, engine) as one:
        made = answer_of(one, "organization", "create", "Acme", "--owner", "alice@example.com", "--json")
        created = json.loads(made)
        store = Store(one.database_url)
        if engine == "sqlite":  # only while filling
            event.listen(store.engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous = OFF"))
        with store.read() as tx:
            organization = find_organization(tx, "acme")
        assert organization is not None
        started = time.perf_counter()
        fill(store, organization, count)
        took = time.perf_counter() - started
        print(f"\n{engine}, {count:,} runs made in {took:,.0f} s", flush=True)
        if count <= 1_000_000 and check(store, organization.id).differing:
            raise SystemExit("the sums are not those of the runs")
        store.close()
        with serving(one, 1) as (port, _):
            caller = {"Authorization": f"Bearer {created['apiKey']}"}
            reader = {"Cookie": cookie_of(port, created["signInUrl"])}
            run = show_id("run", count // 2)
            asked = [(name, path, caller) for name, path in ROUTES if only != "pages"]
            asked += [(f"page: {name}", f"/app/acme/{path.format(run=run)}", reader) for name, path in PAGES]
            for name, path, headers in asked:
                found = sorted(times(port, headers, path, rounds))
                p95 = found[min(len(found) - 1, int(0.95 * len(found)))]
                figures = f"median {statistics.median(found):7.1f}   p95 {p95:7.1f}   worst {found[-1]:7.1f} ms"
                print(f"  {name:35} {figures}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--engine", nargs="+", choices=ENGINES, default=["sqlite"])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", choices=["pages"], help="leave out the routes of the API")
    given = parser.parse_args()
    for engine in given.engine:
        for count in given.runs:
            measure(engine, count, given.rounds, given.only)


if __name__ == "__main__":
    main()
