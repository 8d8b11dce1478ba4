"""Runs that belong to no pull request: unnamed work, experiments, night jobs, a completion model, a plain client."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from costlens.demo import calls, world
from costlens.demo.calls import Body
from costlens.demo.pulls import request_id, session_id
from costlens.demo.world import HAIKU, PROVIDERS, SELF_HOSTED, SONNET, Developer, Repository, Team

SELF_HOSTED_USERS = ("rupert", "sybil", "heidi")
EXPERIMENT_CHANCE = 0.035  # per person and working day
READING_CHANCE = 0.03
NIGHT_JOB_BUDGET = {"Storefront": 3.2, "Payments": 2.6, "Discovery": 1.4, "Platform": 1.4}  # dollars
QUESTIONS = (
    ("Summarise this changelog in three points.", "Three fixes, one new option, no breaking change."),
    ("Suggest a clearer name for this function.", "Call it load_settings: it reads and checks the settings."),
    ("Explain this error message.", "The file is missing: the path is relative to the folder of the script."),
    ("Write a short release note.", "Pages load faster and the basket keeps its contents."),
)


@dataclass(frozen=True, slots=True)
class DirectCommit:
    """A commit pushed to the default branch without a pull request."""

    repository: Repository
    author: Developer
    sha: str
    committed_at: datetime
    subject: str
    files: tuple[str, ...]


def of_day(seed: int, date: datetime, progress: float, end: datetime) -> Iterator[tuple[str, Body]]:
    """The day's runs outside work items up to `end`, each with the name of its API key."""
    for key, moment, run in _of_day(seed, date, world.adoption(progress)):
        if moment <= end:
            yield key, run


def direct_commits(seed: int, date: datetime) -> Iterator[DirectCommit]:
    """The day's commits straight to the default branch."""
    rng = world.generator(seed, "direct", date.date())
    if date.weekday() > 4 or rng.random() > 0.5:
        return
    team = rng.choice(world.TEAMS)
    author = rng.choice([person for person in team.people if person.tool])
    moment = world.at(date, author.start_hour + rng.uniform(1.5, 8)).replace(microsecond=0)
    subject = rng.choice(("Correct the on-call page", "Raise the time-out of a nightly job", "Update the changelog"))
    files = ("docs/on-call.md",) if "page" in subject else ("config/jobs.yaml", "CHANGELOG.md")
    repository = rng.choice(team.repositories)
    yield DirectCommit(repository, author, world.commit_sha(seed, "direct", date.date()), moment, subject, files)


def _of_day(seed: int, date: datetime, level: float) -> Iterator[tuple[str, datetime, Body]]:
    working = date.weekday() < 5
    for team in world.TEAMS:
        for person in team.people:
            if person.tool:
                rng = world.generator(seed, "aside", date.date(), person.login)
                yield from _of_person(rng, seed, date, level, working, team, person)
        if working:
            yield from _night_job(seed, date, level, team)
    for commit in direct_commits(seed, date):
        yield from _before_direct_commit(seed, date, commit)


def _of_person(
    rng: random.Random, seed: int, date: datetime, level: float, working: bool, team: Team, person: Developer
) -> Iterator[tuple[str, datetime, Body]]:
    key = f"aside:{person.login}:{date.date()}"
    present = 1.0 if working else world.WEEKEND_SHARE
    actor = {"actor": world.actor_name(person)}
    if person.asides and rng.random() < present:
        budget = world.skewed(person.asides * level, 0.6, rng.random())
        begin = world.at(date, person.start_hour + rng.uniform(0.5, 6))
        known = actor | {"sessionId": session_id(seed, key, 0)}
        yield from _sitting(rng, seed, f"{key}:unnamed", team, person, budget, begin, known)
    if rng.random() < EXPERIMENT_CHANCE * level * present:
        begin = world.at(date, person.start_hour + rng.uniform(0.5, 7))
        repository = rng.choice(team.repositories)
        branch = f"spike/{person.login}-{date.strftime('%m%d')}"
        known = actor | {"repo": repository.full_name, "branch": branch, "sessionId": session_id(seed, key, 1)}
        yield from _sitting(rng, seed, f"{key}:spike", team, person, rng.uniform(1.5, 11), begin, known)
    if rng.random() < READING_CHANCE * level * present:
        begin = world.at(date, person.start_hour + rng.uniform(9.2, 10))
        repository = rng.choice(team.repositories)
        known = actor | {"repo": repository.full_name, "branch": "main", "sessionId": session_id(seed, key, 2)}
        yield from _sitting(rng, seed, f"{key}:reading", team, person, rng.uniform(1, 7), begin, known)
    if person.login in SELF_HOSTED_USERS and working:
        yield from _completions(rng, seed, key, date, team, person)
    if rng.random() < 0.3 * present:
        yield _plain_call(rng, seed, key, date, team, person)


