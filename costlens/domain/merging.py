"""What two sources say of one call, joined into one run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Higher knows better: who saw the provider's answer itself comes before who heard of it.
AUTHORITY = {"import": 0, "api": 1, "sdk": 2, "codex": 3, "claude_code": 3, "otlp": 4, "proxy": 5}

# Counts of a better quality replace the others; a guessed split beside the true one would count tokens twice.
_QUALITY = {"missing": 0, "text_estimate": 1, "split_estimate": 2, "exact": 3}
_USAGE = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "output_text", "output_reasoning")
_MONEY = ("cost_nanos", "list_cost_nanos", "baseline_cost_nanos", "cost_status", "price_version")
_OWN = frozenset(
    {
        "id", "organization_id", "source", "received_at", "link_state", "unlinked_reason", "counted_nanos", "linked_at",
        "api_key_id", "team_id", *_USAGE, "usage_quality", *_MONEY, "code", "environment",
    }
)  # fmt: skip

# A column that only means something beside another: whoever gave that one gives this one too.
_BESIDE = {
    "actor": "person_id",
    "commit_role": "commit_sha",
    "prompt_version": "prompt_id",
    "error_type": "success",
    "model_requested": "model",
}


def merge_runs(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """`first` with what `second` adds: the greater count of each token class where both counted equally well, else
    the better counts; nulls filled, and for the rest the source of higher authority. Identity, links, team, key and
    environment stay the first's; the caller prices the joined usage.
    """
    merged = dict(first)
    knows_better = AUTHORITY[second["source"]] > AUTHORITY[first["source"]]
    for name, value in second.items():
        if name in _OWN:
            continue
        head = _BESIDE.get(name)
        if head is not None and first[head] != second[head]:
            if second[head] is not None and (first[head] is None or knows_better):
                merged[name] = value
        elif value is not None and (first[name] is None or knows_better):
            merged[name] = value
    by_quality = _QUALITY[second["usage_quality"]] - _QUALITY[first["usage_quality"]]
    if by_quality > 0:
        merged |= {name: second[name] for name in (*_USAGE, "usage_quality")}
    elif by_quality == 0:
        merged |= {name: max(first[name], second[name]) for name in _USAGE}
    if knows_better:
        merged["source"] = second["source"]
    return merged
