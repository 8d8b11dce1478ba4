"""One repository: its report, direct work, prompts, and what is not linked with what fixes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from costlens.domain.errors import NotFound
from costlens.domain.names import repository_name
from costlens.domain.roi import Filters, Window
from costlens.store import pulls as pull_store
from costlens.store import repository_pages as store_pages
from costlens.store import runs as run_store
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from costlens.store.runs import RunFilter

COMMITS = 100  # dearest first
PROMPTS = 100  # dearest first; the others are one row
RUNS = 50  # not linked, the newest
RUNS_OF_PULL = 40

Buckets = Mapping[tuple[str, str], tuple[int, int]]  # (state, reason) → runs, cost


@dataclass(frozen=True, slots=True)
class Repository:
    """What every tab shows of a repository."""

    row: Any
    sync: Any | None  # None: it is not read from GitHub
    buckets: Buckets  # of the window


@dataclass(frozen=True, slots=True)
class PromptSum:
    """Runs of one promptId in a repository; prompt '': not named, None: of all that have no row of their own."""

    prompt: str | None
    runs: int
    succeeded: int
    priced_runs: int
    cost_nanos: int


def repository(store: Store, organization_id: int, name: str, window: Window, filters: Filters) -> Repository:
    """A repository by its name. Raises NotFound, also for another organization's, and InvalidInput."""
    wanted = repository_name(name)
    with store.read() as tx:
        row = store_pages.get_repository(tx, organization_id, wanted)
        if row is None:
            raise NotFound("No such repository")
        narrowed = Filters(team_id=filters.team_id, provider=filters.provider, repository_id=row.id)
        return Repository(
            row,
            store_pages.find_sync(tx, organization_id, row.id),
            store_pages.bucket_sums(tx, organization_id, window, narrowed),
        )


def buckets(store: Store, organization_id: int, window: Window, filters: Filters) -> Buckets:
    """Runs and cost of the window by link state and reason."""
    with store.read() as tx:
        return store_pages.bucket_sums(tx, organization_id, window, filters)


def commits(
    store: Store, organization_id: int, repository_id: int, window: Window, filters: Filters
) -> tuple[Sequence[Any], int]:
    """Commits outside pull requests with counted runs in the window, dearest first, and how many there are in all."""
    with store.read() as tx:
        rows = store_pages.direct_commits(tx, organization_id, repository_id, window, filters, COMMITS)
    return rows, rows[0].commits if rows else 0


def prompts(
    store: Store, organization_id: int, repository_id: int, window: Window, filters: Filters
) -> Sequence[PromptSum]:
    """All runs of a repository in the window by promptId, dearest first; past the limit one row has the others."""
    with store.read() as tx:
        rows = [
            PromptSum(*tuple(row))
            for row in store_pages.prompt_sums(tx, organization_id, repository_id, window, filters)
        ]
    shown, rest = rows[:PROMPTS], rows[PROMPTS:]
    if not rest:
        return shown
    return [
        *shown,
        PromptSum(
            None,
            sum(row.runs for row in rest),
            sum(row.succeeded for row in rest),
            sum(row.priced_runs for row in rest),
            sum(row.cost_nanos for row in rest),
        ),
    ]


def not_linked(store: Store, organization: Organization, where: RunFilter) -> Sequence[Any]:
    """The newest runs of a filter."""
    with store.read() as tx:
        return run_store.list_runs(tx, organization.id, where, limit=RUNS)


def runs_of(store: Store, organization_id: int, pull_request_id: int) -> Sequence[Any]:
    """Runs that are linked to a pull request, or suggested for it, with their evidence, the newest first."""
    with store.read() as tx:
        return pull_store.links_of_pull(
            tx, organization_id, pull_request_id, ["counted", "suggested", "unlinked"], RUNS_OF_PULL
        )
