"""The invented organization: its people, teams, repositories and their rhythm."""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from statistics import NormalDist

ORGANIZATION = "Acme"
TIMEZONE = "UTC"
HOURLY_COST_CENTS = 9500
OWNER = "acme"
FIRST_PERSON_ID = 900_000_001
FIRST_REPOSITORY_ID = 910_000_001
WEEKEND_SHARE = 0.18  # of a working day's work
WEEKDAY_SHARE = (0.95, 1.05, 1.08, 1.02, 0.90, WEEKEND_SHARE, WEEKEND_SHARE)


@dataclass(frozen=True, slots=True)
class Developer:
    """One member: when they work, with which tool and models, and how their runs name them."""

    login: str
    start_hour: int  # UTC
    weight: float  # share of the team's work items, relative
    tool: str | None  # None: does not use AI
    models: tuple[tuple[str, float], ...] = ()
    actor: str = "login"  # login, email or noreply: what the tool sends
    hook: bool = False  # the commit hook writes session trailers
    asides: float = 0.0  # dollars a day spent without naming a repository


@dataclass(frozen=True, slots=True)
class Team:
    name: str
    people: tuple[Developer, ...]
    repositories: tuple[Repository, ...]


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository; merged and abandoned are assisted pull requests per 28 days, mean_cost dollars of each."""

    name: str
    merged: int
    abandoned: int
    mean_cost: float
    cycle_hours: float  # aimed at, first commit to merge
    suffix: str  # of its source files
    first_number: int
    burst: bool = False  # one day of unusual spend, shortly before the end

    @property
    def full_name(self) -> str:
        return f"{OWNER}/{self.name}"


OPUS = "claude-opus-4-5-20251101"
SONNET = "claude-sonnet-4-5"
HAIKU = "claude-haiku-4-5"
GPT = "gpt-5.2"
CODEX = "gpt-5.1-codex"
GEMINI_PRO = "gemini-2.5-pro"
GEMINI_FLASH = "gemini-2.5-flash"
SELF_HOSTED = "acme-coder-7b"  # in no price table, on purpose
PROVIDERS = {
    OPUS: "anthropic",
    SONNET: "anthropic",
    HAIKU: "anthropic",
    GPT: "openai",
    CODEX: "openai",
    "gpt-5-mini": "openai",
    GEMINI_PRO: "google",
    GEMINI_FLASH: "google",
    SELF_HOSTED: "self-hosted",
}
CLAUDE = ((OPUS, 0.8), (SONNET, 0.2))
CLAUDE_FRUGAL = ((OPUS, 0.45), (SONNET, 0.55))
OPENAI = ((GPT, 0.8), (CODEX, 0.2))
CURSOR = ((SONNET, 0.55), (GEMINI_PRO, 0.25), (GPT, 0.2))

TEAMS = (
    Team(
        "Storefront",
        (
            Developer("alice", 7, 1.3, "claude-code", CLAUDE),
            Developer("bob", 8, 1.1, "claude-code", CLAUDE, actor="email"),
            Developer("charlie", 8, 1.0, "claude-code", CLAUDE_FRUGAL, hook=True),
            Developer("dana", 9, 0.8, "cursor", CURSOR, asides=7.0),
            Developer("erin", 7, 1.0, "claude-code", CLAUDE),
            Developer("frank", 13, 0.7, "codex", OPENAI, actor="email"),
            Developer("wendy", 8, 0.5, None),
        ),
        (
            Repository("web-storefront", 97, 12, 8.3, 22, "tsx", 2410),
            Repository("mobile-app", 46, 6, 4.3, 38, "kt", 1120),
            Repository("design-system", 12, 1, 3.9, 16, "css", 640),
        ),
    ),
    Team(
        "Payments",
        (
            Developer("grace", 7, 1.2, "claude-code", CLAUDE, hook=True),
            Developer("heidi", 8, 1.1, "claude-code", CLAUDE, actor="noreply"),
            Developer("ivan", 8, 0.9, "codex", OPENAI),
            Developer("judy", 9, 0.7, "cursor", CURSOR, actor="email", asides=7.5),
            Developer("mallory", 12, 1.0, "claude-code", CLAUDE),
            Developer("walter", 8, 0.5, None),
        ),
        (
            Repository("checkout-api", 84, 9, 8.7, 19, "py", 1805),
            Repository("ledger-core", 43, 4, 9.3, 40, "rs", 930),
        ),
    ),
    Team(
        "Discovery",
        (
            Developer("niaj", 3, 1.2, "claude-code", CLAUDE, hook=True),
            Developer("olivia", 8, 1.0, "claude-code", CLAUDE, actor="email"),
            Developer("peggy", 9, 0.8, "claude-code", CLAUDE_FRUGAL),
        ),
        (Repository("search-ranking", 29, 7, 14.4, 62, "py", 715),),
    ),
    Team(
        "Platform",
        (
            Developer("rupert", 6, 1.0, "claude-code", CLAUDE),
            Developer("sybil", 8, 1.0, "claude-code", CLAUDE, hook=True),
            Developer("trent", 10, 0.8, "cursor", CURSOR, asides=8.0),
            Developer("victor", 8, 0.4, None),
        ),
        (
            Repository("data-pipelines", 17, 5, 19.5, 70, "sql", 520, burst=True),
            Repository("infra", 28, 2, 3.4, 11, "tf", 1340),
        ),
    ),
)
PEOPLE = tuple(developer for team in TEAMS for developer in team.people)
REPOSITORIES = tuple(repository for team in TEAMS for repository in team.repositories)
PERSON_IDS = {person.login: FIRST_PERSON_ID + index for index, person in enumerate(PEOPLE)}


def email(login: str) -> str:
    """The work address of a person."""
    return f"{login}@example.com"


def noreply_email(login: str) -> str:
    """The address GitHub gives a person who hides their own."""
    return f"{PERSON_IDS[login]}+{login}@users.noreply.github.com"


def actor_name(developer: Developer) -> str:
    """What the developer's tool sends as `actor`."""
    if developer.actor == "email":
        return email(developer.login)
    if developer.actor == "noreply":
        return noreply_email(developer.login)
    return developer.login


