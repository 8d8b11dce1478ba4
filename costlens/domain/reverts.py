"""Which merged pull requests were taken back, and which of those came back by a revert of the revert."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from costlens.domain.trailers import RevertTarget, revert_targets


@dataclass(frozen=True, slots=True)
class PullState:
    number: int
    title: str
    body: str
    head_ref: str
    merge_commit_sha: str | None  # None: not merged, or unknown
    merged_at: datetime | None  # None: not merged


def reverted(
    pulls: Sequence[PullState], commits: Iterable[tuple[str, str, datetime]] = (), *, repository: str | None = None
) -> dict[int, datetime]:
    """When each pull request that is reverted now was reverted, by number.

    `commits` are (sha, message, at) of commits outside pull requests; `repository` the lower-case owner/name that
    these belong to. Reverting a revert puts its target back.
    """
    merged = {pull.number: pull for pull in pulls if pull.merged_at is not None}
    by_sha = {pull.merge_commit_sha: pull.number for pull in merged.values() if pull.merge_commit_sha}
    # (at, what it takes back, names by which a later revert may name it)
    events: list[tuple[datetime, tuple[RevertTarget, ...], tuple[object, ...]]] = []
    for pull in merged.values():
        targets = revert_targets(pull.title, pull.body, pull.head_ref)
        if targets and pull.merged_at is not None:
            events.append((pull.merged_at, targets, (pull.number, pull.merge_commit_sha)))
    for sha, message, at in commits:
        title, _, body = message.partition("\n")
        targets = revert_targets(title, body)
        if targets:
            events.append((at, targets, (sha,)))
    undone: dict[int, datetime] = {}
    takes_back: dict[object, int] = {}  # a revert's number or sha → the pull request it took back
    for at, targets, names in sorted(events, key=lambda event: (event[0], str(event[2]))):
        for target in targets:
            if target.repository not in (None, repository):
                continue
            again = takes_back.get(target.number if target.number is not None else target.sha)
            if again is not None:
                undone.pop(again, None)
                continue
            number = target.number if target.number is not None else _by_sha(by_sha, target.sha)
            if number in merged and number not in names:
                undone[number] = at
                takes_back.update({name: number for name in names if name})
    return undone


def _by_sha(by_sha: dict[str, int], sha: str | None) -> int | None:
    """The pull request of a merge commit that may be shortened."""
    if not sha:
        return None
    return by_sha.get(sha) or next((number for full, number in by_sha.items() if full.startswith(sha)), None)
