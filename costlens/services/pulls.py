"""One pull request: what it cost and why that is so, its course, and what it has cost since. One source for page, API
and comment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from costlens.domain.errors import NotFound
from costlens.domain.names import repository_name
from costlens.domain.pulls import AiState, Rank, Review, Timeline, rank_window, timeline
from costlens.store import pulls as pull_store
from costlens.store.engine import Store, Tx
from costlens.store.organizations import Organization
from costlens.store.pulls import QUARTER_MILLIS
from costlens.store.types import from_millis

RUNS = 1_000  # of the counted, the newest
OTHERS = 100  # suggested and rejected
LARGEST = 2**31 - 1  # number of a pull request that can be stored


@dataclass(frozen=True, slots=True)
class Sum:
    """What runs add up to."""

    runs: int = 0
    priced: int = 0  # of the runs
    cost: int = 0  # nano-dollars
    tokens: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0  # of the input

    def __add__(self, other: Sum) -> Sum:
        return Sum(
            self.runs + other.runs,
            self.priced + other.priced,
            self.cost + other.cost,
            self.tokens + other.tokens,
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
        )

    @property
    def cached_share(self) -> float | None:
        """Input tokens read from a cache ÷ all input tokens, 0 to 1. None: no input."""
        return self.cached_tokens / self.input_tokens if self.input_tokens else None


@dataclass(frozen=True, slots=True)
class PromptCost:
    """A promptId that a pull request brought in, and what its runs have cost since."""

    prompt: str
    runs: int
    priced_runs: int
    cost_nanos: int


@dataclass(frozen=True, slots=True)
class PullDetails:
    pull: Any
    counted: Sum
    suggested: Sum
    models: Sequence[tuple[str, str, Sum]]  # provider, model, counted; dearest first
    days: Sequence[tuple[date, dict[str, int]]]  # cost by model of each day that has counted runs
    runs: Sequence[Any]  # counted, the newest first, at most the limit
    others: Sequence[Any]  # suggested and rejected, the newest first
    timeline: Timeline
    reviews_known: bool  # a source has told of reviews, or that there are none
    rank: Rank
    prompts: Sequence[PromptCost] | None  # None: its diff is not known
    ai: AiState

    @property
    def cycle_hours(self) -> float | None:
        """First commit to merge. None: not merged, or commits unknown."""
        return self.timeline.cycle

    @property
    def run_cost(self) -> int | None:
        """What the prompts that it brought in have cost since the merge. None: not known."""
        return None if self.prompts is None else sum(each.cost_nanos for each in self.prompts)


def find(tx: Tx, organization_id: int, repository: str, number: int) -> int:
    """The id of a pull request. Raises NotFound, InvalidInput."""
    pull_id = pull_store.find_pull(tx, organization_id, repository_name(repository), number)
    if pull_id is None:
        raise NotFound("No such pull request")
    return pull_id


def pull_url(github_url: str, organization: Organization, pull: Any) -> str | None:
    """The pull request on GitHub. None: made up, or of a repository that no source has told of."""
    if organization.demo or pull.imported_at is None:
        return None
    return f"{github_url}/{pull.repository}/pull/{pull.number}"


def pull_details(
    store: Store,
    organization: Organization,
    repository: str,
    number: int,
    *,
    limit: int = RUNS,
    now: datetime | None = None,
) -> PullDetails:
    """A pull request with all that its page shows. Raises NotFound, InvalidInput."""
    at = now or datetime.now(UTC)
    zone = ZoneInfo(organization.timezone)
    with store.read() as tx:
        pull_id = find(tx, organization.id, repository, number)
        pull = pull_store.get_pull(tx, organization.id, pull_id)
        if pull is None:
            raise NotFound("The pull request is gone")
        sums = pull_store.sums_of_pull(tx, organization.id, pull_id)
        runs = pull_store.links_of_pull(tx, organization.id, pull_id, ["counted"], limit)
        others = pull_store.links_of_pull(tx, organization.id, pull_id, ["suggested", "unlinked"], OTHERS)
        reviews = pull_store.reviews_of_pull(tx, organization.id, pull_id)
        since, until = rank_window(pull.merged_at, at)
        costs = pull_store.merged_costs(tx, organization.id, pull.repository_id, since, until)
        prompts = None
        if pull.merged_at is not None and pull.diff_due is False:
            merged = pull.merged_at.astimezone(zone).date()
            prompts = [
                PromptCost(*tuple(row)) for row in pull_store.prompts_of_pull(tx, organization.id, pull_id, merged)
            ]
    counted = [(row, _sum(row)) for row in sums if row.state == "counted"]
    total = sum((each for _, each in counted), Sum())
    return PullDetails(
        pull=pull,
        counted=total,
        suggested=sum((_sum(row) for row in sums if row.state == "suggested"), Sum()),
        models=_by_model(counted),
        days=_by_day(counted, zone),
        runs=runs,
        others=others,
        timeline=timeline(
            pull.first_commit_at,
            pull.created_at,
            pull.merged_at,
            pull.closed_at,
            pull.person_id,
            [Review(row.person_id, row.name, row.bot, row.submitted_at) for row in reviews],
        ),
        reviews_known=bool(reviews) or pull.reviews_due is False,
        rank=Rank(since, until, costs, total.cost),
        prompts=prompts,
        ai=AiState(bool(total.runs), pull.ai_signal, pull.ai_mark),
    )


def _sum(row: Any) -> Sum:
    return Sum(row.runs, row.priced, int(row.cost_nanos), int(row.tokens), int(row.input), int(row.cached))


def _by_model(counted: Sequence[tuple[Any, Sum]]) -> list[tuple[str, str, Sum]]:
    found: dict[tuple[str, str], Sum] = defaultdict(Sum)
    for row, each in counted:
        found[row.provider, row.model] += each
    return sorted(((*key, each) for key, each in found.items()), key=lambda one: (-one[2].cost, one[:2]))


def _by_day(counted: Sequence[tuple[Any, Sum]], zone: ZoneInfo) -> list[tuple[date, dict[str, int]]]:
    """Cost by model of each day with runs, in the organization's time zone, whose days begin at a quarter hour."""
    found: dict[date, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row, each in counted:
        day = from_millis(int(row.quarter) * QUARTER_MILLIS).astimezone(zone).date()
        found[day][row.model] += each.cost
    return sorted((day, dict(models)) for day, models in found.items())
