"""Two sources of one call joined."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens.domain.merging import AUTHORITY, merge_runs

USAGE = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "output_text", "output_reasoning")
OWN = {
    "id": 1,
    "organization_id": 1,
    "received_at": 5,
    "link_state": "counted",
    "unlinked_reason": None,
    "counted_nanos": 3,
    "linked_at": 6,
    "api_key_id": 2,
    "team_id": 4,
    "code": True,
    "environment": None,
}
MONEY = {"cost_nanos": 3, "list_cost_nanos": 3, "baseline_cost_nanos": None, "cost_status": "priced",
         "price_version": "p"}  # fmt: skip
TOLD = {"person_id": None, "actor": None, "provider": "openai", "model": "m", "model_requested": None, "tool": None,
        "prompt_id": None, "prompt_version": None, "commit_sha": None, "commit_role": None, "success": True,
        "error_type": None, "latency_ms": None}  # fmt: skip


def row(source: str = "api", *counts: int, quality: str = "exact", **values: Any) -> dict[str, Any]:
    usage = dict(zip(USAGE, (*counts, *(0,) * 6), strict=False))
    return {**OWN, **MONEY, **TOLD, **usage, "usage_quality": quality, "source": source, **values}


def counts_of(merged: dict[str, Any]) -> list[int]:
    return [merged[name] for name in USAGE]


def test_the_greater_count_of_each_class() -> None:
    merged = merge_runs(row("api", 10, 0, 3, 0, 7, 0), row("otlp", 8, 2, 0, 1, 9, 4))
    assert counts_of(merged) == [10, 2, 3, 1, 9, 4]


def test_nothing_new_changes_nothing() -> None:
    first = row("otlp", 10, tool="x")
    assert merge_runs(first, row("api", 9)) == first


def test_nulls_are_filled_and_higher_authority_wins() -> None:
    weak, strong = row("api", tool="a", latency_ms=1), row("otlp", tool="b", person_id=3, actor="bob")
    for merged in (merge_runs(weak, strong), merge_runs(strong, weak)):
        told = [merged[name] for name in ("tool", "latency_ms", "person_id", "actor", "source")]
        assert told == ["b", 1, 3, "bob", "otlp"]


def test_equals_keep_what_came_first() -> None:
    assert merge_runs(row("codex", tool="a"), row("claude_code", tool="b"))["tool"] == "a"


def test_what_is_the_firsts_own_stays() -> None:
    other = dict.fromkeys(OWN, 99)
    merged = merge_runs(row(), row("proxy", **other, **dict.fromkeys(MONEY, 98)))
    assert {name: merged[name] for name in (*OWN, *MONEY)} == OWN | MONEY


@pytest.mark.parametrize(
    ("better", "worse"),
    [("exact", "split_estimate"), ("exact", "text_estimate"), ("split_estimate", "text_estimate"), ("exact", "missing"),
     ("text_estimate", "missing")],
)  # fmt: skip
@pytest.mark.parametrize("sources", [("api", "otlp"), ("otlp", "api")])
def test_better_counts_replace_worse_ones_whoever_told_them(better: str, worse: str, sources: tuple[str, str]) -> None:
    good, bad = row(sources[0], 600, quality=better), row(sources[1], 750, 0, 0, 0, 250, quality=worse)
    for merged in (merge_runs(good, bad), merge_runs(bad, good)):
        assert (counts_of(merged), merged["usage_quality"]) == ([600, 0, 0, 0, 0, 0], better)


def test_what_means_something_only_together_stays_together() -> None:
    first = row("api", prompt_id="review-v2", prompt_version="v2", commit_sha="a", commit_role="result", success=False,
                error_type="timeout", person_id=1, actor="alice")  # fmt: skip
    second = row("otlp", prompt_id="triage", commit_sha="b", commit_role="head_before", person_id=2)
    merged = merge_runs(first, second)
    told = [merged[name] for name in ("prompt_id", "prompt_version", "commit_sha", "commit_role")]
    assert told == ["triage", None, "b", "head_before"]
    assert [merged[name] for name in ("success", "error_type", "person_id", "actor")] == [True, None, 2, None]


def test_a_reason_for_the_same_failure_is_filled() -> None:
    merged = merge_runs(row("otlp", success=False), row("api", success=False, error_type="timeout"))
    assert merged["error_type"] == "timeout"


told_usage = st.tuples(
    st.sampled_from(("exact", "split_estimate", "missing")), st.lists(st.integers(0, 9), min_size=6, max_size=6)
)


@given(st.permutations(sorted({"api", "sdk", "codex", "otlp", "proxy"})), st.lists(told_usage, min_size=3, max_size=3))
def test_counts_and_authority_do_not_depend_on_the_order(
    sources: list[str], usages: list[tuple[str, list[int]]]
) -> None:
    rows = [
        row(source, *counts, quality=quality, tool=source)
        for source, (quality, counts) in zip(sources, usages, strict=False)
    ]
    results = [merge_runs(merge_runs(one, two), three) for one, two, three in permutations(rows)]
    assert all(result == results[0] for result in results)
    assert AUTHORITY[results[0]["source"]] == max(AUTHORITY[one["source"]] for one in rows)
    assert merge_runs(results[0], rows[1]) == results[0]
