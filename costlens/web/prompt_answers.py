"""Prompts as JSON and as files: the same for the API and for the pages."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Response

from costlens.domain.shown import NANOS
from costlens.services.prompts import PromptDetails, PromptReport
from costlens.store.analytics import Amounts
from costlens.store.organizations import Organization
from costlens.store.usage import Shipped
from costlens.web.api.cursors import text_cursor
from costlens.web.api.exports import export_answer
from costlens.web.shapes import prompts as shape

OUTCOMES = ("merged", "direct", "open", "abandoned", "reverted")
_COLUMNS = (
    "prompt",
    "versions",
    "runs",
    "cost",
    "tokens",
    "avgCostPerRun",
    "unpricedRuns",
    "successRate",
    "avgLatency",
)
_VERSION_COLUMNS = ("promptId", "version", "model", *_COLUMNS[2:])


def prompts_answer(report: PromptReport, start: int = 0, limit: int | None = None) -> shape.Prompts:
    """A page of the prompts, or all; with what makes them add up."""
    rows = [
        shape.PromptRow(prompt=one.name, versions=[v.prompt_id for v in one.versions], **_sums(one.sums))
        for one in report.prompts[start:]
    ]
    page = rows if limit is None else rows[:limit]
    return shape.Prompts(
        prompts=page,
        none=shape.PromptSums(**_sums(report.none)) if report.none else None,
        total=shape.PromptSums(**_sums(report.total)),
        next_cursor=text_cursor(page[-1].prompt) if len(rows) > len(page) else None,
        start_date=report.window.start.isoformat(),
        end_date=report.window.end.isoformat(),
        timezone=report.window.timezone,
    )


def prompts_file(form: str, organization: Organization, report: PromptReport) -> Response:
    """All prompts and, where there are any, a row without a name for the runs that name none."""
    answer = prompts_answer(report)
    rows: list[dict[str, Any]] = [msgspec.to_builtins(row) for row in answer.prompts]
    if answer.none:
        rows.append({"prompt": None, "versions": [], **msgspec.to_builtins(answer.none)})
    if form == "csv":
        rows = [row | {"versions": " ".join(row["versions"])} for row in rows]
    return export_answer(form, f"{organization.slug}-prompts", _COLUMNS, iter([rows]))


def prompt_answer(found: PromptDetails) -> shape.PromptAnswer:
    """One prompt, its versions, their models and what they shipped."""
    return shape.PromptAnswer(
        prompt=found.prompt.name,
        versions=[
            shape.PromptVersionShape(
                prompt_id=one.prompt_id,
                version=one.version,
                models=[shape.PromptModel(model=row.model, **_sums(row)) for row in found.models[one.prompt_id]],
                outcomes=_outcomes(found.shipped.get(one.prompt_id, ())),
                **_sums(one.sums),
            )
            for one in found.prompt.versions
        ],
        outcomes=_outcomes(found.shipped[None]),
        start_date=found.window.start.isoformat(),
        end_date=found.window.end.isoformat(),
        timezone=found.window.timezone,
        **_sums(found.prompt.sums),
    )


def prompt_file(form: str, organization: Organization, found: PromptDetails) -> Response:
    """A row for each version and model."""
    rows = [
        {"promptId": one.prompt_id, "version": one.version, "model": row.model}
        | msgspec.to_builtins(shape.PromptSums(**_sums(row)))
        for one in found.prompt.versions
        for row in found.models[one.prompt_id]
    ]
    return export_answer(form, f"{organization.slug}-prompt", _VERSION_COLUMNS, iter([rows]))


def _outcomes(shipped: Any) -> list[shape.PromptOutcome]:
    by_outcome: dict[str, Shipped] = {one.outcome: one for one in shipped}
    none = Shipped("", 0, 0)
    return [
        shape.PromptOutcome(outcome=name, pull_requests=one.pulls, cost=one.cost_nanos / NANOS)  # type: ignore[arg-type]
        for name in OUTCOMES
        for one in (by_outcome.get(name, none),)
    ]


def _sums(sums: Amounts) -> dict[str, Any]:
    cost = sums.cost_nanos / NANOS if sums.priced_runs else None
    return {
        "runs": sums.runs,
        "cost": cost,
        "tokens": sums.tokens,
        "avg_cost_per_run": None if cost is None else cost / sums.priced_runs,
        "unpriced_runs": sums.runs - sums.priced_runs,
        "success_rate": round(100 * sums.succeeded / sums.runs, 2) if sums.runs else 0.0,
        "avg_latency": round(sums.latency_ms / sums.timed_runs) if sums.timed_runs else 0,
    }
