"""GET /linking: the rules by which runs are linked, and how they prove themselves in the organization."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from costlens.domain.shown import dollars, instant
from costlens.services import rulesets
from costlens.services.rulesets import RuleLine
from costlens.web.answers import json_answer
from costlens.web.auth import require_key
from costlens.web.context import context


def blueprint() -> Blueprint:
    """The one route."""
    routes = Blueprint("linking", __name__)
    routes.get("/linking")(get_linking)
    return routes


def get_linking() -> Response:
    """The ruleset in force, each rule with its tests, earlier rulesets, and one that is not applied."""
    found = rulesets.linking_of(context().store, require_key("read").organization.id)
    return json_answer(
        {
            "ruleset": {"version": found.ruleset.version, "threshold": found.ruleset.threshold / 1000},
            "rules": [_rule(line) for line in found.lines],
            "measuredAt": instant(found.measured_at) if found.measured_at else None,
            "versions": [_version(row) for row in found.history],
            "draft": _draft(found.draft) if found.draft else None,
            "repositoriesToRelink": found.relinking.left,
        }
    )


def _rule(line: RuleLine) -> dict[str, Any]:
    tally = line.tally
    return {
        "rule": line.rule,
        "meaning": line.meaning,
        "confidence": line.confidence / 1000,
        "stance": str(line.stance),
        "chosen": str(line.chosen) if line.chosen else None,
        "tested": tally.tested if tally else None,
        "right": tally.right if tally else None,
        "precision": tally.precision if tally else None,
        "interval": list(tally.interval) if tally and tally.tested else None,
        "proposal": str(line.proposal) if line.proposal else None,
    }


def _version(row: Any) -> dict[str, Any]:
    return {
        "version": row.version,
        "threshold": row.threshold / 1000,
        "stances": row.stances,
        "appliedBy": row.applied_by,
        "appliedAt": instant(row.applied_at),
    }


def _draft(row: Any) -> dict[str, Any]:
    moves = rulesets.difference_lines(row)
    return {
        "threshold": row.threshold / 1000,
        "stances": row.stances,
        "createdBy": row.created_by,
        "createdAt": instant(row.created_at),
        "comparedAt": instant(row.compared_at) if row.compared_at else None,
        "problem": row.problem,
        "moves": None
        if moves is None
        else [
            {
                "repo": move.repository,
                "from": move.before,
                "to": move.after,
                "runs": move.runs,
                "cost": dollars(move.cost_nanos),
            }
            for move in moves
        ],
    }
