"""Why money is not linked, in words: each reason with the sentence that says what to do, and where it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from costlens.domain.unlinked import UNLINKED
from costlens.services.repositories import Buckets
from costlens.web.ui.nav import Nav, page_url


@dataclass(frozen=True, slots=True)
class Reason:
    """A bucket of money that no pull request or commit has."""

    label: str
    fix: str
    place: str | None  # path of the page where it is done. None: nothing to do
    place_name: str


# (link state, reason), in the order in which they are shown.
REASONS: Mapping[tuple[str, str], Reason] = MappingProxyType(
    {
        ("suggested", ""): Reason(
            "Suggested",
            "A weak sign points to a pull request: confirm or reject it on the run, or on the pull request.",
            None,
            "",
        ),
        ("pending", ""): Reason(
            "Pending",
            "Younger than 30 days, and no commit matches yet: it is looked at again with every push.",
            None,
            "",
        ),
        ("unlinked", "no_repo"): Reason(
            UNLINKED["no_repo"].label,
            UNLINKED["no_repo"].fix,
            "settings/keys",
            "API keys",
        ),
        ("unlinked", "no_person"): Reason(
            UNLINKED["no_person"].label,
            UNLINKED["no_person"].fix,
            "settings/keys",
            "API keys",
        ),
        ("unlinked", "no_candidate"): Reason(
            UNLINKED["no_candidate"].label,
            UNLINKED["no_candidate"].fix,
            "github",
            "GitHub",
        ),
        ("unlinked", "rejected"): Reason(
            UNLINKED["rejected"].label,
            UNLINKED["rejected"].fix,
            None,
            "",
        ),
        ("not_code", ""): Reason(
            "Not code",
            "Production or staging traffic, outside code spend: if it is not, mark the run as code on its page.",
            None,
            "",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """One line of the table."""

    reason: Reason
    runs: int
    cost: int
    runs_url: str
    place_url: str | None  # None: nothing to do


def reason_rows(buckets: Buckets, nav: Nav, query: Mapping[str, object]) -> list[ReasonRow]:
    """Lines for the buckets that hold runs; `query` narrows the list of runs behind each."""
    return [
        ReasonRow(
            reason=reason,
            runs=buckets[key][0],
            cost=buckets[key][1],
            runs_url=page_url(nav, "runs", {**query, "state": key[0], "reason": key[1]}),
            place_url=page_url(nav, reason.place) if reason.place else None,
        )
        for key, reason in REASONS.items()
        if key in buckets
    ]
