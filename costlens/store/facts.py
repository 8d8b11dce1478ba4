"""GitHub's facts as the linker reads them: the part of a repository that some runs, or some changes, can reach.

A part is closed. It has whole pull requests only, and for each commit outside all of them the pull requests that own
it (as their merge commit, or as a copy of one of theirs). So the linker's answer from a part is its answer from all
facts, and what is read grows with the runs and not with the repository.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, func, or_, select

from costlens.domain.link_index import default_branches
from costlens.domain.link_rules import AFTER_CLOSE, BEFORE_FIRST_COMMIT, NEXT_COMMIT_LATE, PROMPT_TRAILER
from costlens.domain.links import CommitFact, PullFact, RepositoryFacts, RunFact
from costlens.domain.trailers import body_trailers, co_authors, commit_trailers
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.plans import checked
from costlens.store.types import one_of

_PAIRS = 100  # (person, time) in one query, which looks up every person at every time

_PULL_COLUMNS = [
    t.pull_requests.c[name]
    for name in (
        "id",
        "number",
        "head_ref",
        "base_ref",
        "person_id",
        "created_at",
        "merged_at",
        "closed_at",
        "body",
        "merge_commit_sha",
    )
]

_NO_FACTS = RepositoryFacts("", (), ())


def facts_around(
    tx: Tx, organization_id: int, repository_id: int, runs: Sequence[RunFact], pull_ids: Iterable[int] = ()
) -> RepositoryFacts:
    """All that the rules can look up for these runs, and these pull requests.

    Reads the commits of all the runs' people over the whole time that the runs span: give it runs of a short time, or
    of few people.
    """
    if not repository_id or not runs:
        return _NO_FACTS
    part = _Part(tx, organization_id, repository_id)
    own = [run for run in runs if run.has_repository]
    part.add_pulls(t.pull_requests.c.id, pull_ids)
    _named(part, {key for run in runs for key in run.keys} | {run.session_id for run in runs if run.session_id})
    part.add_pulls(t.pull_requests.c.number, {run.pr_number for run in own if run.pr_number is not None})
    shas = {run.commit_sha for run in own if run.commit_sha}
    part.add_commits(t.commits.c.sha, shas)
    part.add_pulls(t.pull_requests.c.merge_commit_sha, shas)
    _of_people(part, own)
    _of_branches(part, own)
    return part.close()


def facts_of(
    tx: Tx, organization_id: int, repository_id: int, numbers: Collection[int], shas: Collection[str]
) -> RepositoryFacts:
    """Pull requests and commits, and whatever else changes its place when one of them changes."""
    part = _Part(tx, organization_id, repository_id)
    part.add_commits(t.commits.c.sha, shas)
    part.add_pulls(t.pull_requests.c.number, numbers)
    part.add_holders(part.commits)
    part.read_pulls()
    part.add_commits(t.commits.c.sha, [row.merge_commit_sha for row in part.pulls.values() if row.merge_commit_sha])
    part.add_twins(part.commits.values())
    return part.close()


def known_branches(tx: Tx, organization_id: int, repository_id: int, names: Collection[str]) -> set[str]:
    """Those of the branches that are the head of a pull request, or hold a commit that belongs to none."""
    pull = t.pull_requests.c
    mine = (pull.organization_id == organization_id, pull.repository_id == repository_id)
    found = set(tx.scalars(select(pull.head_ref).where(*mine, one_of(pull.head_ref, names)).distinct()))
    return found | _stray_commits(tx, organization_id, repository_id, {*names} - found).keys()


@dataclass(slots=True)
class _Part:
    """A part of a repository while it is gathered."""

    tx: Tx
    organization_id: int
    repository_id: int
    default_branch: str = ""
    pull_ids: set[int] = field(default_factory=set)
    pulls: dict[int, Row[Any]] = field(default_factory=dict)
    commits: dict[int, Row[Any]] = field(default_factory=dict)
    members: dict[int, list[int]] = field(default_factory=dict)  # pull request → its commits in order

    def __post_init__(self) -> None:
        repository = t.repositories.c
        name = self.tx.scalar(
            select(repository.default_branch).where(
                repository.organization_id == self.organization_id, repository.id == self.repository_id
            )
        )
        self.default_branch = name or ""

    def mine(self, table: Any) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return table.c.organization_id == self.organization_id, table.c.repository_id == self.repository_id

    def add_pulls(self, column: Any, values: Iterable[Any]) -> None:
        if wanted := list(values):
            found = select(t.pull_requests.c.id).where(*self.mine(t.pull_requests), one_of(column, wanted))
            self.pull_ids.update(self.tx.scalars(found))

    def add_commits(self, column: Any, values: Iterable[Any]) -> None:
        if wanted := list(values):
            self.add(select(t.commits).where(*self.mine(t.commits), one_of(column, wanted)))

    def add(self, query: Select[Any]) -> None:
        self.commits.update((row.id, row) for row in self.tx.execute(query))

    def add_twins(self, commits: Iterable[Row[Any]]) -> None:
        """Commits of the same person and author time, copies of each other; and some more of these people."""
        for twins in _twins(commits):
            self.add(select(t.commits).where(*self.mine(t.commits), twins))

    def add_holders(self, commit_ids: Collection[int]) -> None:
        """The pull requests that hold these commits."""
        member = t.pull_request_commits.c
        if commit_ids:
            holders = select(member.pull_request_id).where(one_of(member.commit_id, commit_ids))
            self.pull_ids.update(self.tx.scalars(holders))

    def read_pulls(self) -> None:
        """Reads the pull requests that are new in `pull_ids`, with all their commits."""
        pull, commit, member = t.pull_requests.c, t.commits.c, t.pull_request_commits.c
        new = self.pull_ids - self.pulls.keys()
        if not new:
            return
        pulls = select(*_PULL_COLUMNS).where(*self.mine(t.pull_requests), one_of(pull.id, new))
        self.pulls.update((row.id, row) for row in self.tx.execute(pulls))
        held = (
            select(t.commits, member.pull_request_id)
            .join(t.pull_request_commits, member.commit_id == commit.id)
            .where(checked(commit.organization_id, self.organization_id), one_of(member.pull_request_id, new))
            .order_by(member.pull_request_id, member.position)
        )
        for row in self.tx.execute(held):
            self.commits[row.id] = row
            self.members.setdefault(row.pull_request_id, []).append(row.id)

    def close(self) -> RepositoryFacts:
        """The part with whatever holds or owns a commit of it."""
        self.add_holders(self.commits)
        self.read_pulls()
        outside = self.outside()
        self.add_pulls(t.pull_requests.c.merge_commit_sha, [row.sha for row in outside])
        member, commit = t.pull_request_commits.c, t.commits.c
        for twins in _twins(outside):
            held = select(member.pull_request_id).join(t.commits, commit.id == member.commit_id)
            self.pull_ids.update(self.tx.scalars(held.where(*self.mine(t.commits), twins)))
        former = self.former(outside)
        self.read_pulls()
        people = self.people_of({address for row in self.commits.values() for address in co_authors(row.message)})
        facts = {number: _commit(row, people) for number, row in self.commits.items()}
        return RepositoryFacts(
            self.default_branch,
            tuple(
                _pull(row, tuple(facts[one] for one in self.members.get(number, ())), former.get(number, ()))
                for number, row in self.pulls.items()
            ),
            tuple(facts[row.id] for row in self.outside()),
        )

    def former(self, commits: Iterable[Row[Any]]) -> dict[int, list[str]]:
        """Those of the commits that pull requests held once, by pull request."""
        shas, column = {row.id: row.sha for row in commits}, t.former_commits.c
        found: dict[int, list[str]] = {}
        rows = self.tx.execute(select(t.former_commits).where(one_of(column.commit_id, shas))) if shas else ()
        for row in rows:
            found.setdefault(row.pull_request_id, []).append(shas[row.commit_id])
        self.pull_ids |= found.keys()
        return found

    def people_of(self, addresses: Collection[str]) -> dict[str, int]:
        """The person of each e-mail address that is known."""
        identity = t.identities.c
        if not addresses:
            return {}
        mine = (identity.organization_id == self.organization_id, identity.kind == "email")
        rows = self.tx.execute(
            select(identity.value, identity.person_id).where(*mine, one_of(identity.value, addresses))
        )
        return {row.value: row.person_id for row in rows}

    def outside(self) -> list[Row[Any]]:
        held = {number for own in self.members.values() for number in own}
        return [row for number, row in self.commits.items() if number not in held]


def _named(part: _Part, names: Collection[str]) -> None:
    """The commits and pull request bodies whose trailers name these runs and sessions."""
    mention = t.mentions.c
    ids = mention.kind.in_(("run", "session"))
    query = select(mention.source).where(*part.mine(t.mentions), ids, one_of(mention.value, names))
    sources = set(part.tx.scalars(query))
    part.add_pulls(t.pull_requests.c.number, [int(source[1:]) for source in sources if source[0] == "#"])
    part.add_commits(t.commits.c.sha, [source for source in sources if source[0] != "#"])


def _of_people(part: _Part, runs: Sequence[RunFact]) -> None:
    """What the runs' people committed next: within a day, or within a week where a commit may name the run's prompt."""
    prompts = _prompts_named(part, {run.prompt_id for run in runs if run.prompt_id})
    for reach, some in (
        (NEXT_COMMIT_LATE, [run for run in runs if run.prompt_id not in prompts]),
        (PROMPT_TRAILER, [run for run in runs if run.prompt_id in prompts]),
    ):
        people = {run.person_id for run in some if run.person_id is not None}
        if not people:
            continue
        first, last = min(run.occurred_at for run in some), max(run.occurred_at for run in some) + reach
        commit = t.commits.c
        between = commit.authored_at.between(first, last)
        part.add(select(t.commits).where(*part.mine(t.commits), one_of(commit.person_id, people), between))


def _prompts_named(part: _Part, prompts: Collection[str]) -> set[str]:
    mention = t.mentions.c
    mine = (*part.mine(t.mentions), mention.kind == "prompt", one_of(mention.value, prompts))
    return set(part.tx.scalars(select(mention.value).where(*mine).distinct()))


def _of_branches(part: _Part, runs: Sequence[RunFact]) -> None:
    """Pull requests of the runs' branches that were open at the time; of a branch without, whatever makes it known."""
    names = {run.branch for run in runs if run.branch} - default_branches(part.default_branch)
    if not names:
        return
    first, last = min(run.occurred_at for run in runs), max(run.occurred_at for run in runs)
    pull = t.pull_requests.c
    ended = func.coalesce(pull.merged_at, pull.closed_at)
    member = t.pull_request_commits.c
    first_commit = (
        select(func.min(t.commits.c.authored_at))
        .join(t.pull_request_commits, member.commit_id == t.commits.c.id)
        .where(member.pull_request_id == pull.id)
        .scalar_subquery()
    )
    open_then = and_(
        or_(ended.is_(None), ended >= first - AFTER_CLOSE),
        func.coalesce(first_commit, pull.created_at) <= last + BEFORE_FIRST_COMMIT,
    )
    heads = (*part.mine(t.pull_requests), one_of(pull.head_ref, names))
    newest = select(func.max(pull.id)).where(*heads).group_by(pull.head_ref)
    rows = part.tx.execute(select(pull.id, pull.head_ref).where(*heads, or_(open_then, pull.id.in_(newest)))).all()
    part.pull_ids.update(row.id for row in rows)
    known = {row.head_ref for row in rows}
    in_session = {run.branch for run in runs if run.branch and run.session_id}
    others = (names & in_session) - known
    part.add_commits(t.commits.c.id, _stray_commits(part.tx, part.organization_id, part.repository_id, others).values())


