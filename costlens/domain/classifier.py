"""What kind of task a prompt is and how complex it looks: simple rules over its text, which is not kept.

They explain a routing decision; which model is good enough is decided by what runs have shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SAMPLE = 8_000  # characters that are looked at; the rest changes the length only
# By task: words and phrases that tell it, the first that is found holds.
_TASKS: tuple[tuple[str, frozenset[str], tuple[str, ...]], ...] = (
    (
        "code",
        frozenset(
            ("code", "function", "class", "debug", "refactor", "compile", "stacktrace", "unittest", "unittests", "sql")
        ),
        ("```", "stack trace", "unit test"),
    ),
    (
        "translate",
        frozenset(("translate", "translation")),
        ("in english", "in german", "in french", "in spanish"),
    ),
    ("summarize", frozenset(("summarize", "summarise", "summary", "shorten", "tldr")), ("tl;dr", "key points")),
    ("extract", frozenset(("extract", "parse")), ("list all", "find all", "as json", "into a table")),
    (
        "reason",
        frozenset(("prove", "analyze", "analyse", "compare", "evaluate", "why", "tradeoffs", "plan")),
        ("step by step", "trade-off"),
    ),
)
_CONSTRAINTS = frozenset(("must", "should", "exactly", "only", "without", "never", "always", "ensure"))
_BOUNDS = ("at least", "at most")
_CAREFUL = frozenset(("careful", "carefully", "production", "critical", "security", "legal", "medical"))
_WORD = re.compile(r"[a-z]+")
_FILE = re.compile(r"[\w/-]\.(?:py|js|ts|go|rs|java|rb|c|cpp|h|sql|yaml|yml|json|md|html|css)\b")
_LEVELS = ((10, "trivial"), (30, "simple"), (60, "medium"))


@dataclass(frozen=True, slots=True)
class Classified:
    task: str  # code, translate, summarize, extract, reason, chat
    score: int  # 0 to 100
    level: str  # trivial, simple, medium, complex
    careful: bool  # the prompt says that much depends on it: no cheaper model is suggested
    tokens: int  # estimate, four characters each


def tokens_of(text: str) -> int:
    """Tokens of a text, estimated: four characters each."""
    return -(-len(text) // 4)


def classify(prompt: str) -> Classified:
    """Task and complexity of a prompt."""
    text = prompt[:SAMPLE].lower()
    said = _WORD.findall(text)
    words = set(said)
    tokens = tokens_of(prompt)
    task = next((name for name, own, phrases in _TASKS if own & words or any(p in text for p in phrases)), "chat")
    score = min(40, tokens // 25)
    score += {"code": 20, "reason": 25, "summarize": 8, "extract": 8, "translate": 5}.get(task, 0)
    score += min(15, 5 * (text.count("```") // 2))
    score += min(10, 2 * len(_FILE.findall(text)))
    constraints = sum(text.count(bound) for bound in _BOUNDS)
    if words & _CONSTRAINTS:
        constraints += sum(word in _CONSTRAINTS for word in said)
    score = min(100, score + min(15, 3 * constraints))
    level = next((name for most, name in _LEVELS if score <= most), "complex")
    return Classified(task, score, level, bool(words & _CAREFUL), tokens)
