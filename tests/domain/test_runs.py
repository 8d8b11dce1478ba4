"""Identity of runs: ids that sort by time and never repeat, and what makes two requests the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens.domain.runs import RunIds, RunInput, content_hash, is_code, prompt_version, read_id, show_id
from costlens.domain.usage import Usage, UsageQuality

MILLIS = 1_794_830_400_000  # 16 November 2026
RUN = RunInput("openai", "gpt-4o", Usage(1, 2, 3, 4, 5, 6), datetime(2026, 11, 16, tzinfo=UTC))


def test_ids_follow_time() -> None:
    ids = RunIds()
    taken = [ids.take(MILLIS + n // 3) for n in range(9_000)]
    assert taken == sorted(set(taken))
    assert all(0 < number < 1 << 63 for number in taken)


def test_ids_go_on_when_the_clock_goes_back() -> None:
    ids = RunIds()
    taken = [ids.take(at) for at in (MILLIS, MILLIS - 5_000, MILLIS - 1, MILLIS, MILLIS + 1)]
    assert taken == sorted(set(taken))


def test_more_ids_than_a_millisecond_holds() -> None:
    ids = RunIds()
    taken = [ids.take(MILLIS) for _ in range(5_000)]
    assert taken == sorted(set(taken))


def test_ids_are_unique_over_threads() -> None:
    ids = RunIds()
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda n: ids.take(MILLIS + n % 7), range(20_000)))
    assert len(set(taken)) == 20_000


def test_an_id_of_a_later_year_still_fits() -> None:
    last = int(datetime(2093, 1, 1, tzinfo=UTC).timestamp() * 1000)
    assert RunIds().take(last) < 1 << 63


@given(st.integers(0, (1 << 63) - 1))
def test_a_shown_id_is_read_back(number: int) -> None:
    assert read_id("run", show_id("run", number)) == number


@given(st.integers(0, (1 << 63) - 1), st.integers(0, (1 << 63) - 1))
def test_shown_ids_sort_like_their_numbers(one: int, other: int) -> None:
    assert (show_id("run", one) < show_id("run", other)) == (one < other)


@given(st.text(max_size=30) | st.text("run_0123456789abz", max_size=20))
def test_garbage_is_no_id_unless_it_is_shown_like_one(text: str) -> None:
    number = read_id("run", text)
    assert number is None or show_id("run", number) == text


@pytest.mark.parametrize(
    "text",
    ["", "run", "run_", "run_1", "run_0000000000000 ", "key_0000000000000", "run_000000000000l", "run_zzzzzzzzzzzzz",
     "run_0000000000000_", "RUN_0000000000000", "run_٠٠٠٠٠٠٠٠٠٠٠٠٠"],
)  # fmt: skip
def test_what_is_no_run_id(text: str) -> None:
    assert read_id("run", text) is None


def test_the_hash_is_of_provider_model_and_tokens_alone() -> None:
    assert content_hash(RUN) == content_hash(replace(RUN, latency_ms=5, session_id="s", source="otlp", tool="t"))
    changed = [
        replace(RUN, provider="azure"),
        replace(RUN, model="gpt-4o-mini"),
        *(
            replace(RUN, usage=replace(RUN.usage, **{name: 9}))
            for name in ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "output_text",
                         "output_reasoning")
        ),
    ]  # fmt: skip
    assert len({content_hash(run) for run in (RUN, *changed)}) == len(changed) + 1
    assert content_hash(RUN) == content_hash(replace(RUN, usage=replace(RUN.usage, quality=UsageQuality.MISSING)))


def test_tokens_that_change_places_change_the_hash() -> None:
    assert content_hash(replace(RUN, usage=Usage(12, 3))) != content_hash(replace(RUN, usage=Usage(1, 23)))


@pytest.mark.parametrize(
    ("environment", "code"),
    [(None, True), ("development", True), ("ci", True), ("production", False), ("staging", False)],
)
def test_production_is_not_code(environment: str | None, code: bool) -> None:
    assert is_code(environment) is code


@pytest.mark.parametrize(
    ("prompt", "version"),
    [(None, None), ("review-v2", "v2"), ("review-v12", "v12"), ("v2", None), ("review-v2-x", None)],
)
def test_version_of_a_prompt(prompt: str | None, version: str | None) -> None:
    assert prompt_version(prompt) == version


def test_an_estimated_split_counts_by_its_total() -> None:
    def split(input_tokens: int, output_tokens: int) -> bytes:
        usage = Usage(input_tokens, output_text=output_tokens, quality=UsageQuality.SPLIT_ESTIMATE)
        return content_hash(replace(RUN, usage=usage))

    assert split(75, 25) == split(60, 40)
    assert split(75, 25) != split(75, 26)