def _stray_commits(tx: Tx, organization_id: int, repository_id: int, branches: Collection[str]) -> dict[str, int]:
    """For each branch that has one, a commit on it that no pull request holds or owns."""
    mention = t.mentions.c
    mine = (mention.organization_id == organization_id, mention.repository_id == repository_id)
    if not branches:
        return {}
    query = select(mention.value).where(*mine, mention.kind == "branch", one_of(mention.value, branches))
    there = tx.scalars(query.distinct()).all()
    given = {"organization": organization_id, "repository": repository_id}
    found = {name: tx.scalar(_stray_query(), given | {"branch": name}) for name in there}
    return {name: number for name, number in found.items() if number is not None}


@functools.cache
def _stray_query() -> Select[Any]:
    """Asked for one branch after the other, so built once."""
    mention, commit, member, pull = t.mentions.c, t.commits.c, t.pull_request_commits, t.pull_requests.c
    repository: Any = bindparam("repository")
    twin = t.commits.alias()
    held = select(member.c.commit_id).where(member.c.commit_id == commit.id)
    former = select(t.former_commits.c.commit_id).where(t.former_commits.c.commit_id == commit.id)
    merged = select(pull.id).where(pull.repository_id == repository, pull.merge_commit_sha == commit.sha)
    same = (twin.c.person_id == commit.person_id, twin.c.authored_at == commit.authored_at)
    copied = (
        select(twin.c.id).join(member, member.c.commit_id == twin.c.id).where(twin.c.repository_id == repository, *same)
    )
    return (
        select(commit.id)
        .join(t.mentions, (mention.repository_id == commit.repository_id) & (mention.source == commit.sha))
        .where(
            mention.organization_id == bindparam("organization"),
            mention.repository_id == repository,
            mention.kind == "branch",
            mention.value == bindparam("branch"),
            ~held.exists(),
            ~former.exists(),
            ~merged.exists(),
            ~copied.exists(),
        )
        .limit(1)
    )


