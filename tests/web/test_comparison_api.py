"""The comparison over the API, on a stored history in which what AI changes is known.

Eight people in acme/web, each twice as slow as the one before; the slow ones take to AI most. With AI the same person's
like work takes a fifth less time from first commit to merge, waits half as long again for its review, and needs a
second round; nothing else differs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from costlens.github.snapshot import read_snapshot
from costlens.services.linking import link_repository
from costlens.services.sync import import_records
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.identity import find_repositories
from costlens.store.organizations import Organization
from costlens.store.pull_outcomes import outcomes_of
from costlens.store.settled import settle_sums
from tests.web.caller import Caller

WEB = "acme/web"
PEOPLE = ("alice", "bob", "charlie", "dana", "erin", "frank", "grace", "heidi")
REVIEWER = "ivan"
MERGED = datetime(2025, 5, 20, 12, tzinfo=UTC)
WINDOW = "startDate=2025-04-01&endDate=2025-06-30"
TRAILER = "\n\nCo-Authored-By: Claude <noreply@anthropic.com>"


def work() -> Iterator[tuple[int, str, float, bool]]:
    """(number, author, hours, with AI) of each pull request: the fast four use AI for 1 of 4, the slow four for 3."""
    number = 0
    for place, author in enumerate(PEOPLE):
        for turn in range(4):
            number += 1
            assisted = turn < (1 if place < 4 else 3)
            yield number, author, 16 * 2**place * (0.8 if assisted else 1), assisted


def pull(number: int, author: str, hours: float, assisted: bool) -> dict[str, Any]:
    """The fast ones' AI is told by a trailer, the slow ones' by their runs."""
    begun = MERGED - timedelta(hours=hours)
    opened = begun + timedelta(hours=1)
    reviewed = opened + timedelta(hours=3 if assisted else 2)
    message = "Work" + (TRAILER if assisted and author in PEOPLE[:4] else "")
    commit = {"sha": f"{number:040x}", "authoredAt": begun.isoformat(), "author": author, "message": message}
    review = {"author": REVIEWER, "submittedAt": reviewed.isoformat()}
    return {
        "repo": WEB, "number": number, "title": f"Change {number}", "author": author, "headRef": f"work/{number}",
        "baseRef": "main", "createdAt": opened.isoformat(), "state": "merged", "mergedAt": MERGED.isoformat(),
        "additions": 80, "deletions": 20, "commits": [commit],
        "reviews": [review | {"state": "changes_requested" if assisted else "approved"}],
    }  # fmt: skip


@pytest.fixture
def repository_id(store: Store, acme: Organization, alice: Caller) -> int:
    at = (MERGED - timedelta(days=100)).isoformat()
    for number, author, _, assisted in work():
        if assisted and author in PEOPLE[4:]:
            run = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1000, "outputTokens": 100, "timestamp": at}
            sent = alice.post("/integrations/run", run | {"repo": WEB, "prNumber": number, "requestId": f"r-{number}"})
            assert sent.status_code == 200, sent.text
    lines: list[dict[str, Any]] = [{"type": "repository", "name": WEB, "id": 501, "defaultBranch": "main"}]
    lines += [
        {"login": name, "id": n, "emails": [f"{name}@example.com"]} for n, name in enumerate((*PEOPLE, REVIEWER), 1)
    ]
    lines += [pull(*one) for one in work()]
    import_records(store, acme.id, read_snapshot(json.dumps(line).encode() for line in lines))
    with store.read() as tx:
        found = find_repositories(tx, acme.id, [WEB])[WEB]
    link_repository(store, acme.id, found)
    return found


def test_known_effects_are_found(repository_id: int, alice: Caller) -> None:
    answer = alice.json(f"/roi/comparison?{WINDOW}")
    assert (answer["pullRequests"], answer["assisted"]) == (32, 16)
    metrics = {one["metric"]: one for one in answer["metrics"]}
    assert len(metrics) == 6
    told = ("verdict", "estimate", "low", "high", "unmatched")
    found = {name: tuple(one[what] for what in told) for name, one in metrics.items()}
    review = found.pop("review")
    assert found == {
        # Slow people use AI more: without matching it would look as if it took 3.2 times as long.
        "cycle": ("lower", *[pytest.approx(0.8)] * 3, pytest.approx(3.2)),
        "pickup": ("higher", *[pytest.approx(1.5)] * 4),
        "rounds": ("higher", *[pytest.approx(2.0)] * 4),
        "size": ("inconclusive", *[pytest.approx(1.0)] * 4),
        "reverted": ("inconclusive", 0, 0, 0, 0),
    }
    # What is left of 0.8 of 16, 32, … hours after 1 + 3 of them, to all of them after 1 + 2.
    ratios = [(1 if n < 4 else 3, (0.8 * 16 * 2**n - 4) / (16 * 2**n - 3)) for n in range(8)]
    assert review[:2] == ("lower", pytest.approx(math.prod(ratio ** (count / 16) for count, ratio in ratios)))
    assert min(ratios)[1] < review[2] < review[1] < review[3] < 0.8
    for one in metrics.values():
        counts = [
            one[name] for name in ("assisted", "others", "matchedAssisted", "matchedOthers", "authors", "covered")
        ]
        assert counts == [16, 16, 16, 16, 8, 1]
    assert metrics["cycle"]["sentence"] == (
        "Cycle time: AI-assisted PRs are associated with lower values, 0.80× [0.80, 0.80]."
    )


def test_reverts_at_an_unknown_time_count(repository_id: int, store: Store, acme: Organization, alice: Caller) -> None:
    """Of the three that heidi made with AI, of sixteen in all; on the ROI pages too."""
    numbers = [number for number, author, _, assisted in work() if author == "heidi" and assisted]
    row = t.pull_requests.c
    with store.write() as tx:
        reverted = update(t.pull_requests).where(row.repository_id == repository_id, row.number.in_(numbers))
        ids = tx.scalars(select(row.id).where(row.repository_id == repository_id, row.number.in_(numbers))).all()
        before = outcomes_of(tx, acme.id, ids, change=True)
        tx.execute(reverted.values(outcome="reverted", reverted_at=None))
        settle_sums(tx, acme.id, before, ids)
    metrics = {one["metric"]: one for one in alice.json(f"/roi/comparison?{WINDOW}")["metrics"]}
    assert metrics["reverted"]["estimate"] == pytest.approx(100 * 3 / 16)
    assert alice.json(f"/roi/repositories?{WINDOW}")["total"]["revertedPullRequests"] == len(numbers) == 3
