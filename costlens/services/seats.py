"""What an organization and its teams told of seats and the rest, as the reports read it: one query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from costlens.domain.estimates import Assumptions, Dated
from costlens.domain.seats import Told
from costlens.store.assumptions import all_assumptions
from costlens.store.engine import Tx


def told_in(tx: Tx, organization_id: int) -> Told:
    """All assumptions of an organization and of its teams."""
    whole: list[Dated] = []
    teams: dict[int, list[Dated]] = {}
    for team_id, since, given in all_assumptions(tx, organization_id):
        known = whole if team_id is None else teams.setdefault(team_id, [])
        known.append(Dated(since, assumptions_from(given)))
    return Told(whole, teams)


def assumptions_from(given: Mapping[str, Any]) -> Assumptions:
    """Assumptions as they are stored."""
    return msgspec.convert(given, Assumptions)
