"""Work items: one piece of work from its first session to its merge, before any of it is written down."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from costlens.demo import words, world
from costlens.demo.world import Developer, Repository, Team

ASSISTED_SHARE = 0.95  # of the work items of people who use AI, once adoption is complete
STAYS_OPEN_SHARE = 0.04
REVERTED_SHARE = 0.012
WORKING_DAYS = 21.4  # of 28 days, weekends by their share
COUNTED_SHARE = 0.85  # of an item's spend, so that the counted part has the repository's mean cost
BLOCK = 20  # strata of a block of work items: keeps small repositories near their means
BURST_DAYS_BEFORE_END = 5  # or the working day before that
WAITING_SHARE = 0.6  # of the cycle time, before nights and weekends lengthen it
# How the runs of a session name their work, and how often.
MODES = (
    ("branch", 0.58),  # the feature branch
    ("main_then_branch", 0.12),  # starts on the default branch, then moves
    ("main", 0.07),  # stays on the default branch, commits soon after
    ("late", 0.06),  # on the default branch, commits hours later
    ("result", 0.05),  # names the resulting commit
    ("pull", 0.05),  # names the pull request
    ("shared", 0.04),  # the feature branch, nobody named
    ("head", 0.03),  # names only the commit that was checked out
)


@dataclass(frozen=True, slots=True)
class Session:
    """One sitting that ends in one commit; budget is what its AI runs cost, in dollars."""

    index: int
    start: datetime
    end: datetime
    budget: float
    mode: str
    sha: str
    committed_at: datetime
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkItem:
    key: str  # "repository:index"
    team: Team
    repository: Repository
    author: Developer
    assisted: bool
    title: str
    kind: str
    branch: str
    sessions: tuple[Session, ...]
    created_at: datetime
    merged_at: datetime | None  # None: not merged
    closed_at: datetime | None  # None: stays open
    reverted_at: datetime | None  # None: never reverted
    reverter: Developer | None
    reviewer: Developer
    reviewed_at: datetime
    additions: int
    deletions: int


def session_id(seed: int, key: str, index: int) -> str:
    """The id that a session's runs and trailers share."""
    return "ses_" + world.digest(seed, "session", key, index)[:20]


def request_id(seed: int, key: str, index: int | str, call: int) -> str:
    """The id of one call of a session."""
    return "req_" + world.digest(seed, "request", key, index, call)[:20]


def plan(seed: int, start: datetime, days: int, end: datetime) -> Iterator[WorkItem]:
    """Every work item begun in the window before `end`; its later steps may lie after `end`."""
    for team in world.TEAMS:
        for repository in team.repositories:
            yield from _plan_repository(seed, team, repository, start, days, end)


def _plan_repository(
    seed: int, team: Team, repository: Repository, start: datetime, days: int, end: datetime
) -> Iterator[WorkItem]:
    share = sum(p.weight for p in team.people if p.tool) / sum(p.weight for p in team.people)
    rate = (repository.merged + repository.abandoned) / WORKING_DAYS / (share * ASSISTED_SHARE * (1 - STAYS_OPEN_SHARE))
    due, index = 0.5, 0
    for day in range(days):
        date = start + timedelta(days=day)
        due += rate * world.WEEKDAY_SHARE[date.weekday()]
        while due >= 1:
            due -= 1
            rng = world.generator(seed, repository.name, index)
            item = _plan_item(seed, rng, team, repository, index, date, day, days)
            if item.sessions[0].start <= end:
                yield item
            index += 1


