"""What is read of pull requests one by one, after the walk that found them: reviews where a page does not tell them,
and the promptIds that a merged diff brings in, where the organization's runs name any.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from costlens.domain.github import PullRecord, Record, ReviewRecord
from costlens.domain.names import write_identities
from costlens.domain.prompts import named_prompts
from costlens.domain.sync import NoAccess, PageSource
from costlens.store import pull_details
from costlens.store import sync as sync_store
from costlens.store.engine import Store, Tx
from costlens.store.identity import person_ids

A_PAGE = 10  # pull requests
A_WALK = 200  # pull requests; the next walk goes on


def save_reviews(tx: Tx, organization_id: int, repository_id: int, pulls: Sequence[PullRecord], at: datetime) -> None:
    """Stores the reviews of the pull requests whose source tells them."""
    told = {pull.number: pull.reviews for pull in pulls if pull.reviews is not None}
    if not told:
        return
    ids = pull_details.pull_ids(tx, organization_id, repository_id, told)
    _save(tx, organization_id, {ids[number]: reviews for number, reviews in told.items()}, at)


def _save(tx: Tx, organization_id: int, reviews: dict[int, tuple[ReviewRecord, ...]], at: datetime) -> None:
    authors = {one.author for found in reviews.values() for one in found if one.author}
    people = person_ids(tx, organization_id, sorted(authors), at)
    rows = {
        pull_id: [(people.get(one.author), one.state, one.submitted_at, write_identities(one.author)) for one in found]
        for pull_id, found in reviews.items()
    }
    pull_details.save_reviews(tx, organization_id, rows)


def mark_due(tx: Tx, organization_id: int, repository_id: int, records: Sequence[Record]) -> None:
    """Notes what is to be read of the pull requests on a page."""
    pulls = [record for record in records if isinstance(record, PullRecord)]
    due = {pull.number: (pull.reviews is None, pull.merged_at is not None) for pull in pulls}
    pull_details.mark_due(tx, organization_id, repository_id, due)


def due(store: Store, row: Any) -> Sequence[Any]:
    """The next pull requests of a walk's repository to be read."""
    if row.repository_id is None:
        return ()
    with store.read() as tx:
        wanted = pull_details.names_prompts(tx, row.organization_id)
        return pull_details.due(tx, row.organization_id, row.repository_id, diffs=wanted, limit=A_PAGE)


def read(store: Store, pages: PageSource, row: Any, pull: Any, now: datetime) -> None:
    """Reads what is due of one pull request. Raises GitHubTrouble; one that is gone is passed over."""
    with store.read() as tx:
        wanted = pull_details.names_prompts(tx, row.organization_id)
    diff = pull.diff_due and wanted
    try:
        reviews = pages.reviews(row.name, pull.number) if pull.reviews_due else None
        prompts = named_prompts(pages.added_lines(row.name, pull.number)) if diff else None
    except NoAccess:
        reviews, prompts = None, None

    def work(tx: Tx) -> None:
        latest = sync_store.get_source(tx, row.organization_id, row.id)
        if latest is None or latest.version != row.version:  # another went on, or it is disconnected
            return
        if reviews is not None:
            _save(tx, row.organization_id, {pull.pull_request_id: reviews}, now)
        if prompts is not None:
            pull_details.save_prompts(tx, row.organization_id, pull.pull_request_id, prompts)
        pull_details.mark_read(tx, row.organization_id, pull.pull_request_id, diff=diff)

    store.transact(work)
