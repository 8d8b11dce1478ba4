"""A kept report as JSON values, from its inputs alone: the same inputs give the same bytes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from costlens.domain.estimates import Estimate, Range, Refusal, estimate
from costlens.domain.shown import dollars, instant
from costlens.domain.team_report import Finding, Inputs, worth_a_look
from costlens.services.assumptions import Estimated
from costlens.services.comparing import effect_json
from costlens.services.report_formats import roi_json


def document(inputs: Inputs) -> dict[str, Any]:
    """The whole report: figures, estimate or refusal, comparison, pull requests, models, and three findings."""
    return {
        "kind": inputs.kind,
        "scope": inputs.subject.scope,
        "name": inputs.subject.name,
        "asOf": instant(inputs.as_of),
        "programVersion": inputs.program,
        "priceVersion": inputs.prices,
        "rulesetVersion": inputs.ruleset,
        "figures": roi_json(inputs.roi),
        "estimate": estimated_json(estimated_of(inputs)),
        "worthALook": [_finding_json(one) for one in worth_a_look(inputs)],
        "pullRequests": [
            {
                "repo": one.repository,
                "number": one.number,
                "title": one.title,
                "outcome": one.outcome,
                "runs": one.runs,
                "cost": dollars(one.cost),
            }
            for one in inputs.pulls
        ],
        "models": [
            {
                "provider": one.provider,
                "model": one.model,
                "runs": one.runs,
                "cost": dollars(one.cost),
                "previousRuns": one.runs_before,
                "previousCost": dollars(one.cost_before),
            }
            for one in inputs.models
        ],
        "comparison": _comparison(inputs),
    }


def estimated_of(inputs: Inputs) -> Estimated:
    """The estimate of a report, computed anew from what it stands on."""
    return Estimated(inputs.assumed, inputs.basis, estimate(inputs.basis, inputs.assumed))


def estimated_json(found: Estimated) -> dict[str, Any]:
    """An estimate or its refusal, with assumptions and basis beside it."""
    basis, given = found.basis, found.assumed
    hours = given.hours_saved
    return {
        "assumptions": {
            "hourlyCost": None if basis.hourly_cost_cents is None else basis.hourly_cost_cents / 100,
            "hoursSavedPerMerged": None if hours is None else asdict(hours),
            "survey": None if given.survey is None else asdict(given.survey),
            "recapture": asdict(given.recapture),
            "reviewHours": given.review_hours,
            "reworkHours": given.rework_hours,
        },
        "basis": {
            "mergedPullRequests": basis.merged,
            "revertedPullRequests": basis.reverted,
            "counted": dollars(basis.counted),
            "expected": dollars(basis.expected),
            "code": dollars(basis.code),
            "seats": dollars(basis.seats),
            "rollout": dollars(basis.rollout),
            "coverage": basis.coverage,
        },
        "refused": _refusal(found.result) if isinstance(found.result, Refusal) else None,
        "result": _result(found.result) if isinstance(found.result, Estimate) else None,
    }


def _refusal(refused: Refusal) -> dict[str, Any]:
    return {"code": refused.code, "reason": refused.reason, "fix": refused.fix}


def _result(found: Estimate) -> dict[str, Any]:
    return {
        "value": _dollars(found.value),
        "cost": _dollars(found.cost),
        "net": _dollars(found.net),
        "roiPercent": asdict(found.roi_percent),
        "returnMultiple": asdict(found.multiple),
        "simulated": {
            "roiPercent": _drawn(found.drawn_percent),
            "net": _drawn(
                Range(*(value / 1e9 for value in (found.drawn_net.low, found.drawn_net.mid, found.drawn_net.high)))
            ),
            "probabilityPositive": found.probability,
        },
    }


def _dollars(range: Range) -> dict[str, float]:
    return {"low": range.low / 1e9, "mid": range.mid / 1e9, "high": range.high / 1e9}


def _drawn(range: Range) -> dict[str, float]:
    return {"p10": range.low, "p50": range.mid, "p90": range.high}


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "amount": dollars(finding.amount),
        "text": finding.text,
        "fix": finding.fix,
        "page": finding.page,
        "query": dict(finding.query),
    }


def _comparison(inputs: Inputs) -> dict[str, Any] | None:
    if inputs.compared_from is None:
        return None
    return {
        "startDate": inputs.compared_from.isoformat(),
        "endDate": inputs.roi.window.end.isoformat(),
        "pullRequests": inputs.compared_pulls,
        "assisted": inputs.compared_assisted,
        "metrics": [effect_json(one) for one in inputs.compared],
    }
