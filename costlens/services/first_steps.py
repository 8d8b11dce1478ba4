"""How far a new organization has come: what the page of first steps ticks off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from costlens.store import organizations as org_store
from costlens.store.engine import Store
from costlens.store.github import any_pulls
from costlens.store.organizations import Organization
from costlens.store.runs import RunFilter, list_runs


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """What is there already."""

    organization: Organization
    key: str | None  # name of a valid API key. None: there is none
    run: Any | None  # the newest run, as lists of runs have it. None: none has come in
    pulls_known: bool  # GitHub's facts are there
    teams: tuple[str, ...]

    @property
    def done(self) -> int:
        """How many of the five steps, the first of which is the organization itself."""
        return 1 + sum(map(bool, (self.key, self.run is not None, self.pulls_known, self.teams)))


def first_steps(store: Store, organization: Organization) -> FirstSteps:
    """How far an organization has come."""
    with store.read() as tx:
        runs = list_runs(tx, organization.id, RunFilter(), limit=1)
        return FirstSteps(
            organization,
            key=org_store.valid_key_name(tx, organization.id),
            run=runs[0] if runs else None,
            pulls_known=any_pulls(tx, organization.id),
            teams=tuple(row.name for row in org_store.list_teams(tx, organization.id)),
        )


def has_runs(store: Store, organization_id: int) -> bool:
    """Whether any run has come in."""
    with store.read() as tx:
        return org_store.has_runs(tx, organization_id)
