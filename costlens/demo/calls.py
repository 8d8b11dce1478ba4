"""Runs of the developers: the calls of a work item's sessions, as bodies of POST /integrations/run."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from costlens.demo import world
from costlens.demo.pulls import Session, WorkItem, request_id, session_id
from costlens.demo.world import HAIKU, PROVIDERS, SONNET, Developer

Body = dict[str, Any]

# Dollars per million tokens (input, cache read, cache write, output). They only shape how many calls a
# budget buys; what a run costs is for the price tables of the application to say.
SHAPE = {
    world.OPUS: (5.0, 0.5, 6.25, 25.0),
    SONNET: (3.0, 0.3, 3.75, 15.0),
    HAIKU: (1.0, 0.1, 1.25, 5.0),
    world.GPT: (1.75, 0.175, 0.0, 14.0),
    world.CODEX: (1.25, 0.125, 0.0, 10.0),
    "gpt-5-mini": (0.25, 0.025, 0.0, 2.0),
    world.GEMINI_PRO: (1.25, 0.125, 0.0, 10.0),
    world.GEMINI_FLASH: (0.3, 0.03, 0.0, 2.5),
}
# Milliseconds to the first token, tokens per second after it.
SPEED = {
    world.OPUS: (1900, 62),
    SONNET: (1300, 74),
    HAIKU: (600, 150),
    world.GPT: (2400, 70),
    world.CODEX: (2100, 80),
    "gpt-5-mini": (900, 120),
    world.GEMINI_PRO: (2200, 95),
    world.GEMINI_FLASH: (450, 190),
    world.SELF_HOSTED: (120, 45),
}
ERRORS = ("overloaded", "rate limited", "timeout", "connection reset")
FAILURE_SHARE = 0.02
PROMPTS = (("implement-change-v4", 0.12), ("test-writer-v1", 0.10), ("test-writer-v2", 0.05), ("refactor-v1", 0.05))
REVIEWED_BY_CI = ("web-storefront", "checkout-api", "search-ranking")


def tokens(rng: random.Random, model: str, scale: float = 1.0) -> tuple[int, int, int, int]:
    """Token counts of one agent call: (uncached input, cache read, cache write, output), disjoint."""
    read = rng.uniform(50_000, 115_000) * scale
    output = min(24_000, rng.lognormvariate(8.2, 0.7)) * scale
    if PROVIDERS[model] == "anthropic":
        written = min(75_000, rng.lognormvariate(10.85, 0.5)) * scale
        return rng.randrange(4, 60), int(read), int(written), max(1, int(output))
    return int(rng.uniform(40_000, 120_000) * scale) + 10, int(read), 0, max(1, int(output * 1.6))


def dollars(model: str, counts: tuple[int, int, int, int]) -> float:
    """About what the call costs, in dollars."""
    return sum(count * price for count, price in zip(counts, SHAPE[model], strict=True)) / 1e6


def body(
    rng: random.Random,
    model: str,
    counts: tuple[int, int, int, int],
    moment: datetime,
    request: str,
    metadata: Body,
) -> Body:
    """One run in the provider's own way of counting: Anthropic reports cached tokens beside the input, others in it."""
    fresh, read, written, output = counts
    first_token, speed = SPEED[model]
    run: Body = {"provider": PROVIDERS[model], "model": model, "requestId": request}
    run["timestamp"] = world.iso_millis(moment)
    run["success"] = True
    if rng.random() < FAILURE_SHARE:
        run["success"] = False
        run["error"] = rng.choice(ERRORS)
        output = 0
    run["latency"] = int(first_token * rng.uniform(0.6, 2.0) + output * 1000 / (speed * rng.uniform(0.7, 1.25)))
    run["inputTokens"] = fresh if PROVIDERS[model] == "anthropic" else fresh + read
    run["outputTokens"] = output
    if read:
        run["cacheReadTokens"] = read
    if written:
        run["cacheWriteTokens"] = written
    run["tokensUsed"] = fresh + read + written + output
    run["metadata"] = metadata
    return run


