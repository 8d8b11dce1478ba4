"""Trailers, reverts and signs of AI as real messages write them, and the traps among them."""

import pytest

from costlens.domain.trailers import RevertTarget, Trailers, ai_signal, body_trailers, commit_trailers, revert_targets

SHA = "0123456789abcdef0123456789abcdef01234567"


def test_trailers_of_the_last_paragraph_are_read() -> None:
    message = (
        "Add search\n\nWhy it is needed.\n\n"
        "CostLens-Session: s1\nCostLens-Run: run_1, run_2\ncostlens-prompt: greet-v1\n"
    )
    assert commit_trailers(message) == Trailers(
        frozenset({"run_1", "run_2"}), frozenset({"s1"}), frozenset({"greet-v1"})
    )


@pytest.mark.parametrize(
    "message",
    [
        "CostLens-Session: s1",
        "Add search\n\nCostLens-Session: s1\n\nMore words.",
        "Add search\n\nCostLens-Session: s1\nis how a trailer looks.",
        "Add search\nCostLens-Session: s1",
        "Add search\n\nCostLens-Session:",
        "",
    ],
    ids=["title", "earlier paragraph", "prose", "no blank line", "no value", "empty"],
)
def test_other_paragraphs_are_not_trailers(message: str) -> None:
    assert commit_trailers(message) == Trailers()


def test_a_paragraph_with_a_line_of_git_may_hold_some_prose() -> None:
    message = "Fix\n\nCostLens-Session: s1\nSigned-off-by: Alice <alice@example.com>\n[alice: reworded]\n"
    assert commit_trailers(message).sessions == {"s1"}
    mostly_prose = "Fix\n\none\ntwo\nthree\nfour\nfive\nsix\nCostLens-Session: s1\nSigned-off-by: A <a@example.com>"
    assert commit_trailers(mostly_prose).sessions == {"s1"}
    too_much = "Fix\n\n" + "word\n" * 7 + "CostLens-Session: s1\nSigned-off-by: A <a@example.com>"
    assert commit_trailers(too_much) == Trailers()
    picked = f"Fix\n\nCostLens-Run: run_1\n(cherry picked from commit {SHA})"
    assert commit_trailers(picked).run_keys == {"run_1"}


def test_a_folded_value_and_windows_line_ends_are_read() -> None:
    assert commit_trailers("Fix\r\n\r\nCostLens-Run: run_1,\r\n run_2\r\n").run_keys == {"run_1", "run_2"}


@pytest.mark.parametrize(
    ("line", "sessions"),
    [
        ("Claude-Session: abc", {"abc"}),
        (
            "Claude-Session: https://example.com/code/session_01?tab=1",
            {"https://example.com/code/session_01?tab=1", "session_01"},
        ),
        ("Copilot-Session: c-1", {"c-1"}),
        ("Agent-Logs-Url: https://example.com/logs/u-1/", {"https://example.com/logs/u-1/", "u-1"}),
        ("Amp-Thread-ID: https://example.com/threads/T-9", {"https://example.com/threads/T-9", "T-9"}),
        ("Entire-Session: 2026-01-05-x", {"2026-01-05-x"}),
    ],
)
def test_session_trailers_of_other_agents_are_read(line: str, sessions: set[str]) -> None:
    assert commit_trailers(f"Add\n\n{line}").sessions == sessions


def test_a_body_is_read_anywhere() -> None:
    body = (
        "Adds search. CostLens-Session: s1\n\n- **CostLens-Run:** `run_1`, `run_2` and more\n"
        "<!-- CostLens-Prompt: greet-v1 -->\r\nNot-CostLens-Run: run_9\nThe end."
    )
    assert body_trailers(body) == Trailers(frozenset({"run_1", "run_2"}), frozenset({"s1"}), frozenset({"greet-v1"}))
    assert body_trailers(None) == Trailers()


