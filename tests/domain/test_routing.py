"""Routing decisions: the cheapest model whose record is good enough, and what speaks against a change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from costlens.domain.classifier import classify
from costlens.domain.routing import MIN_RUNS, ModelRecord, Wishes, decide

PLAIN = classify("Translate this sentence")
BIG = ModelRecord("openai", "big", runs=400, succeeded=396, cost_nanos=10_000_000, latency_ms=3_000)
SMALL = ModelRecord("openai", "small", runs=300, succeeded=296, cost_nanos=1_000_000, latency_ms=900)
BAD = ModelRecord("openai", "bad", runs=300, succeeded=200, cost_nanos=10_000, latency_ms=500)


def test_a_cheaper_model_that_does_as_well() -> None:
    found = decide(BIG, [SMALL, BAD], PLAIN, Wishes())
    assert (found.chosen, found.changed) == (SMALL, True)
    assert found.reason == "small ok in 99 % of 300 runs, big ok in 99 % of 400 runs; saves $0.009000 a call"
    assert found.confidence > 0.8


def test_nothing_cheaper_does_as_well() -> None:
    found = decide(BIG, [BAD], PLAIN, Wishes())
    assert (found.chosen, found.changed) == (BIG, False)
    assert found.reason.endswith("nothing cheaper does as well")


@pytest.mark.parametrize(("requirement", "chosen"), [("high", BIG), ("medium", BIG), ("low", SMALL)])
def test_what_is_good_enough_depends_on_the_requirement(requirement: str, chosen: ModelRecord) -> None:
    worse = replace(SMALL, succeeded=282)  # 5 % worse
    found = decide(BIG, [worse], PLAIN, Wishes(requirement=requirement))
    assert found.chosen.model == chosen.model


def test_feedback_counts_as_much_as_success() -> None:
    disliked = replace(SMALL, quality=0.2)
    assert decide(BIG, [disliked], PLAIN, Wishes(requirement="low")).chosen == BIG


@pytest.mark.parametrize(
    "wishes",
    [Wishes(max_latency_ms=800), Wishes(max_cost_nanos=5_000), Wishes(min_quality=0.999)],
    ids=["latency", "cost", "quality"],
)
def test_limits_that_nothing_meets(wishes: Wishes) -> None:
    found = decide(BIG, [SMALL], PLAIN, wishes)
    assert found.chosen == BIG
    assert found.reason.startswith("No known model meets the limits")


def test_a_limit_that_only_another_meets() -> None:
    found = decide(BIG, [SMALL], PLAIN, Wishes(max_latency_ms=1_000, requirement="low"))
    assert found.chosen == SMALL
    assert found.reason.endswith("within 1000 ms")


def test_the_fastest_instead_of_the_cheapest() -> None:
    quick = replace(BIG, model="quick", latency_ms=200)
    assert decide(BIG, [SMALL, quick], PLAIN, Wishes(fast=True)).chosen == quick


def test_without_history_the_caller_s_model_stands() -> None:
    asked = replace(BIG, runs=0, succeeded=0)
    found = decide(asked, [replace(SMALL, runs=MIN_RUNS - 1)], PLAIN, Wishes())
    assert (found.chosen, found.confidence) == (asked, 0.3)
    assert found.reason.startswith("No history yet")


def test_enforcement_wins() -> None:
    found = decide(BIG, [SMALL], PLAIN, Wishes(enforce=True))
    assert (found.chosen, found.confidence) == (BIG, 1)


@pytest.mark.parametrize("prompt", ["Be careful: this goes to production", "A critical legal question"])
def test_much_depends_on_the_prompt(prompt: str) -> None:
    assert decide(BIG, [SMALL], classify(prompt), Wishes()).chosen == BIG


def test_an_unpriced_model_is_not_compared() -> None:
    asked = replace(BIG, cost_nanos=None)
    assert decide(asked, [SMALL], PLAIN, Wishes()).chosen == asked
    assert decide(BIG, [replace(SMALL, cost_nanos=None)], PLAIN, Wishes()).chosen == BIG


def test_a_complex_prompt_with_a_high_requirement_stays() -> None:
    hard = classify("Analyze and compare these must-have constraints step by step. " * 60 + "```python\nx\n```")
    assert hard.level == "complex"
    assert decide(BIG, [SMALL], hard, Wishes(requirement="high")).chosen == BIG


@pytest.mark.parametrize(
    ("prompt", "task"),
    [
        ("Write a function that sorts a list", "code"),
        ("Translate this to German", "translate"),
        ("Summarize this research paper...", "summarize"),
        ("Extract every date", "extract"),
        ("Why is the sky blue?", "reason"),
        ("Hello", "chat"),
    ],
)
def test_tasks(prompt: str, task: str) -> None:
    assert classify(prompt).task == task


def test_complexity_grows_with_what_a_prompt_asks() -> None:
    prompts = (
        "Hello",
        "Summarize this text, at most three sentences",
        "Refactor app/models.py; it must never fail. " * 9,
    )
    scores = [classify(prompt).score for prompt in prompts]
    assert scores == sorted(scores)
    assert classify(prompts[0]).level == "trivial"
    assert classify(prompts[-1]).level in ("medium", "complex")
