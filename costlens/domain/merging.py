"""What two sources say of one call, joined into one run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Higher knows better: who saw the provider's answer itself comes before who heard of it.
AUTHORITY = {"import": 0, "api": 1, "sdk": 2, "codex": 3, "claude_code": 3, "otlp": 4, "proxy": 5}

_USAGE = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "output_text", "output_reasoning")
_MONEY = ("cost_nanos", "list_cost_nanos", "baseline_cost_nanos", "cost_status", "price_version")
_OWN = frozenset(
    {
        "id", "organization_id", "source", "received_at", "link_state", "unlinked_reason", "counted_nanos", "linked_at",
        "api_key_id", "team_id", *_USAGE, *_MONEY, "code", "environment",
    }
)  # fmt: skip


def merge_runs(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """`first` with what `second` adds: the greater count of each token class, nulls filled, and for the rest the
    source of higher authority. Identity, links, team and key stay the first's; the caller prices the joined usage.
    """
    merged = dict(first)
    knows_better = AUTHORITY[second["source"]] > AUTHORITY[first["source"]]
    for name, value in second.items():
        if name not in _OWN and value is not None and (first[name] is None or knows_better):
            merged[name] = value
    for name in _USAGE:
        merged[name] = max(first[name], second[name])
    if knows_better:
        merged["source"] = second["source"]
    return merged
