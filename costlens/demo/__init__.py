"""A made-up organization with three months of AI runs and pull requests, the same on every call."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from costlens.demo import asides, calls, production, pulls, snapshot, world
from costlens.demo.calls import Body
from costlens.demo.snapshot import Line

BATCH_SIZE = 1000


@dataclass(frozen=True, slots=True)
class DemoTeam:
    """A team: its name, which is also that of its API key, the logins of its people, its repositories."""

    name: str
    people: tuple[str, ...]
    repositories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Demo:
    """All that the demo loads: `snapshot` for the GitHub import, `batches` of (key name, run bodies) for ingest."""

    organization: str
    hourly_cost_cents: int
    timezone: str
    teams: tuple[DemoTeam, ...]
    production_key: str  # name of the key whose purpose is production
    snapshot: list[Line]
    batches: list[tuple[str, list[Body]]]


def generate(until: date, *, seed: int = 7, days: int = 91, now: datetime | None = None) -> Demo:
    """The demo of `days` UTC days ending with `until`; nothing in it lies after `now` (aware) or that day's end."""
    if days < 1:
        raise ValueError("days must be at least 1")
    midnight = datetime.combine(until, time(tzinfo=UTC))
    end = midnight + timedelta(days=1, milliseconds=-1)
    if now is not None:
        end = min(end, now.astimezone(UTC))
    start = midnight - timedelta(days=days - 1)
    items = list(pulls.plan(seed, start, days, end))
    bots = list(snapshot.bot_pulls(seed, start, days))
    number_of = snapshot.numbers(items, bots)

    lines = list(snapshot.base_lines())
    runs: list[tuple[str, Body]] = []
    for item in items:
        lines.extend(snapshot.item_lines(seed, item, number_of, end))
        runs.extend(calls.of_item(seed, item, number_of[item.key], end))
    for bot in bots:
        lines.extend(snapshot.bot_lines(seed, bot, number_of, end))
    for day in range(days):
        today = start + timedelta(days=day)
        lines.extend(
            snapshot.direct_line(commit) for commit in asides.direct_commits(seed, today) if commit.committed_at <= end
        )
        runs.extend(asides.of_day(seed, today, day / days, end))
        runs.extend((production.KEY, run) for run in production.of_day(seed, today, day / days, end))
    return Demo(
        organization=world.ORGANIZATION,
        hourly_cost_cents=world.HOURLY_COST_CENTS,
        timezone=world.TIMEZONE,
        teams=tuple(
            DemoTeam(team.name, tuple(p.login for p in team.people), tuple(r.full_name for r in team.repositories))
            for team in world.TEAMS
        ),
        production_key=production.KEY,
        snapshot=lines,
        batches=_batches(runs),
    )


def _batches(runs: list[tuple[str, Body]]) -> list[tuple[str, list[Body]]]:
    """Runs in batches of one key each, in the order of their first run; each key's runs stay in the order of time."""
    waiting: dict[str, list[Body]] = defaultdict(list)
    for key, run in sorted(runs, key=lambda pair: (pair[1]["timestamp"], pair[1]["requestId"])):
        waiting[key].append(run)
    batches = [
        (key, bodies[place : place + BATCH_SIZE])
        for key, bodies in waiting.items()
        for place in range(0, len(bodies), BATCH_SIZE)
    ]
    return sorted(batches, key=lambda batch: (batch[1][0]["timestamp"], batch[0]))
