"""How the command line writes an estimate."""

from __future__ import annotations

from costlens.commands.report_kept import estimate_lines
from costlens.domain.estimates import Assumptions, Basis, Range, estimate
from costlens.services.assumptions import Estimated
from costlens.services.report_documents import estimated_json


def test_an_estimate_is_a_range_with_its_assumptions() -> None:
    basis = Basis(50, 0, 600 * 10**9, 700 * 10**9, 900 * 10**9, 0, 0, 10_000)
    assumed = Assumptions(hours=Range(0.5, 0.5, 0.5), recapture=Range(1, 1, 1))
    lines = estimate_lines(estimated_json(Estimated(assumed, basis, estimate(basis, assumed))))
    # V is $2,500; spend from $600 to $900
    assert lines[0].endswith("2.8× to 4.2× of the spend, above 0 in 100.0 % of the draws.")
    assert lines[0].startswith("Estimated ROI +")
    assert lines[1].startswith("Assumed: $100.00 an hour, 0.5 / 0.5 / 0.5 hours saved per merged PR, 1 / 1 / 1 of them")
