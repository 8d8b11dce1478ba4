"""Prompts made shorter, and a quick look at answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens.domain.answer_quality import judge
from costlens.domain.shorten import shorten


@pytest.mark.parametrize(
    ("prompt", "short"),
    [
        ("Please   summarize  this.", "summarize this."),
        ("Could you please list them in order to compare?", "list them to compare?"),
        ("One\n\n\n\nTwo   \nThree", "One\n\nTwo\nThree"),
        ('Say "please  wait" politely, please.', 'Say "please  wait" politely,'),
        ("Run `please  now`", "Run `please  now`"),
        ("Fix:\n```\n  please   (x)\n```\nThanks!", "Fix:\n```\n  please   (x)\n```"),
        ("- a\n  - b  c", "- a\n  - b  c"),  # indentation may mean something
        ("Please", "Please"),
        ("", ""),
    ],
)
def test_shorten(prompt: str, short: str) -> None:
    assert shorten(prompt) == short


@given(st.text(max_size=300))
def test_never_longer_and_never_empty(prompt: str) -> None:
    short = shorten(prompt)
    assert len(short) <= len(prompt)
    assert short or not prompt


def test_a_good_answer_is_better_than_others() -> None:
    good = judge(
        "Paris is the capital of France. It lies on the Seine and has about two million inhabitants.", "France?"
    )
    for other in (
        "",
        "I cannot help with that.",
        "Paris Paris Paris Paris Paris Paris",
        "The list is:\n```\nfirst",
        "no\n" * 50,
    ):
        assert judge(other).overall < good.overall
    assert good.overall > 0.8


def test_an_answer_to_another_question_is_less_relevant() -> None:
    prompt = "Which river flows through Paris?"
    assert (
        judge("The river Seine flows through Paris.", prompt).relevance > judge("Bananas are yellow.", prompt).relevance
    )


@given(st.text(max_size=500), st.none() | st.text(max_size=200))
def test_every_part_is_a_share(answer: str, prompt: str | None) -> None:
    found = judge(answer, prompt)
    assert all(0 <= part <= 1 for part in (found.overall, found.coherence, found.completeness, found.relevance))
