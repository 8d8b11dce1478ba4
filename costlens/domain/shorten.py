"""Prompts with fewer tokens and the same meaning: space and courtesies outside of code and quotes."""

from __future__ import annotations

import re

# What stands between fences, backticks or quotation marks is left as it is.
_KEPT = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]*`|\"[^\"\n]*\")", re.DOTALL)
_COURTESY = re.compile(
    r"\b(?:please|kindly|could you please|would you please|can you please|if you don't mind|thank you(?: in advance)?"
    r"|thanks(?: in advance)?|i would like you to|i'd like you to|i want you to|it would be great if you could)\b[,.!]?"
    r"[ \t]*",
    re.IGNORECASE,
)
_WORDY = (
    (re.compile(r"\bin order to\b", re.IGNORECASE), "to"),
    (re.compile(r"\bdue to the fact that\b", re.IGNORECASE), "because"),
    (re.compile(r"\bat this point in time\b", re.IGNORECASE), "now"),
    (re.compile(r"\bmake sure (?:that )?(?:you )?", re.IGNORECASE), "ensure "),
)
_INDENTED = re.compile(r"^(?:[ \t]{2,}|\t)\S", re.MULTILINE)


def shorten(prompt: str) -> str:
    """The shorter prompt; never empty, never longer."""
    parts = _KEPT.split(prompt)
    for place in range(0, len(parts), 2):  # the others are kept as they are
        parts[place] = _plain(parts[place])
    short = "".join(parts).strip()
    return short if short and len(short) < len(prompt) else prompt


def _plain(text: str) -> str:
    text = _COURTESY.sub("", text)
    for wordy, word in _WORDY:
        text = wordy.sub(word, text)
    text = re.sub(r"[ \t]+\n", "\n", text)
    text = re.sub(r"\n{3,}", "\n\n", text)
    if not _INDENTED.search(text):  # indentation may mean something
        text = re.sub(r"[ \t]{2,}", " ", text)
    return text