def _sitting(
    rng: random.Random,
    seed: int,
    key: str,
    team: Team,
    person: Developer,
    budget: float,
    begin: datetime,
    known: Body,
) -> Iterator[tuple[str, datetime, Body]]:
    until = begin + timedelta(minutes=10 + budget * 5)
    for call, (moment, model, counts) in enumerate(calls.spend(rng, person, budget, begin, until)):
        run = calls.body(rng, model, counts, moment, request_id(seed, key, 0, call), dict(known))
        yield team.name, moment, run | {"tool": person.tool}


def _completions(
    rng: random.Random, seed: int, key: str, date: datetime, team: Team, person: Developer
) -> Iterator[tuple[str, datetime, Body]]:
    """Calls of a model that the organization runs itself: no price table knows it."""
    repository = team.repositories[0]
    for call in range(rng.randrange(1, 4)):
        moment = world.at(date, person.start_hour + rng.uniform(0, 8))
        known = {"repo": repository.full_name, "branch": "main", "actor": world.actor_name(person)}
        counts = (rng.randrange(600, 4000), 0, 0, rng.randrange(20, 220))
        run = calls.body(rng, SELF_HOSTED, counts, moment, request_id(seed, key, "completion", call), known)
        yield team.name, moment, run | {"promptId": "autocomplete-v1"}


def _plain_call(
    rng: random.Random, seed: int, key: str, date: datetime, team: Team, person: Developer
) -> tuple[str, datetime, Body]:
    """A call of a simple client: the text and one total, no classes of tokens and no repository."""
    moment = world.at(date, person.start_hour + rng.uniform(0, 9))
    model = rng.choice(("gpt-5-mini", HAIKU, world.GEMINI_FLASH))
    question, answer = rng.choice(QUESTIONS)
    run: Body = {
        "provider": PROVIDERS[model],
        "model": model,
        "promptId": "quick-question-v1",
        "input": question,
        "output": answer,
        "tokensUsed": rng.randrange(120, 1800),
        "latency": rng.randrange(600, 4000),
        "success": True,
        "timestamp": world.iso_millis(moment),
        "requestId": request_id(seed, key, "plain", 0),
        "metadata": {"actor": world.actor_name(person)},
    }
    return team.name, moment, run


def _night_job(seed: int, date: datetime, level: float, team: Team) -> Iterator[tuple[str, datetime, Body]]:
    """A job under the team's key that says which repository it reads, and nobody's name."""
    rng = world.generator(seed, "night", date.date(), team.name)
    left = NIGHT_JOB_BUDGET[team.name] * level * rng.uniform(0.6, 1.4)
    repository = rng.choice(team.repositories)
    moment = world.at(date, 2.5)
    call = 0
    while left > 0:
        counts = (rng.randrange(20_000, 90_000), 0, 0, rng.randrange(1_500, 6_000))
        known = {"repo": repository.full_name, "branch": "main"}
        request = request_id(seed, f"night:{team.name}:{date.date()}", 0, call)
        yield team.name, moment, calls.body(rng, SONNET, counts, moment, request, known) | {"promptId": "doc-writer-v1"}
        left -= calls.dollars(SONNET, counts)
        moment += timedelta(seconds=rng.uniform(60, 200))
        call += 1


def _before_direct_commit(seed: int, date: datetime, commit: DirectCommit) -> Iterator[tuple[str, datetime, Body]]:
    rng = world.generator(seed, "direct calls", date.date())
    team = next(team for team in world.TEAMS if commit.repository in team.repositories)
    begin = commit.committed_at - timedelta(minutes=30)
    key = f"direct:{date.date()}"
    known = {
        "repo": commit.repository.full_name,
        "branch": "main",
        "sessionId": session_id(seed, key, 0),
        "actor": world.actor_name(commit.author),
        "files": list(commit.files),
    }
    until = commit.committed_at - timedelta(minutes=2)
    for call, (moment, model, counts) in enumerate(
        calls.spend(rng, commit.author, rng.uniform(0.5, 2.5), begin, until)
    ):
        run = calls.body(rng, model, counts, moment, request_id(seed, key, 0, call), dict(known))
        yield team.name, moment, run | {"tool": commit.author.tool}
