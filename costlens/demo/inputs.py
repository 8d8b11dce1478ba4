"""The demo's bodies of POST /integrations/run as the runs that a server reads from them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from costlens.demo.calls import Body
from costlens.domain.runs import RunInput
from costlens.domain.usage import from_fields


def run_input(body: Body, share_of: Callable[[str, str], float | None]) -> RunInput:
    """One run, for a process that stores it without a server between.

    `share_of` tells the share of input (0 to 1) in the tokens of a provider's model, where a run names only their sum.
    """
    known = body.get("metadata", {})
    lengths = [len(body[name]) if name in body else None for name in ("input", "output")]
    only_total = not {"inputTokens", "outputTokens", "input", "output"} & body.keys()
    return RunInput(
        provider=body["provider"],
        model=body["model"],
        usage=from_fields(
            body["provider"],
            input_tokens=body.get("inputTokens"),
            output_tokens=body.get("outputTokens"),
            cache_read_tokens=body.get("cacheReadTokens"),
            cache_write_tokens=body.get("cacheWriteTokens"),
            tokens_used=body.get("tokensUsed"),
            input_chars=lengths[0],
            output_chars=lengths[1],
            model_ratio=share_of(body["provider"], body["model"]) if only_total else None,
        ),
        occurred_at=datetime.fromisoformat(body["timestamp"]),
        success=body["success"],
        latency_ms=body["latency"],
        request_id=body["requestId"],
        session_id=known.get("sessionId"),
        prompt_id=body.get("promptId"),
        error_type=body.get("error"),
        actor=known.get("actor"),
        repository=known.get("repo"),
        branch=known.get("branch"),
        commit_sha=known.get("commitSha"),
        commit_role=known.get("commitRole"),
        pr_number=known.get("prNumber"),
        files=tuple(known.get("files", ())),
        environment=body.get("environment"),
        tool=body.get("tool"),
        input_chars=lengths[0],
        output_chars=lengths[1],
    )
