"""Every sign by which an agent declares itself, and every trap that looks like one."""

from __future__ import annotations

import pytest

from costlens.domain.trailers import SESSION_KEYS, ai_signal, body_trailers, commit_trailers

COPILOT = "198982749+Copilot@users.noreply.github.com"
SIGNS: list[tuple[str, dict[str, object], str]] = [
    ("Co-Authored-By: Claude <noreply@anthropic.com>", {}, "claude"),
    ("Co-Authored-By: Claude Opus 4.5 <noreply@anthropic.com>", {}, "claude"),
    ("co-authored-by: Somebody <NoReply@Anthropic.com>", {}, "claude"),
    ("🤖 Generated with [Claude Code](https://claude.com/claude-code)", {}, "claude"),
    ("Co-authored-by: Copilot <223556219+Copilot@users.noreply.github.com>", {}, "copilot"),
    ("Co-authored-by: Copilot <175728472+Copilot@users.noreply.github.com>", {}, "copilot"),
    ("", {"author_login": "copilot-swe-agent[bot]"}, "copilot"),
    ("", {"author_id": 198982749}, "copilot"),
    ("", {"author_email": COPILOT}, "copilot"),
    ("", {"author_login": "devin-ai-integration[bot]"}, "devin"),
    ("", {"author_id": 158243242}, "devin"),
    ("Co-authored-by: D <158243242+devin-ai-integration[bot]@users.noreply.github.com>", {}, "devin"),
    ("", {"author_login": "factory-droid[bot]"}, "factory"),
    ("", {"author_id": 138933559}, "factory"),
    ("Co-authored-by: Cursor <cursoragent@cursor.com>", {}, "cursor"),
    ("", {"author_email": "cursoragent@cursor.com"}, "cursor"),
    ("Made-with: Cursor", {}, "cursor"),
    ("Co-authored-by: Codex <noreply@openai.com>", {}, "codex"),
    ("Co-authored-by: Codex <codex@openai.com>", {}, "codex"),
    ("Co-authored-by: openhands <openhands@all-hands.dev>", {}, "openhands"),
    ("Co-authored-by: Amp <amp@ampcode.com>", {}, "amp"),
    ("Co-authored-by: aider (gpt-4o) <aider@aider.chat>", {}, "aider"),
    ("", {"author_name": "Alice Jones (aider)"}, "aider"),
    ("", {"labels": ["claude-code-assisted"]}, "claude"),
    ("", {"head_ref": "copilot/fix-login"}, "copilot"),
    ("", {"head_ref": "claude/fix-login"}, "claude"),
    ("", {"head_ref": "codex/fix-login"}, "codex"),
    ("", {"head_ref": "devin/fix-login"}, "devin"),
    ("", {"head_ref": "cursor/fix-login"}, "cursor"),
]
SIGN = "Co-Authored-By: Claude <noreply@anthropic.com>"
TRAPS: list[tuple[str, dict[str, object]]] = [
    ("", {}),
    ("Co-authored-by: Claude Jones <claude@example.com>", {}),  # people are called so
    ("", {"author_name": "Claude"}),
    ("", {"author_name": "aider"}),
    ("Co-authored-by: claude-flow <ruv@ruv.net>", {}),
    ("🤖 Generated with [Claude Flow](https://example.com)", {}),
    ("", {"head_ref": "claude-flow/fix-login"}),
    ("", {"head_ref": "feature/claude/fix"}),
    ("Co-authored-by: Copilot Autofix powered by AI <175728472+Copilot@users.noreply.github.com>", {}),
    ("Co-authored-by: Copilot Autofix <62310815+github-advanced-security[bot]@users.noreply.github.com>", {}),
    ("Co-authored-by: G <176961590+gemini-code-assist[bot]@users.noreply.github.com>", {}),
    ("", {"author_login": "gemini-code-assist[bot]"}),
    ("", {"author_login": "dependabot[bot]", "author_id": 49699333}),
    ("", {"author_login": "renovate[bot]"}),
    # Updaters quote the commits and release notes of what they raise.
    (SIGN, {"author_login": "dependabot[bot]"}),
    (SIGN, {"author_email": "49699333+dependabot[bot]@users.noreply.github.com"}),
    ("Generated with [Claude Code]", {"author_login": "renovate[bot]"}),
    (SIGN, {"author_email": "bot@renovateapp.com"}),
    # Said of AI, not by it.
    (f"<!-- If AI helped, add\n{SIGN}\n-->", {}),
    (f"> {SIGN}", {}),
    ("> 🤖 Generated with [Claude Code](https://claude.com/claude-code)", {}),
    ("We do not add the line Co-Authored-By: Claude <noreply@anthropic.com>", {}),
    ("Signed-off-by: Claude <noreply@anthropic.com>", {}),
    ("", {"labels": ["claude", "ai"]}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "fields", "agent"), SIGNS)
def test_every_sign_is_seen_in_commits_and_bodies(text: str, fields: dict[str, object], agent: str) -> None:
    for message in (text, f"Fix the login\n\nWhy.\n\n{text}\n", f"Fix\r\n\r\n{text}\r\n"):
        assert ai_signal(message, **fields) == agent  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "fields"), TRAPS)
def test_no_trap_is_taken_for_a_sign(text: str, fields: dict[str, object]) -> None:
    assert ai_signal(f"Fix the login\n\n{text}\n", **fields) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("key", SESSION_KEYS)
def test_session_trailers_of_every_agent_are_read(key: str) -> None:
    """In commits by git's rule, in the body of a pull request anywhere; an address stands for its last part too."""
    for value, session in (("s-1", "s-1"), ("https://agent.example/sessions/s-1?tab=log", "s-1")):
        assert session in commit_trailers(f"Fix\n\n{key}: {value}").sessions
        assert session in body_trailers(f"What it does.\n\n- {key}: {value}\n\nMore.").sessions
    assert commit_trailers(f"Fix\n\nMy{key}: s-1").sessions == set()
