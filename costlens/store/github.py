"""GitHub's facts: written when they differ from what is stored, so a second import writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.identity import CHUNK
from costlens.store.pull_outcomes import became, outcomes_of
from costlens.store.settled import settle_new, settle_sums
from costlens.store.types import one_of
from costlens.store.upsert import keep_first

Values = dict[str, Any]
NEAR_MERGE = timedelta(hours=1)  # how far a squash may lie from the merge that it is taken for


def repository_name(tx: Tx, organization_id: int, repository_id: int) -> str:
    """`owner/name` of a repository."""
    repository = t.repositories.c
    return str(
        tx.scalar(
            select(repository.name).where(repository.organization_id == organization_id, repository.id == repository_id)
        )
    )


def save_repository(tx: Tx, organization_id: int, repository_id: int, values: Values) -> bool:
    """Sets what the source tells (None keeps the stored); answers whether anything changed."""
    told = {name: value for name, value in values.items() if value is not None}
    repository = t.repositories.c
    where = (repository.organization_id == organization_id, repository.id == repository_id)
    row = tx.execute(select(t.repositories).where(*where)).one()
    if all(row._mapping[name] == value for name, value in told.items()):
        return False
    tx.execute(update(t.repositories).where(*where).values(**told))
    return True


def set_closed_unknown(tx: Tx, organization_id: int, repository_id: int) -> None:
    """Notes that closed pull requests are not told of, unless another source told of the repository before."""
    repository = t.repositories.c
    tx.execute(
        update(t.repositories)
        .where(
            repository.organization_id == organization_id,
            repository.id == repository_id,
            repository.imported_at.is_(None),
            repository.closed_known.is_(None),
        )
        .values(closed_known=False)
    )


def set_closed_known(tx: Tx, organization_id: int, repository_id: int) -> None:
    """Notes that a source tells of pull requests that are not merged, where none did."""
    repository = t.repositories.c
    tx.execute(
        update(t.repositories)
        .where(
            repository.organization_id == organization_id,
            repository.id == repository_id,
            repository.closed_known.is_(False),
        )
        .values(closed_known=True)
    )


def save_commits(
    tx: Tx, organization_id: int, repository_id: int, rows: Sequence[Values]
) -> tuple[dict[str, int], bool]:
    """Id by sha of these commits, and whether anything changed.

    A sha never changes its content, so what tells more stays: a commit that comes twice, by two pull requests or
    from two sources, ends the same in any order.
    """
    by_sha = {row["sha"]: row for row in rows}
    stored = _stored(tx, t.commits, t.commits.c.sha, repository_id, list(by_sha))
    changed = False
    for sha, old in stored.items():
        new = by_sha[sha]
        new["branches"] = sorted({*old.branches, *new["branches"]})
        new["files"] = max(old.files, new["files"], key=len)
        new["message"] = max(old.message, new["message"], key=len)
        new["committed_at"] = max(old.committed_at, new["committed_at"])
        new["attested"] = sorted({*(old.attested or ()), *(new["attested"] or ())}) or None
        # Of two sources of one commit the one that knows the author better says whose it is.
        if not new["person_id"] or (old.person_id and len(new["author"]) <= len(old.author or "")):
            new |= {"person_id": old.person_id, "author": old.author}
        differing = {name: value for name, value in new.items() if old._mapping[name] != value}
        if differing:
            changed = True
            tx.execute(update(t.commits).where(t.commits.c.id == old.id).values(**differing))
    missing = [row for sha, row in by_sha.items() if sha not in stored]
    if missing:
        changed = True
        head = {"organization_id": organization_id, "repository_id": repository_id}
        tx.execute(insert(t.commits), [head | row for row in missing])
        stored = _stored(tx, t.commits, t.commits.c.sha, repository_id, list(by_sha))
    return {sha: row.id for sha, row in stored.items()}, changed


def save_pulls(
    tx: Tx,
    organization_id: int,
    repository_id: int,
    rows: Sequence[Values],
    shas: dict[int, list[str]],
    ids: dict[str, int],
) -> bool:
    """Stores pull requests and which commits they hold (`shas` by number); answers whether anything changed.

    `outcome` is what their own state says; which of them were reverted is decided afterwards, see `set_outcomes`.
    """
    by_number = {row["number"]: row for row in rows}
    stored = _stored(tx, t.pull_requests, t.pull_requests.c.number, repository_id, list(by_number), lock=True)
    before = {}
    for number, old in stored.items():
        told = by_number[number]
        # What was reverted stays so until the reverts are looked at again.
        new = told if old.outcome != "reverted" else told | {"outcome": old.outcome}
        kept = ("body", "head_ref", "head_sha", "base_ref", "person_id", "first_commit_at", "additions", "deletions",
                "changed_files", "merge_commit_sha", "ai_signal", "author")  # fmt: skip
        differing = {
            name: value
            for name, value in new.items()
            if old._mapping[name] != value and not (value is None and name in kept)
        }
        if differing:
            before[old.id] = became(old)
            tx.execute(update(t.pull_requests).where(t.pull_requests.c.id == old.id).values(**differing))
    settle_sums(tx, organization_id, before, before.keys())
    changed = bool(before)
    missing = [row for number, row in by_number.items() if number not in stored]
    if missing:
        changed = True
        head = {"organization_id": organization_id, "repository_id": repository_id}
        tx.execute(insert(t.pull_requests), [head | row for row in missing])
        stored = _stored(tx, t.pull_requests, t.pull_requests.c.number, repository_id, list(by_number))
        settle_new(tx, organization_id, [stored[row["number"]].id for row in missing])
    return _save_members(tx, {number: row.id for number, row in stored.items()}, shas, ids) or changed


def _save_members(tx: Tx, pulls: dict[int, int], shas: dict[int, list[str]], ids: dict[str, int]) -> bool:
    member = t.pull_request_commits
    stored: dict[int, list[int]] = {}
    rows = tx.execute(
        select(member).where(member.c.pull_request_id.in_(list(pulls.values()))).order_by(member.c.position)
    )
    for row in rows:
        stored.setdefault(row.pull_request_id, []).append(row.commit_id)
    changed = False
    for number, pull_id in pulls.items():
        wanted = [ids[sha] for sha in dict.fromkeys(shas.get(number, ()))]
        # A source that tells no commits does not take away those that another told.
        if not wanted or stored.get(pull_id, []) == wanted:
            continue
        changed = True
        left_out = {*stored.get(pull_id, ())} - {*wanted}
        keep_first(tx, t.former_commits, [{"pull_request_id": pull_id, "commit_id": one} for one in sorted(left_out)])
        tx.execute(delete(member).where(member.c.pull_request_id == pull_id))
        tx.execute(
            insert(member),
            [{"pull_request_id": pull_id, "commit_id": commit, "position": n} for n, commit in enumerate(wanted)],
        )
    return changed


def _stored(
    tx: Tx, table: Any, column: Any, repository_id: int, values: Sequence[Any], *, lock: bool = False
) -> dict[Any, Row[Any]]:
    found: dict[Any, Row[Any]] = {}
    for start in range(0, len(values), CHUNK):
        query = select(table).where(table.c.repository_id == repository_id, column.in_(values[start : start + CHUNK]))
        if lock:
            query = query.order_by(table.c.id).with_for_update()
        found.update({row._mapping[column]: row for row in tx.execute(query)})
    return found


def save_mentions(tx: Tx, organization_id: int, repository_id: int, rows: Sequence[tuple[str, str, str]]) -> None:
    """Adds (kind, value, source) that trailers and bodies name."""
    head = {"organization_id": organization_id, "repository_id": repository_id}
    keep_first(
        tx, t.mentions, [head | {"kind": kind, "value": value, "source": source} for kind, value, source in rows]
    )


def find_squashes(tx: Tx, organization_id: int, repository_id: int, numbers: Collection[int]) -> None:
    """Where no source told which commit merged these pull requests, takes the one whose title ends in their number.

    It came to the repository within an hour of the merge and no pull request holds it; the nearest in time is taken.
    """
    pull, commit, mention, member = t.pull_requests.c, t.commits.c, t.mentions.c, t.pull_request_commits.c
    mine = (pull.organization_id == organization_id, pull.repository_id == repository_id)
    unknown = (pull.merged_at.is_not(None), pull.merge_commit_sha.is_(None))
    pulls = tx.execute(
        select(pull.id, pull.number, pull.merged_at).where(*mine, *unknown, one_of(pull.number, numbers))
    )
    for row in pulls.all():
        titled = (
            select(commit.sha, commit.committed_at)
            .join(t.mentions, (mention.repository_id == commit.repository_id) & (mention.source == commit.sha))
            .where(
                mention.repository_id == repository_id,
                mention.kind == "squash",
                mention.value == str(row.number),
                commit.committed_at.between(row.merged_at - NEAR_MERGE, row.merged_at + NEAR_MERGE),
                ~select(member.commit_id).where(member.commit_id == commit.id).exists(),
            )
        )
        found = [(abs(one.committed_at - row.merged_at), one.sha) for one in tx.execute(titled)]
        if found:
            tx.execute(update(t.pull_requests).where(pull.id == row.id).values(merge_commit_sha=min(found)[1]))


def is_linked(tx: Tx, organization_id: int, repository_id: int) -> bool:
    """Whether links were made from facts of the repository, and no pass over all its runs is due."""
    repository = t.repositories.c
    row = tx.execute(
        select(repository.imported_at, repository.facts_version, repository.linked_version).where(
            repository.organization_id == organization_id, repository.id == repository_id
        )
    ).one()
    return row.imported_at is not None and row.facts_version == row.linked_version


def lock_repository(tx: Tx, organization_id: int, repository_id: int) -> None:
    """Holds a repository until the end of the transaction, before its pull requests: the linker goes the same way."""
    repository = t.repositories.c
    query = select(repository.id).where(repository.organization_id == organization_id, repository.id == repository_id)
    tx.execute(query.with_for_update(key_share=True))


def set_imported(tx: Tx, organization_id: int, repository_id: int, now: datetime) -> None:
    """Notes when facts of the repository last changed."""
    repository = t.repositories.c
    tx.execute(
        update(t.repositories)
        .where(repository.organization_id == organization_id, repository.id == repository_id)
        .values(imported_at=now)
    )


_PULL_STATE = [
    t.pull_requests.c[name]
    for name in (
        "id",
        "number",
        "title",
        "body",
        "head_ref",
        "merge_commit_sha",
        "merged_at",
        "closed_at",
        "outcome",
        "reverted_at",
    )
]


def reverts(tx: Tx, organization_id: int, repository_id: int) -> tuple[Sequence[Any], Sequence[Any]]:
    """Commits outside pull requests that may be reverts, by time; pull requests that may be, or that were reverted."""
    commit, pull, mention = t.commits.c, t.pull_requests.c, t.mentions.c
    sources = tx.scalars(
        select(mention.source).where(
            mention.organization_id == organization_id,
            mention.repository_id == repository_id,
            mention.kind == "revert",
        )
    ).all()
    numbers = [int(source[1:]) for source in sources if source[0] == "#"]
    commits = tx.execute(
        select(commit.sha, commit.message, commit.committed_at)
        .where(
            commit.organization_id == organization_id,
            commit.repository_id == repository_id,
            one_of(commit.sha, (source for source in sources if source[0] != "#")),
            ~select(t.pull_request_commits).where(t.pull_request_commits.c.commit_id == commit.id).exists(),
        )
        .order_by(commit.committed_at)
    ).all()
    mine = (pull.organization_id == organization_id, pull.repository_id == repository_id)
    pulls = [
        *tx.execute(select(*_PULL_STATE).where(*mine, one_of(pull.number, numbers))),
        *tx.execute(select(*_PULL_STATE).where(*mine, pull.reverted_at.is_not(None))),
    ]
    return commits, pulls


def pulls_of_targets(
    tx: Tx, organization_id: int, repository_id: int, numbers: Iterable[int], shas: Iterable[str]
) -> Sequence[Row[Any]]:
    """Pull requests by number, or by the first letters of the commit that merged them."""
    pull = t.pull_requests.c
    mine = (pull.organization_id == organization_id, pull.repository_id == repository_id)
    found = [*tx.execute(select(*_PULL_STATE).where(*mine, one_of(pull.number, numbers)))]
    for sha in sorted(set(shas)):
        # As a range, which an index has: every continuation of the letters is below them with a `g`, which is no hex.
        between = pull.merge_commit_sha.between(sha, f"{sha}g")
        found += tx.execute(select(*_PULL_STATE).where(*mine, between))
    return found


def set_outcomes(tx: Tx, organization_id: int, rows: Sequence[Values]) -> None:
    """Writes outcome and reverted_at by pull request id, and moves the sums that go by them."""
    before = outcomes_of(tx, organization_id, (row["id"] for row in rows), change=True)
    for row in rows:
        tx.execute(
            update(t.pull_requests)
            .where(t.pull_requests.c.organization_id == organization_id, t.pull_requests.c.id == row["id"])
            .values(outcome=row["outcome"], reverted_at=row["reverted_at"])
        )
    if before:
        settle_sums(tx, organization_id, before, before.keys())


def set_person_facts(tx: Tx, organization_id: int, person_id: int, *, name: str | None, bot: bool) -> None:
    """Stores whether a person is a bot, and the name where one is given."""
    values: Values = {"bot": bot} | ({"name": name} if name else {})
    tx.execute(
        update(t.people)
        .where(t.people.c.organization_id == organization_id, t.people.c.id == person_id)
        .values(**values)
    )


def find_pull(tx: Tx, organization_id: int, repository_id: int, number: int) -> int | None:
    """Id of a pull request by its number. None: not known."""
    pull = t.pull_requests.c
    query = select(pull.id).where(
        pull.organization_id == organization_id, pull.repository_id == repository_id, pull.number == number
    )
    return tx.scalar(query)


def any_pulls(tx: Tx, organization_id: int) -> bool:
    """Whether the organization has pull requests at all."""
    query = select(t.pull_requests.c.id).where(t.pull_requests.c.organization_id == organization_id).limit(1)
    return tx.scalar(query) is not None