def digest(*parts: object) -> str:
    """64 hexadecimal digits that depend on the parts alone."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()


def commit_sha(*parts: object) -> str:
    """A commit id of 40 hexadecimal digits."""
    return digest("commit", *parts)[:40]


def generator(*parts: object) -> random.Random:
    """A random generator of its own for each thing, so that one thing never shifts another."""
    return random.Random("/".join(map(str, parts)))


def skewed(mean: float, sigma: float, quantile: float) -> float:
    """The lognormal value at a quantile; with sigma 1 the median is 0.6 of the mean."""
    z = NormalDist().inv_cdf(min(max(quantile, 0.005), 0.995))
    return mean * math.exp(sigma * z - sigma * sigma / 2)


def adoption(progress: float) -> float:
    """Share of the later AI use already reached at a point of the window (0 = first day, 1 = last)."""
    return float(1 - 0.45 * (1 - progress) ** 2.2)


def at(day: datetime, hour: float) -> datetime:
    """The instant at an hour of a UTC day."""
    return datetime.combine(day.date(), time(tzinfo=UTC)) + timedelta(hours=hour)


def next_working(developer: Developer, moment: datetime, hours: float = 9.0) -> datetime:
    """The first instant from `moment` on that lies in the developer's working hours."""
    start = at(moment, developer.start_hour)
    if moment.weekday() < 5 and moment < start:
        moment = start
    elif moment.weekday() > 4 or moment >= start + timedelta(hours=hours):
        moment = start + timedelta(days=1)
    while moment.weekday() > 4:
        moment = at(moment + timedelta(days=1), developer.start_hour)
    return moment


def iso(moment: datetime) -> str:
    """A UTC instant with seconds, as GitHub writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_millis(moment: datetime) -> str:
    """A UTC instant with milliseconds, as clients send it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
