"""Golden vectors per dialect, the flat fields, and what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens.domain.errors import InvalidInput
from costlens.domain.usage import Usage, UsageQuality, from_fields, from_native
from tests.replay_data import LINKING, needs_replay_data


def test_openai_chat_completion_with_cache_and_reasoning() -> None:
    payload = {
        "prompt_tokens": 2006,
        "completion_tokens": 300,
        "total_tokens": 2306,
        "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 256, "accepted_prediction_tokens": 0},
    }
    assert from_native("openai", payload) == Usage(86, 1920, 0, 0, 44, 256)


GOLDEN = {
    "openai chat, no details": ("openai", {"prompt_tokens": 9, "completion_tokens": 12}, Usage(9, 0, 0, 0, 12, 0)),
    "openai embeddings": ("openai", {"prompt_tokens": 8, "total_tokens": 8}, Usage(8)),
    "openai responses": (
        "openai",
        {
            "input_tokens": 328,
            "input_tokens_details": {"cached_tokens": 128},
            "output_tokens": 52,
            "output_tokens_details": {"reasoning_tokens": 20},
            "total_tokens": 380,
        },
        Usage(200, 128, 0, 0, 32, 20),
    ),
    "openai chat with cache writes": (
        "openai",
        {
            "prompt_tokens": 5000,
            "completion_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 3000},
        },
        Usage(1000, 1000, 3000, 0, 10, 0),
    ),
    "deepseek": (
        "deepseek",
        {
            "prompt_tokens": 100,
            "completion_tokens": 7,
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
            "total_tokens": 107,
        },
        Usage(36, 64, 0, 0, 7, 0),
    ),
    "xai counts reasoning beside completion": (
        "xai",
        {
            "prompt_tokens": 32,
            "completion_tokens": 9,
            "total_tokens": 135,
            "prompt_tokens_details": {"cached_tokens": 6},
            "completion_tokens_details": {"reasoning_tokens": 94},
        },
        Usage(26, 6, 0, 0, 9, 94),
    ),
    "xai without a total": (
        "x-ai",
        {"prompt_tokens": 32, "completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 94}},
        Usage(32, 0, 0, 0, 9, 94),
    ),
    "anthropic messages": (
        "anthropic",
        {
            "input_tokens": 2095,
            "cache_creation_input_tokens": 2051,
            "cache_read_input_tokens": 30000,
            "cache_creation": {"ephemeral_5m_input_tokens": 1051, "ephemeral_1h_input_tokens": 1000},
            "output_tokens": 503,
            "service_tier": "standard",
        },
        Usage(2095, 30000, 1051, 1000, 503, 0),
    ),
    "anthropic with nulls": (
        "anthropic",
        {"input_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": None, "output_tokens": 3},
        Usage(10, 0, 0, 0, 3, 0),
    ),
    "anthropic writes only in parts": (
        "anthropic",
        {
            "input_tokens": 1,
            "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 7},
            "output_tokens": 2,
        },
        Usage(1, 0, 5, 7, 2, 0),
    ),
    "anthropic dialect from another provider's name": (
        "my-gateway",
        {"input_tokens": 4, "cache_read_input_tokens": 100, "output_tokens": 1},
        Usage(4, 100, 0, 0, 1, 0),
    ),
    "gemini": (
        "google",
        {
            "promptTokenCount": 1500,
            "cachedContentTokenCount": 1024,
            "candidatesTokenCount": 80,
            "thoughtsTokenCount": 400,
            "toolUsePromptTokenCount": 20,
            "totalTokenCount": 2000,
        },
        Usage(496, 1024, 0, 0, 80, 400),
    ),
    "gemini that only thought": (
        "gemini",
        {"promptTokenCount": 7, "thoughtsTokenCount": 30, "totalTokenCount": 37},
        Usage(7, 0, 0, 0, 0, 30),
    ),
    "gemini in snake case": (
        "vertex",
        {"prompt_token_count": 10, "cached_content_token_count": 4, "candidates_token_count": 3},
        Usage(6, 4, 0, 0, 3, 0),
    ),
    "bedrock converse": (
        "bedrock",
        {
            "inputTokens": 12,
            "outputTokens": 90,
            "cacheReadInputTokens": 4000,
            "cacheWriteInputTokens": 800,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 300}, {"ttl": "5m", "inputTokens": 500}],
            "totalTokens": 4902,
        },
        Usage(12, 4000, 500, 300, 90, 0),
    ),
    "ai sdk counts cached tokens in its input": (
        "anthropic",
        {"inputTokens": 500, "outputTokens": 50, "cachedInputTokens": 400, "reasoningTokens": 10, "totalTokens": 550},
        Usage(100, 400, 0, 0, 40, 10),
    ),
}


@pytest.mark.parametrize(("provider", "payload", "expected"), GOLDEN.values(), ids=GOLDEN.keys())
def test_native_dialects(provider: str, payload: dict[str, object], expected: Usage) -> None:
    assert from_native(provider, payload) == expected


def test_native_without_input_has_no_price_to_be_made() -> None:
    assert from_native("anthropic", {"output_tokens": 15}).quality is UsageQuality.MISSING


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({}, "usage"),
        ({"tokens": 5}, "usage"),
        ({"prompt_tokens": -1}, "usage.prompt_tokens"),
        ({"prompt_tokens": True}, "usage.prompt_tokens"),
        ({"prompt_tokens": "12"}, "usage.prompt_tokens"),
        ({"prompt_tokens": 12.0}, "usage.prompt_tokens"),
        ({"prompt_tokens": 10**12 + 1}, "usage.prompt_tokens"),
        ({"prompt_tokens": 5, "prompt_tokens_details": 3}, "usage.prompt_tokens_details"),
        ({"prompt_tokens": 5, "prompt_tokens_details": "cached"}, "usage.prompt_tokens_details"),
        (
            {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}},
            "usage.prompt_tokens_details.cached_tokens",
        ),
        (
            {"input_tokens": 5, "output_tokens": 1, "output_tokens_details": {"reasoning_tokens": 2}},
            "usage.output_tokens_details.reasoning_tokens",
        ),
        (
            {
                "input_tokens": 5,
                "cache_creation_input_tokens": 1,
                "cache_creation": {"ephemeral_1h_input_tokens": 2},
            },
            "usage.cache_creation.ephemeral_1h_input_tokens",
        ),
        ({"promptTokenCount": 5, "cachedContentTokenCount": 6}, "usage.cachedContentTokenCount"),
    ],
)
def test_native_errors_name_the_field(payload: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        from_native("openai", payload)
    assert caught.value.field == field


def test_flat_fields_of_openai_include_cached_tokens() -> None:
    usage = from_fields(
        "openai", input_tokens=1000, output_tokens=200, cache_read_tokens=600, reasoning_tokens=50, tokens_used=1200
    )
    assert usage == Usage(400, 600, 0, 0, 150, 50)


@pytest.mark.parametrize("provider", ["anthropic", "Bedrock", "aws-bedrock", "claude"])
def test_flat_fields_of_anthropic_and_bedrock_exclude_cached_tokens(provider: str) -> None:
    usage = from_fields(
        provider,
        input_tokens=10,
        output_tokens=3,
        cache_read_tokens=500,
        cache_write_tokens=200,
        cache_write_1h_tokens=50,
        tokens_used=713,
    )
    assert usage == Usage(10, 500, 150, 50, 3, 0)


def test_fields_win_over_another_total() -> None:
    assert from_fields("anthropic", input_tokens=100, output_tokens=50, cache_read_tokens=20, tokens_used=150) == Usage(
        100, 20, 0, 0, 50, 0
    )


def test_the_missing_side_is_what_is_left_of_the_total() -> None:
    assert from_fields("openai", output_tokens=40, tokens_used=150) == Usage(110, 0, 0, 0, 40, 0)
    assert from_fields("openai", input_tokens=110, tokens_used=150) == Usage(110, 0, 0, 0, 40, 0)
    assert from_fields("anthropic", output_tokens=40, cache_read_tokens=100, tokens_used=150) == Usage(
        10, 100, 0, 0, 40, 0
    )


def test_the_missing_side_is_counted_from_the_text_without_a_total() -> None:
    text = UsageQuality.TEXT_ESTIMATE
    assert from_fields("openai", output_tokens=40, input_chars=401) == Usage(101, 0, 0, 0, 40, 0, text)
    assert from_fields("openai", input_tokens=40, output_chars=9) == Usage(40, 0, 0, 0, 3, 0, text)
    assert from_fields("openai", output_tokens=40).quality is UsageQuality.MISSING
    assert from_fields("openai", input_tokens=40) == Usage(40)


def test_a_total_below_the_known_side_is_left_aside() -> None:
    assert from_fields("openai", output_tokens=40, tokens_used=30, input_chars=8).input == 2


SPLIT = UsageQuality.SPLIT_ESTIMATE


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (75, 25)),
        ({"model_ratio": 0.9}, (90, 10)),
        ({"model_ratio": 0.9, "input_chars": 10, "output_chars": 30}, (25, 75)),
        ({"input_chars": 10, "output_chars": 0}, (75, 25)),  # an empty text was not sent
        ({"input_chars": 10}, (75, 25)),
    ],
)
def test_a_total_alone_is_split(given: dict[str, int], expected: tuple[int, int]) -> None:
    usage = from_fields("openai", tokens_used=100, **given)  # type: ignore[arg-type]
    assert (usage.input, usage.output) == expected
    assert usage.quality is SPLIT


def test_a_split_keeps_the_known_parts() -> None:
    usage = from_fields("anthropic", tokens_used=100, cache_read_tokens=90, reasoning_tokens=5)
    assert usage == Usage(0, 90, 0, 0, 5, 5, SPLIT)


def test_a_total_of_nothing_is_exact() -> None:
    assert from_fields("openai", tokens_used=0) == Usage()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "tokensUsed"),
        ({"cache_read_tokens": 5}, "tokensUsed"),
        ({"tokens_used": -1}, "tokensUsed"),
        ({"tokens_used": 10**12 + 1}, "tokensUsed"),
        ({"tokens_used": True}, "tokensUsed"),
        ({"tokens_used": 5, "cache_read_tokens": 6}, "tokensUsed"),
        ({"input_tokens": -3, "output_tokens": 1}, "inputTokens"),
        ({"input_tokens": 3, "output_tokens": -1}, "outputTokens"),
        ({"input_tokens": 3, "output_tokens": 1, "cache_read_tokens": 4}, "cacheReadTokens"),
        ({"input_tokens": 3, "output_tokens": 1, "cache_write_tokens": 4}, "cacheWriteTokens"),
        ({"input_tokens": 3, "output_tokens": 1, "reasoning_tokens": 2}, "reasoningTokens"),
        (
            {"input_tokens": 9, "output_tokens": 1, "cache_write_tokens": 2, "cache_write_1h_tokens": 3},
            "cacheWrite1hTokens",
        ),
    ],
)
def test_flat_errors_name_the_field(given: dict[str, int], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        from_fields("openai", **given)  # type: ignore[arg-type]
    assert caught.value.field == field


counts = st.none() | st.integers(0, 10**6)


@given(
    provider=st.sampled_from(["openai", "anthropic", "bedrock", "google", ""]),
    given_fields=st.fixed_dictionaries(
        dict.fromkeys(
            (
                "input_tokens",
                "output_tokens",
                "cache_read_tokens",
                "cache_write_tokens",
                "cache_write_1h_tokens",
                "reasoning_tokens",
                "tokens_used",
                "input_chars",
                "output_chars",
            ),
            counts,
        )
    ),
    ratio=st.none() | st.floats(0, 1),
)
def test_any_flat_fields_give_a_sound_vector_or_an_error(
    provider: str, given_fields: dict[str, int | None], ratio: float | None
) -> None:
    try:
        usage = from_fields(provider, **given_fields, model_ratio=ratio)
    except InvalidInput:
        return
    counts_of_classes = (
        usage.input_uncached,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.output_text,
        usage.output_reasoning,
    )
    assert min(counts_of_classes) >= 0
    if usage.quality is SPLIT:
        assert usage.total == given_fields["tokens_used"]
    if given_fields["output_tokens"] is not None:
        assert usage.output == given_fields["output_tokens"]
    if provider in ("openai", "google") and given_fields["input_tokens"] is not None:
        assert usage.input == given_fields["input_tokens"]


@needs_replay_data
def test_vectors_of_real_runs_sum_to_their_totals() -> None:
    with (LINKING / "runs.jsonl").open() as lines:
        for line in lines:
            run = json.loads(line)
            usage = from_fields(
                run["provider"],
                input_tokens=run["inputTokens"],
                output_tokens=run["outputTokens"],
                cache_read_tokens=run["cacheReadTokens"],
                cache_write_tokens=run["cacheWriteTokens"],
                tokens_used=run["tokensUsed"],
            )
            assert usage.total == run["tokensUsed"]
            assert usage.quality is UsageQuality.EXACT
