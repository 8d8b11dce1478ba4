"""Token usage of one run as disjoint counts, and the one normaliser that makes them from any dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from costlens.domain.errors import InvalidInput
from costlens.domain.usage_dialects import check_count, read_count, recognise

# Providers whose API counts cached tokens outside the input tokens, by a word in their name.
_CACHE_OUTSIDE_INPUT = ("anthropic", "claude", "bedrock", "aws", "amazon")
_REASONING_OUTSIDE_OUTPUT = ("x-ai", "xai", "grok")

# Share of input where neither texts nor history tell: three tokens read for one written.
_USUAL_INPUT_SHARE = 0.75
_CHARS_PER_TOKEN = 4


class UsageQuality(StrEnum):
    EXACT = "exact"  # the provider's own counts
    SPLIT_ESTIMATE = "split_estimate"  # a true total, split into input and output by estimate
    TEXT_ESTIMATE = "text_estimate"  # counted from the text
    MISSING = "missing"  # nothing known, or input unknown: no price can be made of it


@dataclass(slots=True, unsafe_hash=True)  # not frozen, which would make it take long to make one
class Usage:
    """Disjoint token counts: no token stands in two of them. Not to be changed."""

    input_uncached: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output_text: int = 0
    output_reasoning: int = 0
    quality: UsageQuality = UsageQuality.EXACT

    @property
    def input(self) -> int:
        """All input tokens, cached ones included."""
        return self.input_uncached + self.cache_read + self.cache_write_5m + self.cache_write_1h

    @property
    def output(self) -> int:
        return self.output_text + self.output_reasoning

    @property
    def total(self) -> int:
        return self.input + self.output


def from_native(provider: str, payload: Mapping[str, object]) -> Usage:
    """Usage from a provider's own `usage` object, in any known dialect; InvalidInput names the bad `usage.…` field."""
    dialect = recognise(payload)
    input_tokens, _ = read_count(payload, dialect.input)
    output_tokens, _ = read_count(payload, dialect.output)
    cache_read, read_field = read_count(payload, dialect.cache_read)
    cache_write, write_field = read_count(payload, dialect.cache_write)
    write_5m, _ = read_count(payload, dialect.cache_write_5m)
    write_1h, write_1h_field = read_count(payload, dialect.cache_write_1h)
    reasoning, reasoning_field = read_count(payload, dialect.reasoning)
    tool_input, _ = read_count(payload, dialect.tool_input)
    total, _ = read_count(payload, dialect.total)

    written = cache_write if cache_write is not None else (write_5m or 0) + (write_1h or 0)
    output = output_tokens or 0
    if reasoning and not (
        dialect.output_includes_reasoning
        and not _reasoning_is_outside(provider, (input_tokens or 0) + output, reasoning, total)
    ):
        output += reasoning
    uncached = _uncached(
        input_tokens or 0, cache_read or 0, written, dialect.input_includes_cache, (read_field, write_field)
    )
    return _vector(
        uncached + (tool_input or 0),
        cache_read or 0,
        written,
        write_1h or 0,
        output,
        reasoning or 0,
        UsageQuality.MISSING if input_tokens is None else UsageQuality.EXACT,
        (write_1h_field, reasoning_field),
    )


