"""Which merged pull requests were taken back, and which of those came back by a revert of the revert."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from costlens.domain.trailers import RevertTarget, revert_targets

T = TypeVar("T")

_Effect = tuple[int, bool]  # pull request number; whether it was taken back, or put back


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
    these belong to. Reverting a revert puts everything back that it took, and so on.
    """
    merged = {pull.number: pull for pull in pulls if pull.merged_at is not None}
    by_sha = {pull.merge_commit_sha: pull.number for pull in merged.values() if pull.merge_commit_sha}
    # (at, what it takes back, names by which a later revert may name it)
    events: list[tuple[datetime, tuple[RevertTarget, ...], tuple[int | str | None, ...]]] = []
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
    effects: dict[int | str, tuple[_Effect, ...]] = {}  # what a revert did, by its number and shas
    for at, targets, names in sorted(events, key=lambda event: (event[0], str(event[2]))):
        done: list[_Effect] = []
        for target in targets:
            if target.repository not in (None, repository):
                continue
            name = target.number if target.number is not None else target.sha
            earlier = effects.get(name) if isinstance(name, int) else _by_sha(effects, name)
            number = target.number if target.number is not None else _by_sha(by_sha, target.sha)
            if earlier is not None:
                done += [(pull_number, not off) for pull_number, off in earlier]
            elif number in merged and number not in names:
                done.append((number, True))
        for number, off in done:
            if off:
                undone[number] = at
            else:
                undone.pop(number, None)
        effects |= {name: tuple(done) for name in names if name and done}
    return undone


def _by_sha(known: Mapping[Any, T], sha: str | None) -> T | None:
    """What stands under a sha that may be shortened."""
    if not sha:
        return None
    if sha in known:
        return known[sha]
    return next((value for full, value in known.items() if isinstance(full, str) and full.startswith(sha)), None)
