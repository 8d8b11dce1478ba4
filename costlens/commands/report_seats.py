"""Seats in the reports of the command line: what they have to do with the full cost, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from costlens.commands.report_http import dollars

_WHOSE = {"organization": "of the organization", "teams": "of its teams", "team": "of the team"}
_WITHOUT = {
    "not_set": "Seats are not set: full cost is code spend alone. Set them in Settings → ROI assumptions.",
    "not_shared": "The organization's seats are not shared out to teams: full cost is code spend alone.",
    "not_told": "No repository, no provider and no run without a team has seats: full cost is code spend alone.",
}


def seats_note(figures: Mapping[str, Any]) -> str:
    """The sum that makes the full cost, or why it is without seats; '' for a report kept before there were any."""
    if "seats" not in figures:
        return ""
    seats, total = figures["seats"], figures["total"]
    if seats["of"] in _WITHOUT:
        return _WITHOUT[seats["of"]]
    note = (
        f"Full cost: {dollars(total['cost'])} code spend + {dollars(total['seats'])} seats {_WHOSE[seats['of']]} = "
        f"{dollars(total['fullCost'])}."
    )
    if figures["scope"] == "repository":
        return f"{note} No repository has seats, so the rows are without."
    return (
        f"{note} {dollars(seats['ofNoRow'])} of the seats are of no team and in no row." if seats["ofNoRow"] else note
    )
