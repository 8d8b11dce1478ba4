"""A run as it comes in: one call of a model by a provider, validated, with its identity."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from costlens.domain.usage import Usage, UsageQuality

FUTURE_TOLERANCE = timedelta(hours=1)
NOT_CODE_ENVIRONMENTS = frozenset({"production", "staging"})

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: sorts like the number, no i, l, o, u
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_EPOCH_MILLIS = 1_704_067_200_000  # 2024-01-01: 41 bits of milliseconds last until 2093


class RunIds:
    """Time-ordered 63-bit ids: 41 bits of milliseconds, 12 of this process, 10 of a counter.

    Two processes that drew the same 12 bits can meet in one millisecond; the primary key then refuses the second
    writer, whose next try takes later numbers.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._count = 0
        self._draw()
        os.register_at_fork(after_in_child=self._draw)  # a child is another process

    def _draw(self) -> None:
        self._process = secrets.randbits(12)

    def take(self, at_millis: int) -> int:
        with self._lock:
            if at_millis <= self._last:
                self._count += 1
                if self._count == 1 << 10:
                    self._last, self._count = self._last + 1, 0
            else:
                self._last, self._count = at_millis, 0
            return (self._last - _EPOCH_MILLIS) << 22 | self._process << 10 | self._count


def show_id(prefix: str, number: int) -> str:
    """`run_01h…`: 13 letters that sort like the number."""
    pairs = [_PAIRS[number >> shift & 1023] for shift in range(50, -1, -10)]
    return f"{prefix}_{_ALPHABET[number >> 60]}{''.join(pairs)}"


def read_id(prefix: str, text: str) -> int | None:
    """The number of a shown id. None: not an id of this kind."""
    head, _, tail = text.partition("_")
    if head != prefix or len(tail) != 13:
        return None
    number = 0
    for letter in tail:
        value = _VALUES.get(letter)
        if value is None:
            return None
        number = number << 5 | value
    return number if number < 1 << 63 else None


@dataclass(slots=True)  # not frozen, which would make it take six times as long to make one
class RunInput:
    """One run from a caller, validated; not to be changed. None: the caller did not tell."""

    provider: str
    model: str
    usage: Usage
    occurred_at: datetime
    success: bool = True
    latency_ms: int | None = None
    client_id: str | None = None
    request_id: str | None = None
    correlation_id: str | None = None
    session_id: str | None = None
    prompt_id: str | None = None
    model_requested: str | None = None
    error_type: str | None = None
    actor: str | None = None
    repository: str | None = None  # owner/name
    branch: str | None = None
    commit_sha: str | None = None
    commit_role: str | None = None  # result, head_before
    pr_number: int | None = None
    files: tuple[str, ...] = ()
    environment: str | None = None
    tool: str | None = None
    tags: Mapping[str, str] | None = None
    service_tier: str | None = None
    processing: str | None = None
    reported_cost_nanos: int | None = None
    saved_cost_nanos: int | None = None  # of an answer from the cache: what the call would have cost
    input_chars: int | None = None
    output_chars: int | None = None
    cache_hit: bool = False
    source: str = "api"


def is_code(environment: str | None) -> bool:
    """Whether a run is development work: production and staging traffic is not."""
    return environment not in NOT_CODE_ENVIRONMENTS


def prompt_version(prompt_id: str | None) -> str | None:
    """`v2` of `review-v2`. None: no version suffix."""
    match = re.search(r"-(v\d+)$", prompt_id) if prompt_id else None
    return match[1] if match else None


def content_hash(run: RunInput) -> bytes:
    """What must be equal when the same request id comes again: provider, model and tokens.

    Of an estimated split only the total counts: the split follows the model's usual ratio, which moves.
    """
    usage = run.usage
    counts = (
        usage.input_uncached,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.output_text,
        usage.output_reasoning,
    )
    told = (usage.total,) if usage.quality == UsageQuality.SPLIT_ESTIMATE else counts
    return hashlib.sha256("\0".join(map(str, (run.provider, run.model, *told))).encode()).digest()[:16]
