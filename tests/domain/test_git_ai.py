"""Notes of git-ai: the sessions to which they attest lines."""

from __future__ import annotations

import pytest

from costlens.domain.git_ai import attested_sessions

SESSIONS = """{"schema_version": "authorship/3.0.0", "prompts": {}, "humans": {"h_1": {"author": "Alice"}},
 "sessions": {"s_1": {"agent_id": {"tool": "claude", "id": "session-1", "model": "m"}},
              "s_2": {"agent_id": {"tool": "cursor", "id": "session-2", "model": "m"}}}}"""
PROMPTS = '{"prompts": {"abcd": {"agent_id": {"tool": "codex", "id": "thread-9", "model": "m"}}}}'


def test_sessions_with_attested_lines() -> None:
    note = f"src/a.py\n  s_1::t_1 1-4,9\n  h_1 12\nsrc/b.py\n  s_1::t_2 3\n---\n{SESSIONS}"
    assert attested_sessions(note) == {"session-1"}  # the other has no line in this commit
    assert attested_sessions(note.replace("\n", "\r\n")) == {"session-1"}


def test_the_older_form() -> None:
    assert attested_sessions(f'"src/a file.py"\n  abcd 1-10\n---\n{PROMPTS}') == {"thread-9"}


@pytest.mark.parametrize(
    "note",
    [
        "",
        "a note of another kind",
        f"---\n{SESSIONS}",
        f"src/a.py\n  s_1\n---\n{SESSIONS}",  # no lines
        f"src/a.py\n  s_9::t_1 1-4\n---\n{SESSIONS}",  # not told whose
        "src/a.py\n  s_1 1-4\n---\n{not json",
        'src/a.py\n  s_1 1-4\n---\n{"sessions": ["s_1"]}',
        'src/a.py\n  s_1 1-4\n---\n{"sessions": {"s_1": {"agent_id": {"id": 7}}}}',
        "src/a.py\n  s_1 1-4\n---\n" + "[" * 100_000,
    ],
)
def test_what_names_no_session(note: str) -> None:
    assert attested_sessions(note) == frozenset()