def _twins(commits: Iterable[Row[Any]]) -> Iterator[ColumnElement[bool]]:
    """Conditions on commits that hold for the copies of these. As two lists, which SQLite looks up in its index."""
    pairs = sorted({(row.person_id, row.authored_at) for row in commits if row.person_id is not None})
    for start in range(0, len(pairs), _PAIRS):
        people, times = map(set, zip(*pairs[start : start + _PAIRS], strict=True))
        yield and_(t.commits.c.person_id.in_(sorted(people)), t.commits.c.authored_at.in_(sorted(times)))


def _commit(row: Row[Any], people: Mapping[str, int]) -> CommitFact:
    trailers = commit_trailers(row.message)
    return CommitFact(
        sha=row.sha,
        person_id=row.person_id,
        authored_at=row.authored_at,
        committed_at=row.committed_at,
        files=frozenset(row.files),
        branches=frozenset(row.branches),
        run_keys=trailers.run_keys,
        sessions=trailers.sessions,
        prompts=trailers.prompts,
        co_authors=frozenset(people[address] for address in co_authors(row.message) if address in people),
        attested=frozenset(row.attested or ()),
    )


def _pull(row: Row[Any], commits: tuple[CommitFact, ...], former: Iterable[str]) -> PullFact:
    trailers = body_trailers(row.body)
    return PullFact(
        id=row.id,
        number=row.number,
        head_ref=row.head_ref,
        base_ref=row.base_ref,
        person_id=row.person_id,
        created_at=row.created_at,
        merged_at=row.merged_at,
        closed_at=row.closed_at,
        commits=commits,
        run_keys=trailers.run_keys,
        sessions=trailers.sessions,
        merge_commit_sha=row.merge_commit_sha,
        former=frozenset(former),
    )
