"""Prices by hand, and the compiled cards against the library for every model it knows."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest
from genai_prices import Usage as LibraryUsage
from genai_prices import calc_price
from genai_prices.data import providers
from genai_prices.types import ModelInfo, StartDateConstraint, TimeOfDateConstraint
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens.domain.errors import InvalidInput
from costlens.domain.pricing import Override, Price, cost_nanos, explain, find_card, parse_usd, price_run
from costlens.domain.rate_cards import COLUMNS, price_data_version
from costlens.domain.usage import Usage, UsageQuality, from_fields
from tests.replay_data import LINKING, needs_replay_data

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
MILLION = 10**6


def test_price_of_a_cached_call_by_hand() -> None:
    # Claude Opus 4.5: $5 input, $0.50 cache read, $6.25 and $10 cache writes, $25 output, per million tokens.
    usage = Usage(10, 24_091, 170, 40, 100, 4)
    price = price_run(usage, "anthropic", "claude-opus-4-5-20251101", AT)
    picos = 10 * 5_000_000 + 24_091 * 500_000 + 170 * 6_250_000 + 40 * 10_000_000 + 104 * 25_000_000
    assert price.cost_nanos == price.list_cost_nanos == (picos + 500) // 1000
    assert price.status == "priced"
    assert price.version is not None
    assert price.card is not None
    assert (price.card.provider, price.card.model) == ("anthropic", "claude-opus-4-5")
    assert price.card.source == price_data_version()


@pytest.mark.parametrize(
    ("provider", "model", "usage", "usd"),
    [
        ("openai", "gpt-5.4", Usage(MILLION // 10, 0, 0, 0, MILLION, 0), "15.25"),  # $2.50 and $15
        ("openai", "gpt-5", Usage(MILLION, MILLION, 0, 0, 0, MILLION), "11.375"),  # $1.25, $0.125, $10
        ("anthropic", "claude-sonnet-4-6", Usage(MILLION // 10, 0, 0, 0, 0, 0), "0.3"),
        ("google", "gemini-2.5-pro", Usage(200_000, 0, 0, 0, 1000, 0), "0.26"),  # $1.25 and $10 up to 200k
        ("google", "gemini-2.5-pro", Usage(1, 200_000, 0, 0, 1000, 0), "0.0650025"),  # $2.50, $0.25, $15 above
        ("perplexity", "sonar", Usage(1000, 0, 0, 0, 1000, 0), "0.014"),  # $1, $1, and $12 per 1,000 requests
    ],
)
def test_prices_by_hand(provider: str, model: str, usage: Usage, usd: str) -> None:
    assert price_run(usage, provider, model, AT).cost_nanos == parse_usd(usd)


@pytest.mark.parametrize(
    ("provider", "model", "listed"),
    [
        ("anthropic", "anthropic/claude-sonnet-4-5", ("anthropic", "claude-sonnet-4-5")),
        ("openai", "openai/gpt-5", ("openai", "gpt-5")),
        ("OpenAI", "GPT-5", ("openai", "gpt-5")),
        ("litellm", "anthropic/claude-sonnet-4-5", ("anthropic", "claude-sonnet-4-5")),
        ("openrouter", "anthropic/claude-sonnet-4.5", ("openrouter", "anthropic/claude-sonnet-4.5")),
        ("gemini", "gemini-2.5-pro", ("google", "gemini-2.5-pro")),
        ("vertex", "models/gemini-2.5-pro", ("google", "gemini-2.5-pro")),
        ("azure-openai", "gpt-5", ("azure", "gpt-5")),
        (
            "bedrock",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            ("aws", "regional.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ),
        ("acme-gateway", "gpt-5", ("openai", "gpt-5")),  # unknown provider: by the model alone
    ],
)
def test_names_that_callers_send(provider: str, model: str, listed: tuple[str, str]) -> None:
    card = find_card(provider, model, AT)
    assert card is not None
    assert (card.provider, card.model) == listed


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "claude-3"),
        ("openai", "gpt-5.4-mini-turbo"),
        ("openai", "claude-sonnet-4-5"),
        ("acme-gateway", "claude-3"),
        ("acme-gateway", "house-model"),
        ("acme-gateway", "google/gemma-3-27b"),  # free at Google, not at whoever this is
        ("ollama", "deepseek-r1:8b"),  # on one's own machine
        ("openai", "tts-1"),  # billed by the character
        ("", ""),
        ("openai", "\x00"),
    ],
)
def test_unknown_is_unpriced_and_never_zero(provider: str, model: str) -> None:
    for usage in (Usage(), Usage(10, 0, 0, 0, 10, 0)):
        assert price_run(usage, provider, model, AT) == Price(None, None, "unpriced", None)


def test_statuses() -> None:
    usage = Usage(1000, 0, 0, 0, 100, 0)
    guess = Usage(1000, 0, 0, 0, 100, 0, UsageQuality.SPLIT_ESTIMATE)
    assert price_run(guess, "openai", "gpt-5", AT).status == "estimated"
    assert price_run(guess, "openai", "gpt-5", AT).cost_nanos == price_run(usage, "openai", "gpt-5", AT).cost_nanos
    unknown = price_run(Usage(quality=UsageQuality.MISSING), "openai", "gpt-5", AT)
    assert (unknown.cost_nanos, unknown.status) == (None, "unpriced")
    free = price_run(usage, "google", "gemma-3-27b-it", AT)
    assert (free.cost_nanos, free.status) == (0, "free")


def test_a_reported_cost_stands_beside_the_list_cost() -> None:
    usage = Usage(1000, 0, 0, 0, 100, 0)
    price = price_run(usage, "openai", "gpt-5", AT, reported_nanos=5)
    assert (price.cost_nanos, price.list_cost_nanos, price.status) == (5, 2_250_000, "reported")
    unlisted = price_run(usage, "openai", "house-model", AT, reported_nanos=0)
    assert (unlisted.cost_nanos, unlisted.list_cost_nanos, unlisted.status) == (0, None, "reported")


def test_context_tier_is_decided_by_all_input_tokens() -> None:
    below = find_card("openai", "gpt-5.4", AT, input_tokens=272_000)
    above = find_card("openai", "gpt-5.4", AT, input_tokens=272_001)
    assert below is not None
    assert above is not None
    assert (below.input_uncached, above.input_uncached) == (2_500_000, 5_000_000)


def test_batch_is_half_whichever_field_says_it() -> None:
    usage = Usage(1000, 0, 0, 0, 100, 0)
    late = datetime(2026, 11, 1, tzinfo=UTC)
    full = price_run(usage, "openai", "gpt-5.4", late).cost_nanos
    assert full is not None
    assert price_run(usage, "openai", "gpt-5.4", late, processing="batch").cost_nanos == full // 2
    assert price_run(usage, "openai", "gpt-5.4", late, service_tier="Batch").cost_nanos == full // 2
    assert price_run(usage, "openai", "gpt-5.4", late, service_tier="flex").cost_nanos == full // 2
    assert price_run(usage, "openai", "gpt-5.4", late, service_tier="default").status == "priced"


def test_a_processing_without_a_price_of_its_own_is_estimated() -> None:
    usage = Usage(1000, 0, 0, 0, 100, 0)
    price = price_run(usage, "perplexity", "sonar", AT, processing="batch")
    assert price.cost_nanos == price_run(usage, "perplexity", "sonar", AT).cost_nanos
    assert price.status == "estimated"


def test_price_changes_at_midnight_utc_whatever_the_zone_and_the_order_of_calls() -> None:
    # DeepSeek V4 Flash: $0.14 a million input tokens until 16 August 2026, $0.22 from the 17th.
    change = datetime(2026, 8, 17, tzinfo=UTC)
    india = timezone(timedelta(hours=5, minutes=30))
    before, after = change - timedelta(microseconds=1), change
    rates = []
    for at in (after, before, after.astimezone(india), before.astimezone(india), after):
        card = find_card("deepseek", "deepseek-v4-flash", at)
        assert card is not None
        rates.append(card.input_uncached)
    assert rates == [220_000, 140_000, 220_000, 140_000, 220_000]


def test_cards_tell_their_window() -> None:
    card = find_card("deepseek", "deepseek-v4-flash", datetime(2026, 8, 20, tzinfo=UTC))
    assert card is not None
    assert card.valid_from == datetime(2026, 8, 17, tzinfo=UTC)
    assert card.valid_to == datetime(2026, 9, 10, tzinfo=UTC)
    assert card.version.endswith("@2026-08-17")


def test_off_peak_hours() -> None:
    # DeepSeek chat: $0.27 a million from 00:30 to 16:30 UTC, half outside.
    def rate(hour: int, minute: int) -> int:
        card = find_card("deepseek", "deepseek-chat", datetime(2026, 1, 5, hour, minute, tzinfo=UTC))
        assert card is not None
        return card.input_uncached

    assert [rate(0, 29), rate(0, 30), rate(16, 29), rate(16, 30)] == [135_000, 270_000, 270_000, 135_000]


def test_own_prices_hold_from_their_date() -> None:
    june, july = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
    overrides = (
        Override("acme", "house-model", june, picos={"input_uncached": 1000, "output_text": 3000, "cache_write_5m": 7}),
        Override("acme", "house-model", july, picos={"input_uncached": 2000, "output_text": 3000}),
        Override("anthropic", "claude-3", june, alias_of="claude-sonnet-4-5"),
        Override("acme", "sonnet", june, alias_of="anthropic/claude-sonnet-4-5"),
        Override("acme", "house", june, alias_of="house-model"),
        Override("acme", "nothing", june, alias_of="no-such-model"),
        Override("acme", "gift", june, picos={"input_uncached": 0}),
    )
    usage = Usage(1000, 1000, 1000, 1000, 1000, 1000)

    def price(provider: str, model: str, at: datetime) -> Price:
        return price_run(usage, provider, model, at, overrides=overrides)

    assert price("acme", "house-model", june - timedelta(seconds=1)).status == "unpriced"
    # Without rates of their own: reads as input, 1-hour writes as 5-minute ones, reasoning as output.
    assert price("acme", "house-model", june).cost_nanos == 1000 + 1000 + 7 + 7 + 3000 + 3000
    assert price("Acme", "House-Model", july).cost_nanos == 4 * 2000 + 2 * 3000
    sonnet = price_run(usage, "anthropic", "claude-sonnet-4-5", june).cost_nanos
    assert price("anthropic", "claude-3", june).cost_nanos == sonnet
    assert price("acme", "sonnet", june).cost_nanos == sonnet
    assert price("acme", "house", june).cost_nanos == price("acme", "house-model", june).cost_nanos
    assert price("acme", "nothing", june).status == "unpriced"
    assert (price("acme", "gift", june).cost_nanos, price("acme", "gift", june).status) == (0, "free")
    assert price("openai", "gpt-5", june) == price_run(usage, "openai", "gpt-5", june)


@pytest.mark.parametrize(
    "given_rates",
    [
        {},
        {"alias_of": "x", "picos": {"input_uncached": 1}},
        {"picos": {"output_text": 1}},
        {"picos": {"input_uncached": -1}},
        {"picos": {"input_uncached": 1.5}},
        {"picos": {"input": 1}},
    ],
)
def test_own_prices_that_make_no_sense_are_refused(given_rates: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        Override("acme", "x", AT, **given_rates)  # type: ignore[arg-type]


def _library_nanos(usage: Usage, provider: str, model: str, at: datetime, context: dict[str, str]) -> Decimal:
    price = calc_price(
        LibraryUsage(
            input_tokens=usage.input,
            cache_read_tokens=usage.cache_read,
            cache_write_tokens=usage.cache_write_5m + usage.cache_write_1h,
            cache_write_5m_tokens=usage.cache_write_5m,
            cache_write_1h_tokens=usage.cache_write_1h,
            output_tokens=usage.output,
            output_reasoning_tokens=usage.output_reasoning,
        ),
        model,
        provider_id=provider,
        genai_request_timestamp=at,
        price_context=context,
    )
    return price.total_price * 10**9


def _moments(model: ModelInfo) -> list[datetime]:
    """Both sides of every price change, and one usual moment."""
    moments = [AT]
    conditions = [c.constraint for c in model.prices] if isinstance(model.prices, list) else []
    conditions += [variant.constraint for variant in model.price_variants or ()]
    for condition in conditions:
        if isinstance(condition, StartDateConstraint):
            edges = [datetime.combine(condition.start_date, time(), UTC)]
        elif isinstance(condition, TimeOfDateConstraint):
            edges = [datetime.combine(AT.date(), edge) for edge in (condition.start_time, condition.end_time)]
        else:
            edges = []
        moments += [moment for edge in edges for moment in (edge - timedelta(microseconds=1), edge)]
    return sorted(set(moments))


CONTEXTS: list[tuple[dict[str, str], dict[str, str]]] = [
    # what is asked of us; what the library needs to be told
    ({}, {}),
    ({"processing": "batch"}, {"processing": "batch"}),
    ({"service_tier": "batch"}, {"processing": "batch"}),
    ({"service_tier": "flex"}, {"service_tier": "flex"}),
    ({"processing": "priority"}, {"service_tier": "priority"}),
    ({"service_tier": "fast"}, {"service_tier": "fast", "speed": "fast"}),
    ({"service_tier": "default"}, {"service_tier": "default"}),
    ({"processing": "batch", "service_tier": "flex"}, {"processing": "batch", "service_tier": "flex"}),
]


def _assert_as_library(
    usage: Usage, provider: str, model: str, at: datetime, asked: dict[str, str], told: dict[str, str]
) -> None:
    expected = _library_nanos(usage, provider, model, at, told)
    price = price_run(usage, provider, model, at, **asked)  # type: ignore[arg-type]
    where = (provider, model, at, asked, usage)
    if price.cost_nanos is None:
        assert expected == 0, where  # nothing the library bills by the token
    else:
        assert abs(price.cost_nanos - expected) <= Decimal("0.500001"), where


def test_compiled_cards_equal_the_library_for_every_model_at_every_price_change() -> None:
    chance = random.Random(7)
    compared = 0
    for provider in providers:
        lent = provider.fallback_model_providers or []
        for model in [*provider.models, *(m for lender in providers if lender.id in lent for m in lender.models)]:
            try:
                calc_price(LibraryUsage(), model.id, provider_id=provider.id)
            except LookupError:
                continue  # an id that does not match its own rule; no call could name it
            for asked, told in CONTEXTS if model.price_variants else CONTEXTS[:2]:
                for at in _moments(model):
                    big = chance.choice([1_000, 100_000, 1_000_000])
                    usage = Usage(*(chance.randrange(big) for _ in COLUMNS))
                    _assert_as_library(usage, provider.id, model.id, at, asked, told)
                    compared += 1
    assert compared > 4_000


LISTED = [(provider.id, model.id) for provider in providers for model in provider.models]
THRESHOLDS = [0, 32_000, 100_000, 128_000, 199_999, 200_000, 256_000, 272_000, 512_000, 524_288]
tokens = st.integers(0, 300_000) | st.builds(
    lambda threshold, off: max(0, threshold + off), st.sampled_from(THRESHOLDS), st.integers(-1, 1)
)
usages = st.builds(Usage, tokens, tokens, tokens, tokens, tokens, tokens)
inputs_at_thresholds = st.builds(Usage, tokens)
instants = st.datetimes(datetime(2023, 1, 1), datetime(2027, 12, 31)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(LISTED), usages | inputs_at_thresholds, instants, st.sampled_from(CONTEXTS))
def test_compiled_cards_equal_the_library_for_any_run(
    listed: tuple[str, str], usage: Usage, at: datetime, context: tuple[dict[str, str], dict[str, str]]
) -> None:
    try:
        calc_price(LibraryUsage(), listed[1], provider_id=listed[0])
    except LookupError:
        return
    _assert_as_library(usage, *listed, at, *context)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(LISTED), usages, st.sampled_from(COLUMNS), st.integers(1, 10**6), instants)
def test_cost_is_monotone_in_tokens(
    listed: tuple[str, str], usage: Usage, column: str, more: int, at: datetime
) -> None:
    larger = Usage(**{name: getattr(usage, name) + (more if name == column else 0) for name in COLUMNS})
    less, greater = price_run(usage, *listed, at), price_run(larger, *listed, at)
    assert (less.cost_nanos is None) == (greater.cost_nanos is None)
    if less.cost_nanos is not None and greater.cost_nanos is not None:
        assert less.cost_nanos <= greater.cost_nanos


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(LISTED), usages, instants)
def test_the_lines_of_a_price_sum_to_it(listed: tuple[str, str], usage: Usage, at: datetime) -> None:
    card = find_card(*listed, at, input_tokens=usage.input)
    if card is None:
        return
    lines = explain(usage, card)
    assert sum(line.cost_nanos for line in lines) == cost_nanos(usage, card)
    for line in lines:
        assert line.quantity > 0
        assert abs(line.cost_nanos - line.quantity * line.picos / 1000) < 1
    assert sum(line.quantity for line in lines if line.column != "run") == usage.total


def test_explained_price_by_hand() -> None:
    # Three lines of a third of a nano each would all show 0; the total is 1.
    own = Override("acme", "x", AT, picos={"input_uncached": 340, "output_text": 330})
    card = find_card("acme", "x", AT, overrides=[own])
    assert card is not None
    lines = explain(Usage(1, 1, 0, 0, 1, 0), card)
    assert [(line.column, line.cost_nanos) for line in lines] == [
        ("input_uncached", 1),
        ("cache_read", 0),
        ("output_text", 0),
    ]


@pytest.mark.parametrize(
    ("value", "nanos"),
    [
        (0, 0),
        (1, 10**9),
        (0.1, 10**8),
        (0.000000001, 1),
        (0.0000000005, 1),
        (0.00000000049, 0),
        ("0.150694", 150_694_000),
        ("1e-9", 1),
        (10**6, 10**15),
        (0.1 + 0.2, 300_000_000),
        (Decimal("2.5"), 2_500_000_000),
        ("1e-999999", 0),
    ],
)
def test_reported_dollars(value: object, nanos: int) -> None:
    assert parse_usd(value) == nanos


@pytest.mark.parametrize(
    "value",
    [
        *(-1, -0.01, 1_000_000.01, float("nan"), float("inf")),
        *("-1", "NaN", "sNaN", "Infinity", "", "1,5", "$1", "1e999999999999999999"),
        *(True, None, [], {}),
    ],
)
def test_reported_dollars_that_are_refused(value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_usd(value)
    assert caught.value.field == "cost"


@needs_replay_data
def test_real_runs_total_to_the_known_dollars() -> None:
    total = 0
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
            price = price_run(usage, run["provider"], run["model"], datetime.fromisoformat(run["timestamp"]))
            assert price.status == "priced"
            assert price.cost_nanos is not None
            total += price.cost_nanos
    with (LINKING / "answers.jsonl").open() as lines:
        known = sum(parse_usd(json.loads(line)["usd"]) for line in lines)
    assert abs(total - known) <= known / 1000
