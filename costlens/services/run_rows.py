"""A run as it will be stored: all that can be said of it before its transaction, which others wait for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from costlens.domain.errors import CostLensError, InvalidInput
from costlens.domain.runs import FUTURE_TOLERANCE, RunInput, content_hash, is_code, prompt_version
from costlens.services.money import money_of
from costlens.store.organizations import KeyRow
from costlens.store.runs import Key

OLDEST = datetime(2015, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class PreparedRun:
    """A run with its row, in which the transaction fills in id, repository, person, team and own prices."""

    run: RunInput
    keys: tuple[Key, ...]  # that the run brings; the kind comes from the field, never from how the value looks
    digest: bytes
    row: dict[str, Any]


def prepare(run: RunInput, key: KeyRow, now: datetime) -> PreparedRun | CostLensError:
    """A run received now with this key, at list prices; InvalidInput when its time cannot be."""
    if run.occurred_at > now + FUTURE_TOLERANCE:
        return InvalidInput("timestamp is more than an hour in the future", field="timestamp")
    if run.occurred_at < OLDEST:
        return InvalidInput("timestamp is before 2015", field="timestamp")
    keys: tuple[Key, ...] = () if run.request_id is None else (("request", run.request_id),)
    if run.client_id is not None:
        keys = (("client", run.client_id), *keys)
    return PreparedRun(run, keys, content_hash(run), _row(run, key, now))


def _row(run: RunInput, key: KeyRow, now: datetime) -> dict[str, Any]:
    usage = run.usage
    environment = run.environment or key.purpose
    code = is_code(environment)
    row: dict[str, Any] = {
        "id": 0,
        "organization_id": key.organization.id,
        "request_id": run.request_id,
        "correlation_id": run.correlation_id,
        "session_id": run.session_id,
        "source": run.source,
        "received_at": now,
        "occurred_at": run.occurred_at,
        "api_key_id": key.id,
        "person_id": None,
        "actor": run.actor,
        "team_id": None,
        "provider": run.provider,
        "model_requested": run.model_requested if run.model_requested != run.model else None,
        "model": run.model,
        "prompt_id": run.prompt_id,
        "prompt_version": prompt_version(run.prompt_id),
        "environment": environment,
        "tool": run.tool,
        "tags": dict(run.tags) if run.tags else None,
        "code": code,
        "repository_id": None,
        "branch": run.branch,
        "commit_sha": run.commit_sha,
        "commit_role": (run.commit_role or "head_before") if run.commit_sha else None,
        "pr_number": run.pr_number,
        "files": list(run.files) or None,
        "input_uncached": usage.input_uncached,
        "cache_read": usage.cache_read,
        "cache_write_5m": usage.cache_write_5m,
        "cache_write_1h": usage.cache_write_1h,
        "output_text": usage.output_text,
        "output_reasoning": usage.output_reasoning,
        "usage_quality": usage.quality.value,
        "reported_cost_nanos": run.reported_cost_nanos,
        "baseline_cost_nanos": run.saved_cost_nanos,
        "service_tier": run.service_tier,
        "processing": run.processing,
        "success": run.success,
        "error_type": run.error_type,
        "latency_ms": run.latency_ms,
        "cache_hit": run.cache_hit,
        "input_chars": run.input_chars,
        "output_chars": run.output_chars,
        "link_state": "pending" if code else "not_code",
        "unlinked_reason": None,
        "counted_nanos": 0,
        "linked_at": None if code else now,  # not code: nothing to link
    }
    row.update(money_of(row, (), usage))
    return row