@pytest.mark.parametrize(
    ("title", "body", "head_ref", "expected"),
    [
        (f'Revert "Add"\n\nThis reverts commit {SHA}.', None, None, [RevertTarget(sha=SHA)]),
        (
            f"Revert merge\n\nThis reverts commit {SHA}, reversing\nchanges made to {SHA[::-1]}.",
            None,
            None,
            [RevertTarget(sha=SHA)],
        ),
        ("Revert x", "Reverts Acme/Web#41", "revert-41-x", [RevertTarget(number=41, repository="acme/web")]),
        ("Revert x", "Reverts #41\r\nReverts #42", None, [RevertTarget(number=41), RevertTarget(number=42)]),
        ("Undo", None, "revert-41-feature/x", [RevertTarget(number=41)]),
        ("Undo", None, "revert-things", []),
        ("Discuss", f"> This reverts commit {SHA}.\nIt partially reverts #4.", "feature/x", []),
    ],
)
def test_reverts_name_what_they_take_back(
    title: str, body: str | None, head_ref: str | None, expected: list[RevertTarget]
) -> None:
    assert revert_targets(title, body, head_ref) == tuple(expected)


@pytest.mark.parametrize(
    ("message", "agent"),
    [
        ("Add\n\nCo-Authored-By: Claude Opus <noreply@anthropic.com>", "claude"),
        ("Add\n\n🤖 Generated with [Claude Code](https://example.com)", "claude"),
        ("Add\n\nCo-authored-by: Copilot <223556219+Copilot@users.noreply.github.com>", "copilot"),
        ("Add\n\nCo-authored-by: Copilot <175728472+Copilot@users.noreply.github.com>", "copilot"),
        ("Add\n\nCo-authored-by: Cursor <cursoragent@cursor.com>", "cursor"),
        ("Add\n\nMade-with: Cursor", "cursor"),
        ("Add\n\nCo-authored-by: Codex <noreply@openai.com>", "codex"),
        ("Add\n\nCo-authored-by: openhands <openhands@all-hands.dev>", "openhands"),
        ("Add\n\nCo-authored-by: Amp <amp@ampcode.com>", "amp"),
        ("Add\n\nCo-authored-by: aider (gpt-4o) <aider@aider.chat>", "aider"),
        ("Add\n\nCo-Authored-By: claude-flow <flow@example.com>", None),
        ("Add\n\nCo-authored-by: Claude <claude@example.com>", None),
        ("Add\n\nCo-authored-by: Copilot Autofix powered by AI <175728472+Copilot@users.noreply.github.com>", None),
        ("Add\n\nCo-authored-by: gemini-code-assist[bot] <176961590+gemini-code-assist[bot]@example.com>", None),
        ("Ask noreply@anthropic.com about it", None),
    ],
)
def test_messages_declare_an_agent_by_address_or_marker(message: str, agent: str | None) -> None:
    assert ai_signal(message) == agent


@pytest.mark.parametrize(
    ("fields", "agent"),
    [
        ({"author_login": "copilot-swe-agent[bot]"}, "copilot"),
        ({"author_login": "Copilot", "author_id": 198982749}, "copilot"),
        ({"author_id": 158243242}, "devin"),
        ({"author_email": "138933559+factory-droid[bot]@users.noreply.github.com"}, "factory"),
        ({"author_email": "CursorAgent@cursor.com"}, "cursor"),
        ({"author_name": "Alice (aider)"}, "aider"),
        ({"author_name": "Claude"}, None),
        ({"author_login": "dependabot[bot]", "author_id": 49699333}, None),
        ({"author_login": "renovate[bot]"}, None),
        ({"labels": ["bug", "claude-code-assisted"]}, "claude"),
        ({"head_ref": "codex/fix-it"}, "codex"),
        ({"head_ref": "claude-flow/fix-it"}, None),
        ({"head_ref": "feature/claude/x"}, None),
        ({}, None),
    ],
)
def test_authors_labels_and_branches_declare_an_agent(fields: dict[str, object], agent: str | None) -> None:
    assert ai_signal("Add search", **fields) == agent  # type: ignore[arg-type]