def _plan_item(
    seed: int, rng: random.Random, team: Team, repository: Repository, index: int, date: datetime, day: int, days: int
) -> WorkItem:
    key = f"{repository.name}:{index}"
    author = rng.choices(team.people, [p.weight for p in team.people])[0]
    assisted = author.tool is not None and rng.random() < ASSISTED_SHARE * world.adoption(day / days)
    cost = world.skewed(repository.mean_cost / COUNTED_SHARE, 1.0, _stratum(seed, repository, index, "cost", rng))
    if repository.burst and day == _burst_day(date - timedelta(days=day), days):
        cost *= 2.5
    title, kind, topic = words.title_and_kind(rng, repository.name)
    prefix = {"codex": "codex"}.get(author.tool or "", kind) if assisted and rng.random() < 0.5 else kind
    branch = f"{prefix}/{words.slug(topic)}-{index + 101}"
    first = world.at(date, author.start_hour + rng.triangular(0.2, 8.2, 3.0))
    sessions = _sessions(seed, rng, key, author, assisted, cost, first, topic, repository.suffix)
    created_after = rng.choice(sessions) if rng.random() < 0.4 else sessions[-1]
    created_at = created_after.committed_at + timedelta(minutes=rng.uniform(2, 25))
    last = max(sessions[-1].committed_at, created_at)
    target = sessions[0].committed_at + timedelta(
        hours=world.skewed(repository.cycle_hours * WAITING_SHARE, 0.7, rng.random())
    )
    reviewer = rng.choice([p for p in team.people if p is not author])
    closed_at: datetime | None = next_office_hour(rng, max(target, last + timedelta(minutes=rng.uniform(20, 90))))
    fate = _stratum(seed, repository, index, "fate", rng)
    abandoned = fate < repository.abandoned / (repository.merged + repository.abandoned)
    merged_at = None if abandoned else closed_at
    if abandoned:
        closed_at = next_office_hour(rng, last + timedelta(days=rng.triangular(0.5, 9, 2)))
    elif fate > 1 - STAYS_OPEN_SHARE:
        merged_at = closed_at = None
    reverted_at = None
    if merged_at and rng.random() < REVERTED_SHARE:
        reverted_at = next_office_hour(rng, merged_at + timedelta(hours=rng.uniform(4, 60)))
    additions = max(2, round(cost * rng.uniform(8, 40)))
    span = ((closed_at or last + timedelta(hours=30)) - created_at) * rng.uniform(0.15, 0.8)
    return WorkItem(
        key=key,
        team=team,
        repository=repository,
        author=author,
        assisted=assisted,
        title=title,
        kind=kind,
        branch=branch,
        sessions=sessions,
        created_at=created_at,
        merged_at=merged_at,
        closed_at=closed_at,
        reverted_at=reverted_at,
        reverter=reviewer if reverted_at else None,
        reviewer=reviewer,
        reviewed_at=created_at + span,
        additions=additions,
        deletions=round(additions * rng.uniform(0.05, 0.9)),
    )


def _burst_day(start: datetime, days: int) -> int:
    """The index of the day on which the repository with a burst spends far more than usual."""
    day = days - 1 - BURST_DAYS_BEFORE_END
    while (start + timedelta(days=day)).weekday() > 4:
        day -= 1
    return day


def _stratum(seed: int, repository: Repository, index: int, purpose: str, rng: random.Random) -> float:
    """A quantile for this work item; each block of 20 covers the whole distribution evenly."""
    order = list(range(BLOCK))
    world.generator(seed, repository.name, purpose, index // BLOCK).shuffle(order)
    return (order[index % BLOCK] + rng.random()) / BLOCK


def _sessions(
    seed: int,
    rng: random.Random,
    key: str,
    author: Developer,
    assisted: bool,
    cost: float,
    first: datetime,
    topic: str,
    suffix: str,
) -> tuple[Session, ...]:
    count = 1 + min(4, int(cost / 6)) + (rng.random() < 0.35)
    files = words.paths(rng, topic, suffix, min(12, 1 + int(cost / 2) + rng.randrange(4)))
    shares = [rng.uniform(0.5, 1.5) for _ in range(count)]
    found: list[Session] = []
    moment = first
    for index in range(count):
        budget = cost * shares[index] / sum(shares)
        end = moment + timedelta(minutes=min(88, 8 + budget * 6 * rng.uniform(0.7, 1.3)))
        mode = _mode(rng, author, index) if assisted else "branch"
        lag = rng.uniform(170, 400) if mode == "late" else rng.triangular(1, 20, 3)
        found.append(
            Session(
                index=index,
                start=moment,
                end=end,
                budget=budget,
                mode=mode,
                sha=world.commit_sha(seed, key, index),
                committed_at=(end + timedelta(minutes=lag)).replace(microsecond=0),
                files=tuple(rng.sample(files, max(1, round(len(files) * rng.uniform(0.4, 1.0))))),
            )
        )
        pause = timedelta(minutes=rng.uniform(10, 150))
        moment = world.next_working(author, found[-1].committed_at + pause)
    return tuple(found)


def _mode(rng: random.Random, author: Developer, index: int) -> str:
    if author.hook and rng.random() < 0.5:
        return "hook"  # names no branch: the trailer of the commit tells
    mode = rng.choices([name for name, _ in MODES], [weight for _, weight in MODES])[0]
    if (mode == "main" and index) or (mode == "head" and not index):
        return "branch"  # only a first session knows no branch yet; only a later one has a commit to name
    return mode


def next_office_hour(rng: random.Random, moment: datetime) -> datetime:
    """The instant itself in office hours of a working day, else some time in the next morning."""
    if moment.weekday() < 5 and 7 <= moment.hour < 18:
        return moment.replace(microsecond=0)
    if moment.weekday() > 4 or moment.hour >= 18:
        moment += timedelta(days=1)
    while moment.weekday() > 4:
        moment += timedelta(days=1)
    return (world.at(moment, 7) + timedelta(minutes=rng.uniform(5, 200))).replace(microsecond=0)
