"""How each provider's own `usage` object names its token counts, and what each count includes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from costlens.domain.errors import InvalidInput

MAX_TOKENS = 10**12

Paths = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One shape of `usage`; each count lists its possible places, the first one present is taken."""

    name: str
    marks: Paths  # the object speaks this dialect if one of these is present
    input: Paths
    output: Paths
    input_includes_cache: bool
    output_includes_reasoning: bool
    cache_read: Paths = ()
    cache_write: Paths = ()  # all cache writes
    cache_write_5m: Paths = ()
    cache_write_1h: Paths = ()
    reasoning: Paths = ()
    tool_input: Paths = ()  # input tokens counted outside `input`
    total: Paths = ()


# The first dialect with a mark in the object wins, so a shape stands before those it is a special case of.
DIALECTS: tuple[Dialect, ...] = (
    Dialect(
        # Also what most gateways and compatible servers send, some with Anthropic's names for cached tokens.
        name="openai chat completions",
        marks=("prompt_tokens", "completion_tokens"),
        input=("prompt_tokens",),
        output=("completion_tokens",),
        input_includes_cache=True,
        output_includes_reasoning=True,
        cache_read=(
            "prompt_tokens_details.cached_tokens",
            "prompt_cache_hit_tokens",
            "cached_tokens",
            "cache_read_input_tokens",
        ),
        cache_write=("prompt_tokens_details.cache_write_tokens", "cache_creation_input_tokens"),
        reasoning=("completion_tokens_details.reasoning_tokens", "reasoning_tokens"),
        total=("total_tokens",),
    ),
    Dialect(
        name="gemini",
        marks=("promptTokenCount", "candidatesTokenCount", "prompt_token_count", "candidates_token_count"),
        input=("promptTokenCount", "prompt_token_count"),
        output=("candidatesTokenCount", "candidates_token_count"),
        input_includes_cache=True,
        output_includes_reasoning=False,
        cache_read=("cachedContentTokenCount", "cached_content_token_count"),
        reasoning=("thoughtsTokenCount", "thoughts_token_count"),
        tool_input=("toolUsePromptTokenCount", "tool_use_prompt_token_count"),
    ),
    Dialect(
        name="ai sdk",
        marks=("cachedInputTokens", "reasoningTokens"),
        input=("inputTokens",),
        output=("outputTokens",),
        input_includes_cache=True,
        output_includes_reasoning=True,
        cache_read=("cachedInputTokens",),
        reasoning=("reasoningTokens",),
    ),
    Dialect(
        name="bedrock converse",
        marks=("inputTokens", "outputTokens"),
        input=("inputTokens",),
        output=("outputTokens",),
        input_includes_cache=False,
        output_includes_reasoning=True,
        cache_read=("cacheReadInputTokens",),
        cache_write=("cacheWriteInputTokens",),
        cache_write_5m=("cacheDetails.5m.inputTokens",),
        cache_write_1h=("cacheDetails.1h.inputTokens",),
    ),
    Dialect(
        name="anthropic messages",
        marks=("cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation"),
        input=("input_tokens",),
        output=("output_tokens",),
        input_includes_cache=False,
        output_includes_reasoning=True,
        cache_read=("cache_read_input_tokens",),
        cache_write=("cache_creation_input_tokens",),
        cache_write_5m=("cache_creation.ephemeral_5m_input_tokens",),
        cache_write_1h=("cache_creation.ephemeral_1h_input_tokens",),
        reasoning=("output_tokens_details.thinking_tokens",),
    ),
    Dialect(
        # An Anthropic object without any cache count reads the same here.
        name="openai responses",
        marks=("input_tokens", "output_tokens"),
        input=("input_tokens",),
        output=("output_tokens",),
        input_includes_cache=True,
        output_includes_reasoning=True,
        cache_read=("input_tokens_details.cached_tokens", "input_token_details.cached_tokens"),
        cache_write=("input_tokens_details.cache_write_tokens",),
        reasoning=("output_tokens_details.reasoning_tokens", "output_tokens_details.thinking_tokens"),
        total=("total_tokens",),
    ),
)


def recognise(payload: Mapping[str, object]) -> Dialect:
    """The dialect whose names the object uses; InvalidInput on `usage` if it uses none."""
    for dialect in DIALECTS:
        for mark in dialect.marks:
            if payload.get(mark) is not None:
                return dialect
    raise InvalidInput("usage holds no token counts of a known provider", field="usage")


def read_count(payload: Mapping[str, object], paths: Paths) -> tuple[int | None, str]:
    """The token count at the first of these paths that is present, and that path as `usage.…`; None if none is."""
    for path in paths:
        value = _value_at(payload, path)
        if value is not None:
            return check_count(value, f"usage.{path}"), f"usage.{path}"
    return None, f"usage.{paths[0]}" if paths else "usage"


def check_count(value: object, field: str) -> int:
    """The value if it is a token count of 0 to 10^12; else InvalidInput naming the field."""
    if type(value) is not int:  # a bool is an int to isinstance
        raise InvalidInput(f"{field} must be a whole number of tokens", field=field)
    if value < 0:
        raise InvalidInput(f"{field} must not be negative", field=field)
    if value > MAX_TOKENS:
        raise InvalidInput(f"{field} must be at most {MAX_TOKENS} tokens", field=field)
    return value


def _value_at(payload: Mapping[str, object], path: str) -> object:
    node: object = payload
    for step in path.split("."):
        if node is None:
            return None
        if isinstance(node, Mapping):
            node = node.get(step)
        elif isinstance(node, Sequence) and not isinstance(node, str):  # Bedrock lists cache writes by time to live
            node = next((item for item in node if isinstance(item, Mapping) and item.get("ttl") == step), None)
        else:
            field = f"usage.{path.partition('.')[0]}"
            raise InvalidInput(f"{field} must be an object", field=field)
    return node
