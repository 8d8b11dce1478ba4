"""Notes of git-ai (refs/notes/ai, its standard 3.0.0): which sessions of agents wrote lines of a commit."""

from __future__ import annotations

from typing import Any

import msgspec


def attested_sessions(note: str) -> frozenset[str]:
    """The sessions, by the ids that their tools gave them, to which the note attests at least one line.

    A note is a list of files, each with lines such as `  key 3-8,12` under it, then `---`, then JSON that says of
    each key whose it is. Notes of other forms name none.
    """
    attestations, divider, metadata = note.replace("\r\n", "\n").partition("\n---\n")
    if not divider:
        return frozenset()
    try:
        told = msgspec.json.decode(metadata)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return frozenset()
    lines = (line.split() for line in attestations.split("\n") if line[:1].isspace())
    # Behind `::` stands the part of the session that wrote the lines.
    keys = {parts[0].partition("::")[0] for parts in lines if len(parts) > 1}
    found = {_session(told, key) for key in keys}
    return frozenset(session for session in found if session)


def _session(told: Any, key: str) -> str | None:
    """The session behind a key. None: a human's, or nobody's that the note knows."""
    for group in ("sessions", "prompts"):
        value: Any = told
        for name in (group, key, "agent_id", "id"):
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, str) and value:
            return value
    return None
