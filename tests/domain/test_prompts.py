"""promptIds in code, as people write them."""

from __future__ import annotations

import pytest

from costlens.domain.prompts import added_lines, named_prompts


@pytest.mark.parametrize(
    "line",
    [
        'track(promptId="review-v2", model=model)',
        "prompt_id: 'review-v2',",
        '{"promptId": "review-v2", "tags": []}',
        "PROMPT_ID = `review-v2`",
        'headers["X-Prompt-Id"] = "review-v2"',
        "metadata.set('prompt-id', 'review-v2')",
        ":prompt_id => 'review-v2'",
    ],
)
def test_a_prompt_is_named(line: str) -> None:
    assert named_prompts([line]) == {"review-v2"}


@pytest.mark.parametrize(
    "line",
    ["promptId = name", 'prompt = "Write a poem"', 'promptId=f"review-{version}"', 'promptId = ""', 'id = "review-v2"'],
)
def test_no_prompt_is_named(line: str) -> None:
    assert named_prompts([line]) == frozenset()


def test_only_added_lines_count() -> None:
    patch = '@@ -1,2 +1,3 @@\n context\n-promptId="old"\n+promptId="new"\n+++ b/file\n\\ No newline at end of file'
    assert added_lines(patch) == ['promptId="new"']