def spend(
    rng: random.Random, developer: Developer, budget: float, start: datetime, end: datetime
) -> Iterator[tuple[datetime, str, tuple[int, int, int, int]]]:
    """Calls worth `budget` dollars, spread over a sitting: (instant, model, token counts)."""
    names, weights = [name for name, _ in developer.models], [weight for _, weight in developer.models]
    calls: list[tuple[str, tuple[int, int, int, int]]] = []
    left = budget
    while left > 0:
        model = rng.choices(names, weights)[0]
        counts = tokens(rng, model)
        cost = dollars(model, counts)
        if cost > left:  # the last call is smaller, so that the sitting costs its budget
            share = max(0.05, left / cost)
            fresh, read, written, output = counts
            counts = max(4, int(fresh * share)), int(read * share), int(written * share), max(1, int(output * share))
        left -= cost
        calls.append((model, counts))
    step = (end - start) / len(calls)
    for place, (model, counts) in enumerate(calls):
        yield start + step * (place + rng.random() * 0.8), model, counts


def of_item(seed: int, item: WorkItem, number: int, end: datetime) -> Iterator[tuple[str, Body]]:
    """All runs of a work item up to `end`, each with the name of the API key that sends it."""
    if not item.assisted:
        return
    for session in item.sessions:
        if session.start > end:
            break
        yield from _of_session(seed, item, session, number, end)
    if item.repository.name in REVIEWED_BY_CI:
        yield from _ci_review(seed, item, number, end)


def _of_session(seed: int, item: WorkItem, session: Session, number: int, end: datetime) -> Iterator[tuple[str, Body]]:
    rng = world.generator(seed, "calls", item.key, session.index)
    moved_at = session.start + (session.end - session.start) * 0.3
    for call, (moment, model, counts) in enumerate(spend(rng, item.author, session.budget, session.start, session.end)):
        if moment > end:
            break
        metadata = _metadata(rng, seed, item, session, moment, number, moved_at, end)
        run = body(rng, model, counts, moment, request_id(seed, item.key, session.index, call), metadata)
        run["tool"] = item.author.tool
        if prompt := choose_prompt(rng, PROMPTS):
            run["promptId"] = prompt
        yield item.team.name, run
    if item.author.tool == "claude-code" and session.end <= end:
        metadata = _metadata(rng, seed, item, session, session.end, number, moved_at, end)
        counts = (rng.randrange(900, 6000), 0, 0, rng.randrange(40, 180))
        run = body(rng, HAIKU, counts, session.end, request_id(seed, item.key, session.index, 9999), metadata)
        run |= {"tool": "claude-code", "promptId": "commit-message-v3"}
        yield item.team.name, run


def _metadata(
    rng: random.Random,
    seed: int,
    item: WorkItem,
    session: Session,
    moment: datetime,
    number: int,
    moved_at: datetime,
    end: datetime,
) -> Body:
    """What the tool says of the code it works on; which of it depends on the session's mode."""
    mode = session.mode
    # A run cannot name what does not exist yet; a tool falls back to the branch then.
    if (mode == "pull" and moment < item.created_at) or (mode == "result" and session.committed_at > end):
        mode = "branch"
    known: Body = {"repo": item.repository.full_name}
    if mode in ("main", "late") or (mode == "main_then_branch" and moment < moved_at):
        known["branch"] = "main"
    elif mode not in ("hook", "head", "pull"):
        known["branch"] = item.branch
    known["sessionId"] = session_id(seed, item.key, session.index)
    if mode != "shared":
        known["actor"] = world.actor_name(item.author)
    if mode in ("main", "late", "head"):
        known["files"] = list(session.files[:5])
    elif rng.random() < 0.6:
        known["files"] = [rng.choice(session.files)]
    if mode == "pull":
        known["prNumber"] = number
    elif mode == "result":
        known |= {"commitSha": session.sha, "commitRole": "result"}
    elif mode == "head":
        known |= {"commitSha": item.sessions[session.index - 1].sha, "commitRole": "head_before"}
    return known


def _ci_review(seed: int, item: WorkItem, number: int, end: datetime) -> Iterator[tuple[str, Body]]:
    rng = world.generator(seed, "ci", item.key)
    moment = item.created_at + timedelta(seconds=rng.uniform(40, 240))
    if moment > end or rng.random() > 0.4:
        return
    counts = (rng.randrange(4_000, 30_000), 0, 0, rng.randrange(300, 1_600))
    metadata: Mapping[str, Any] = {"repo": item.repository.full_name, "prNumber": number}
    run = body(rng, SONNET, counts, moment, request_id(seed, item.key, "ci", 0), dict(metadata))
    yield item.team.name, run | {"environment": "ci", "promptId": "code-review-v2"}


def choose_prompt(rng: random.Random, shares: tuple[tuple[str, float], ...]) -> str | None:
    """A promptId with the given chances; None for the rest."""
    point = rng.random()
    for prompt, share in shares:
        if point < share:
            return prompt
        point -= share
    return None
