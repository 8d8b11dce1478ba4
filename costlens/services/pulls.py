"""One pull request: what it cost, run by run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from costlens.domain.errors import NotFound
from costlens.domain.names import repository_name
from costlens.store.engine import Store
from costlens.store.github import find_pull
from costlens.store.identity import find_repositories
from costlens.store.pulls import get_pull, runs_of_pull

RUNS = 1_000


@dataclass(frozen=True, slots=True)
class PullDetails:
    pull: Any
    runs: Sequence[Any]

    @property
    def cycle_hours(self) -> float | None:
        """First commit to merge. None: not merged, or commits unknown."""
        first, merged = self.pull.first_commit_at, self.pull.merged_at
        return None if first is None or merged is None else (merged - first).total_seconds() / 3600


def pull_details(store: Store, organization_id: int, repository: str, number: int) -> PullDetails:
    """A pull request with the runs counted for it. Raises NotFound, InvalidInput."""
    name = repository_name(repository)
    with store.read() as tx:
        found = find_repositories(tx, organization_id, [name]).get(name.lower())
        pull_id = None if found is None else find_pull(tx, organization_id, found, number)
        pull = None if pull_id is None else get_pull(tx, organization_id, pull_id)
        if pull is None or pull_id is None:
            raise NotFound("No such pull request")
        return PullDetails(pull, runs_of_pull(tx, organization_id, pull_id, RUNS))
