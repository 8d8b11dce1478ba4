"""What kind of task a prompt is and how complex it looks: simple rules over its text, which is not kept.

They explain a routing decision; which model is good enough is decided by what runs have shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TASKS = (
    ("code", re.compile(r"```|\b(code|function|class|debug|refactor|compile|stack ?trace|unit tests?|sql)\b", re.I)),
    ("translate", re.compile(r"\b(translate|translation|in (?:english|german|french|spanish))\b", re.I)),
    ("summarize", re.compile(r"\b(summari[sz]e|summary|tl;?dr|key points|shorten)\b", re.I)),
    ("extract", re.compile(r"\b(extract|parse|list all|find all|as json|into (?:a )?table)\b", re.I)),
    ("reason", re.compile(r"\b(prove|analy[sz]e|compare|evaluate|why|step by step|trade-?offs?|plan)\b", re.I)),
)
_CONSTRAINT = re.compile(r"\b(must|should|exactly|at least|at most|only|without|never|always|ensure)\b", re.I)
_FILE = re.compile(r"\b[\w./-]+\.(?:py|js|ts|go|rs|java|rb|c|cpp|h|sql|yaml|yml|json|md|html|css)\b")
_CAREFUL = re.compile(r"\b(careful(?:ly)?|production|critical|security|legal|medical)\b", re.I)
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
    sample = prompt[:20_000]  # the rest changes the length only
    tokens = tokens_of(prompt)
    task = next((name for name, words in _TASKS if words.search(sample)), "chat")
    score = min(40, tokens // 25)
    score += {"code": 20, "reason": 25, "summarize": 8, "extract": 8, "translate": 5}.get(task, 0)
    score += min(15, 5 * (sample.count("```") // 2))
    score += min(10, 2 * len(_FILE.findall(sample)))
    score += min(15, 3 * len(_CONSTRAINT.findall(sample)))
    score = min(100, score)
    level = next((name for most, name in _LEVELS if score <= most), "complex")
    return Classified(task, score, level, bool(_CAREFUL.search(sample)), tokens)
