"""A kept report with everything that one can hold, for the pages that are served without a database."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime

from costlens.domain.comparison import METRICS, AuthorSum, Matched
from costlens.domain.estimates import Assumptions, Basis, Range
from costlens.domain.team_report import Inputs, ModelUse, PriceChange, PullLine, Subject
from costlens.services.report_documents import document
from costlens.services.team_reports import Head, Stored, to_json
from tests.web.roi_fixture import roi_report

AS_OF = datetime(2026, 11, 23, 4, 23, tzinfo=UTC)
LONG = "Retry idempotent captures after gateway timeouts, and tell the merchant of each of them at once"


def kept_report(version: int = 1) -> Stored:
    """A weekly report of a team with long names, all tables full, an estimate and a comparison."""
    figures = roi_report("repository")
    spend = figures.total.spend
    rows = tuple(replace(row, name=f"example-organization/{row.name}"[:60]) for row in figures.rows * 2)
    outcomes = ("merged", "abandoned", "reverted")
    inputs = Inputs(
        schema=2,
        kind="week",
        subject=Subject("team", 2, "Payments"),
        as_of=AS_OF,
        program="0.1.0",
        prices="genai-prices 0.2.3",
        ruleset=1,
        roi=replace(
            figures,
            rows=rows,
            seats_of="team",
            total=replace(figures.total, seats=800 * 10**9),
            previous=replace(figures.previous, seats=400 * 10**9),
        ),
        assumed=Assumptions(hours=Range(0.2, 0.5, 1.0), review_hours=0.1, rework_hours=2.0),
        basis=Basis(
            merged=344,
            reverted=4,
            counted=spend.counted,
            expected=spend.counted + spend.suggested // 2,
            code=spend.code,
            seats=800 * 10**9,
            rollout=100 * 10**9,
            hourly_cost_cents=9_500,
        ),
        pulls=tuple(
            PullLine("example-organization/checkout-api", 400 + n, LONG, outcomes[n % 3], 12, (30 - n) * 10**9)
            for n in range(20)
        ),
        models=tuple(
            ModelUse("anthropic", f"claude-opus-4-5-2025110{n}", 900 - n, (90 - n) * 10**9, 40, 10**9) for n in range(9)
        ),
        price_changes=(PriceChange("anthropic", "claude-opus-4-5-20251100", date(2026, 11, 20)),),
        compared_from=date(2025, 11, 24),
        compared_pulls=1_395,
        compared_assisted=976,
        compared=tuple(_matched(name, n) for n, name in enumerate(METRICS)),
    )
    shown = document(inputs)
    rendered = to_json(shown)
    digest = hashlib.sha256(rendered).hexdigest()
    window = figures.window
    head = Head(version, "week", inputs.subject, window.start, window.end, version, AS_OF, digest)
    return Stored(head, inputs, shown, rendered, reproduced=True)


def _matched(name: str, place: int) -> Matched:
    gains = tuple(AuthorSum((n - 8) * 0.1 + place - 2.5, 12) for n in range(17))
    return Matched(name, 976, 419, 603, 203, 140, 0.1, gains)
