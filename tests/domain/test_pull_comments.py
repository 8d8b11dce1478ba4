"""What the comment on a pull request says, and when it is written."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from costlens.domain.pull_comments import CommentFacts, ModelSum, Said, comment_text, edit_at, marker, out_of_date

CENT = 10_000_000
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SAID = Said("open", 10, 400 * CENT)
HOME = "https://costlens.example.com/app/acme"
FACTS = CommentFacts(
    said=Said("merged", 12, 412 * CENT),
    models=[ModelSum("claude-sonnet-4-5", 9, 9, 390 * CENT), ModelSum("gpt-5.4", 3, 2, 22 * CENT)],
    unpriced=1,
    guessed=2,
    cached_share=0.712,
    percentile=84,
    among=56,
    rules={"M1": 1, "X2": 4, "S1": 3, "B1": 2, "C1": 1, "T1": 1},
    url="https://costlens.example.com/app/acme/pulls/acme/web/12",
)


def test_what_it_says() -> None:
    assert comment_text(FACTS, HOME) == (
        "<!-- costlens: AI cost of this pull request, by https://costlens.example.com/app/acme -->\n"
        "**AI cost of this pull request: $4.12** in 12 runs, merged\n"
        "\n"
        "| Model | Runs | Cost |\n"
        "|---|--:|--:|\n"
        "| `claude-sonnet-4-5` | 9 | $3.90 |\n"
        "| `gpt-5.4` | 3 | $0.22 |\n"
        "\n"
        "- 71.2 % of the input tokens came from a cache\n"
        "- It costs more than 84 % of the 56 pull requests with AI cost that were merged here "
        "in 91 days up to this one\n"
        "- Linked: 1 run confirmed by a person, 4 runs named by the run, the commit or the pull request, "
        "3 runs by the session that the commit names, 2 runs by the branch, "
        "2 runs estimated from session, files and time\n"
        "- 1 run without a known price, not in the cost\n"
        "- 2 runs with estimated token counts\n"
        "\n"
        "[What it is made of](https://costlens.example.com/app/acme/pulls/acme/web/12) (members only)"
    )


def test_unknown_is_not_zero_and_few_are_not_ranked() -> None:
    none = [ModelSum("new-model", 12, 0, 0)]
    text = comment_text(replace(FACTS, said=Said("open", 12, 0), models=none, unpriced=12, percentile=None), HOME)
    assert "**AI cost of this pull request: unknown** in 12 runs so far" in text
    assert "| `new-model` | 12 | unknown |" in text
    assert "$0" not in text
    assert "Fewer than 20 pull requests" in text
    gone = comment_text(replace(FACTS, said=Said("open", 0, 0)), HOME)
    assert gone.startswith(marker(HOME))
    assert "No AI runs are linked to this pull request any more." in gone


@pytest.mark.parametrize("name", ["`|\n@alice [x](http://x) <img>", "*" * 500, "\u202ename", ""])
def test_the_name_of_a_model_is_no_markdown(name: str) -> None:
    text = comment_text(replace(FACTS, models=[ModelSum(name, 1, 1, CENT)]), HOME)
    (row,) = [line for line in text.splitlines() if line.endswith("| 1 | $0.01 |")]
    shown = row.removeprefix("| `").partition("` | 1 |")[0]
    assert 1 <= len(shown) <= 60
    assert not set(shown) & set("`|<>[]()*\u202e")


def test_many_models_are_few_rows() -> None:
    many = [ModelSum(f"model-{n}", 1, 1, CENT) for n in range(20)]
    text = comment_text(replace(FACTS, models=many), HOME)
    assert text.count("\n| `") == 7
    assert "| 13 others | 13 | $0.13 |" in text


@pytest.mark.parametrize(
    ("before", "now", "news"),
    [
        (None, Said("open", 0, 0), False),
        (None, Said("open", 1, 0), True),
        (SAID, SAID, False),
        (SAID, Said("open", 11, 439 * CENT), False),
        (SAID, Said("open", 11, 440 * CENT), True),
        (SAID, Said("open", 11, 360 * CENT), True),
        (SAID, Said("open", 14, 400 * CENT), False),
        (SAID, Said("open", 15, 400 * CENT), True),
        (SAID, Said("open", 0, 0), True),
        (SAID, Said("merged", 10, 400 * CENT), True),
        (Said("open", 3, 100), Said("open", 4, 900), False),
        (Said("open", 0, 0), Said("open", 0, 0), False),
        (Said("merged", 0, 5), Said("merged", 0, 5), False),
    ],
)
def test_what_is_news(before: Said | None, now: Said, news: bool) -> None:
    assert out_of_date(before, now) is news


def test_news_wait_for_an_hour_and_another_outcome_does_not() -> None:
    dearer, written = replace(SAID, cost=900 * CENT), NOW - timedelta(minutes=20)
    assert edit_at(None, SAID, None, NOW) == NOW
    assert edit_at(SAID, SAID, written, NOW) is None
    assert edit_at(SAID, dearer, written, NOW) == NOW + timedelta(minutes=40)
    assert edit_at(SAID, dearer, NOW - timedelta(hours=2), NOW) == NOW
    assert edit_at(SAID, replace(SAID, outcome="merged"), written, NOW) == NOW
