"""promptIds in code: which ones a change brings in, so that the cost of their runs can be shown beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_LENGTH = 200
# promptId="review-v2", prompt_id: 'review-v2', "promptId": "review-v2", PROMPT_ID = `review-v2`
_NAMED = re.compile(r"""prompt[_-]?id["'`]?\]?\s*(?:[:=]|=>|,)\s*["'`]([^"'`\s]{1,200})["'`]""", re.IGNORECASE)


def named_prompts(lines: Iterable[str]) -> frozenset[str]:
    """The promptIds that lines of code name in quotes. A name that is put together at run time is not seen."""
    return frozenset(name for line in lines for name in _NAMED.findall(line[:2_000]) if "{" not in name)


def added_lines(patch: str) -> list[str]:
    """The lines that a unified diff adds, without their plus signs."""
    return [line[1:] for line in patch.split("\n") if line.startswith("+") and not line.startswith("+++")]