def from_fields(
    provider: str,
    *,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    cache_read_tokens: int | None = None,
    cache_write_tokens: int | None = None,
    cache_write_1h_tokens: int | None = None,
    reasoning_tokens: int | None = None,
    tokens_used: int | None = None,
    input_chars: int | None = None,
    output_chars: int | None = None,
    model_ratio: float | None = None,
) -> Usage:
    """Usage from the flat fields of a tracked call, what is missing derived or estimated.

    `input_tokens` includes cached tokens unless the provider's own API counts them apart (Anthropic, Bedrock);
    `cache_write_1h_tokens` is a part of `cache_write_tokens`, `reasoning_tokens` of `output_tokens`. Lengths are in
    characters, `model_ratio` is the share of input in this model's tokens (0 to 1). InvalidInput names the field.
    """
    for field, value in (
        ("inputTokens", input_tokens),
        ("outputTokens", output_tokens),
        ("cacheReadTokens", cache_read_tokens),
        ("cacheWriteTokens", cache_write_tokens),
        ("cacheWrite1hTokens", cache_write_1h_tokens),
        ("reasoningTokens", reasoning_tokens),
        ("tokensUsed", tokens_used),
    ):
        if value is not None:
            check_count(value, field)
    read, write_1h, reasoning = cache_read_tokens or 0, cache_write_1h_tokens or 0, reasoning_tokens or 0
    written = cache_write_tokens if cache_write_tokens is not None else write_1h
    inclusive = not _names_one_of(provider, _CACHE_OUTSIDE_INPUT)
    cached_apart = 0 if inclusive else read + written

    quality = UsageQuality.EXACT
    if input_tokens is None and output_tokens is None:
        if tokens_used is None:
            raise InvalidInput("tokensUsed, inputTokens and outputTokens or usage is needed", field="tokensUsed")
        if tokens_used < read + written + reasoning:
            raise InvalidInput("tokensUsed must not be less than its parts", field="tokensUsed")
        whole_input = _input_part(tokens_used, input_chars, output_chars, model_ratio)
        # The split is a guess, its known parts are not.
        whole_input = min(max(whole_input, read + written), tokens_used - reasoning)
        input_tokens = whole_input - cached_apart
        output_tokens = tokens_used - whole_input
        quality = UsageQuality.SPLIT_ESTIMATE if tokens_used else UsageQuality.EXACT
    elif input_tokens is None:
        output_tokens = output_tokens or 0
        if tokens_used is not None and tokens_used - output_tokens - cached_apart >= (read + written) * inclusive:
            input_tokens = tokens_used - output_tokens - cached_apart
        elif input_chars:
            input_tokens = -(-input_chars // _CHARS_PER_TOKEN) + (read + written - cached_apart)
            quality = UsageQuality.TEXT_ESTIMATE
        else:
            input_tokens = read + written - cached_apart
            quality = UsageQuality.MISSING
    elif output_tokens is None:
        if tokens_used is not None and tokens_used - input_tokens - cached_apart >= reasoning:
            output_tokens = tokens_used - input_tokens - cached_apart
        elif output_chars:
            output_tokens = -(-output_chars // _CHARS_PER_TOKEN) + reasoning
            quality = UsageQuality.TEXT_ESTIMATE
        else:
            output_tokens = reasoning  # embeddings, and calls that failed, write nothing

    uncached = _uncached(input_tokens, read, written, inclusive, ("cacheReadTokens", "cacheWriteTokens"))
    fields = ("cacheWrite1hTokens", "reasoningTokens")
    return _vector(uncached, read, written, write_1h, output_tokens, reasoning, quality, fields)


def _names_one_of(provider: str, words: tuple[str, ...]) -> bool:
    name = provider.lower()
    return any(word in name for word in words)


def _reasoning_is_outside(provider: str, without: int, reasoning: int, total: int | None) -> bool:
    """Whether reasoning tokens stand beside the output tokens: the object's own total tells, else the provider."""
    if total is not None:
        return total == without + reasoning
    return _names_one_of(provider, _REASONING_OUTSIDE_OUTPUT)


def _input_part(total: int, input_chars: int | None, output_chars: int | None, ratio: float | None) -> int:
    # An empty text says that the caller did not send it, not that there was none.
    if input_chars and output_chars:
        chars = input_chars + output_chars
        return (2 * total * input_chars + chars) // (2 * chars)
    share = _USUAL_INPUT_SHARE if ratio is None else min(max(ratio, 0.0), 1.0)
    return int(total * share + 0.5)


def _uncached(input_tokens: int, read: int, written: int, inclusive: bool, fields: tuple[str, str]) -> int:
    if not inclusive:
        return input_tokens
    if read + written > input_tokens:
        field = fields[0] if read > input_tokens or not written else fields[1]
        raise InvalidInput(f"{field}: cached tokens must not exceed the input tokens they are part of", field=field)
    return input_tokens - read - written


def _vector(
    uncached: int,
    read: int,
    written: int,
    write_1h: int,
    output: int,
    reasoning: int,
    quality: UsageQuality,
    fields: tuple[str, str],
) -> Usage:
    """The disjoint vector from checked wholes; `fields` name the 1-hour writes and the reasoning for errors."""
    if write_1h > written:
        raise InvalidInput(f"{fields[0]} must not exceed the cache writes it is part of", field=fields[0])
    if reasoning > output:
        raise InvalidInput(f"{fields[1]} must not exceed the output tokens it is part of", field=fields[1])
    return Usage(uncached, read, written - write_1h, write_1h, output - reasoning, reasoning, quality)
