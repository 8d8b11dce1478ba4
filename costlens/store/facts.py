"""GitHub's facts as the linker reads them: the part of a repository that some runs, or some changes, can reach.

A part is closed. It has whole pull requests only, and for each commit outside all of them the pull requests that own
it (as their merge commit, or as a copy of one of theirs). So the linker's answer from a part is its answer from all
facts, and what is read grows with the runs and not with the repository.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Row, Select, and_, func, or_, select, union_all

from costlens.domain.link_index import default_branches
from costlens.domain.link_rules import AFTER_CLOSE, BEFORE_FIRST_COMMIT, NEXT_COMMIT_LATE, PROMPT_TRAILER
from costlens.domain.links import CommitFact, PullFact, RepositoryFacts, RunFact
from costlens.domain.trailers import body_trailers, co_authors, commit_trailers
from costlens.store import tables as t
from costlens.store.branches import strays
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
    tx: Tx,
    organization_id: int,
    repository_id: int,
    runs: Sequence[RunFact],
    pull_ids: Iterable[int] = (),
    *,
    default_branch: str | None = None,
) -> RepositoryFacts:
    """All that the rules can look up for these runs, and these pull requests; None: the default branch is asked for.

    Reads the commits of all the runs' people over the whole time that the runs span: give it runs of a short time, or
    of few people. What can be asked for at once is one statement: of a small part each costs more than its rows.
    """
    if not repository_id or not runs:
        return _NO_FACTS
    part = _Part(tx, organization_id, repository_id, default_branch)
    own = [run for run in runs if run.has_repository]
    named = _named(part, runs, own)
    shas = {run.commit_sha for run in own if run.commit_sha}
    pull, commit = t.pull_requests.c, t.commits.c
    part.add_pulls(
        (pull.id, pull_ids),
        (pull.number, named.pulls | {run.pr_number for run in own if run.pr_number is not None}),
        (pull.merge_commit_sha, shas),
    )
    part.add_commits(_among(commit.sha, shas | named.commits), *_of_people(own, named.prompts))
    _of_branches(part, own, named.branches)
    return part.close()


def facts_of(
    tx: Tx, organization_id: int, repository_id: int, numbers: Collection[int], shas: Collection[str]
) -> RepositoryFacts:
    """Pull requests and commits, and whatever else changes its place when one of them changes."""
    part = _Part(tx, organization_id, repository_id, None)
    part.add_commits(_among(t.commits.c.sha, shas))
    part.add_pulls((t.pull_requests.c.number, numbers))
    part.add_holders(part.commits)
    part.read_pulls()
    merges = {row.merge_commit_sha for row in part.pulls.values() if row.merge_commit_sha}
    part.add_commits(_among(t.commits.c.sha, merges))
    part.add_twins(part.commits.values())
    return part.close()


@dataclass(slots=True)
class _Part:
    """A part of a repository while it is gathered."""

    tx: Tx
    organization_id: int
    repository_id: int
    default_branch: str | None  # None: not asked for yet
    pull_ids: set[int] = field(default_factory=set)
    pulls: dict[int, Row[Any]] = field(default_factory=dict)
    commits: dict[int, Row[Any]] = field(default_factory=dict)
    members: dict[int, list[int]] = field(default_factory=dict)  # pull request → its commits in order

    def __post_init__(self) -> None:
        if self.default_branch is not None:
            return
        repository = t.repositories.c
        name = self.tx.scalar(
            select(repository.default_branch).where(
                repository.organization_id == self.organization_id, repository.id == self.repository_id
            )
        )
        self.default_branch = name or ""

    def mine(self, table: Any) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return table.c.organization_id == self.organization_id, table.c.repository_id == self.repository_id

    def add_pulls(self, *wanted: tuple[Any, Iterable[Any]]) -> None:
        """Pull requests where one of the columns has one of its values."""
        conditions = [_among(column, values) for column, values in wanted]
        selects = [
            select(t.pull_requests.c.id).where(*self.mine(t.pull_requests), condition)
            for condition in conditions
            if condition is not None
        ]
        if selects:
            self.pull_ids.update(self.tx.scalars(_at_once(selects)))

    def add_commits(self, *conditions: ColumnElement[bool] | None) -> None:
        """Commits for which one of the conditions holds; None: no commit."""
        selects = [
            select(t.commits).where(*self.mine(t.commits), condition)
            for condition in conditions
            if condition is not None
        ]
        if selects:
            self.commits.update((row.id, row) for row in self.tx.execute(_at_once(selects)))

    def add_twins(self, commits: Iterable[Row[Any]]) -> None:
        """Commits of the same person and author time, copies of each other; and some more of these people."""
        for twins in _twins(commits):
            self.add_commits(twins)

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
        self.add_pulls((t.pull_requests.c.merge_commit_sha, [row.sha for row in outside]))
        member, commit = t.pull_request_commits.c, t.commits.c
        for twins in _twins(outside):
            held = select(member.pull_request_id).join(t.commits, commit.id == member.commit_id)
            self.pull_ids.update(self.tx.scalars(held.where(*self.mine(t.commits), twins)))
        former = self.former(outside)
        self.read_pulls()
        people = self.people_of({address for row in self.commits.values() for address in co_authors(row.message)})
        facts = {number: _commit(row, people) for number, row in self.commits.items()}
        return RepositoryFacts(
            self.default_branch or "",
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


@dataclass(frozen=True, slots=True)
class _Named:
    """What trailers and commits name of some runs."""

    pulls: set[int]  # numbers of pull requests whose bodies name a run or a session
    commits: set[str]  # that name a run or a session
    prompts: set[str]  # of the runs' prompts those that any trailer names
    branches: set[str]  # of the branches of the runs' sessions those that hold commits


def _named(part: _Part, runs: Sequence[RunFact], own: Sequence[RunFact]) -> _Named:
    """Asks for the trailers that name these runs and sessions, and for which prompts and branches there are."""
    mention = t.mentions.c
    names = {key for run in runs for key in run.keys} | {run.session_id for run in runs if run.session_id}
    known = {
        "prompt": {run.prompt_id for run in own if run.prompt_id},
        "branch": {run.branch for run in own if run.branch and run.session_id} - default_branches(part.default_branch),
    }
    mine = part.mine(t.mentions)
    selects: list[Select[Any]] = [
        select(mention.kind, mention.source.label("said")).where(
            *mine, mention.kind.in_(("run", "session")), one_of(mention.value, names)
        )
    ]
    selects += [
        select(mention.kind, mention.value.label("said"))
        .where(*mine, mention.kind == kind, one_of(mention.value, values))
        .distinct()
        for kind, values in known.items()
        if values
    ]
    found: dict[str, set[str]] = {"run": set(), "session": set(), "prompt": set(), "branch": set()}
    for row in part.tx.execute(_at_once(selects)):
        found[row.kind].add(row.said)
    sources = found["run"] | found["session"]
    pulls = {source for source in sources if source[0] == "#"}
    return _Named({int(source[1:]) for source in pulls}, sources - pulls, found["prompt"], found["branch"])


def _of_people(runs: Sequence[RunFact], prompts: Collection[str]) -> Iterator[ColumnElement[bool]]:
    """What the runs' people committed next: within a day, or within a week where a commit may name the run's prompt."""
    for reach, some in (
        (NEXT_COMMIT_LATE, [run for run in runs if run.prompt_id not in prompts]),
        (PROMPT_TRAILER, [run for run in runs if run.prompt_id in prompts]),
    ):
        people = {run.person_id for run in some if run.person_id is not None}
        if not people:
            continue
        first, last = min(run.occurred_at for run in some), max(run.occurred_at for run in some) + reach
        yield and_(one_of(t.commits.c.person_id, people), t.commits.c.authored_at.between(first, last))


def _among(column: Any, values: Iterable[Any]) -> ColumnElement[bool] | None:
    """The condition that a column has one of these values. None: there are none."""
    wanted = set(values)
    return one_of(column, wanted) if wanted else None


def _at_once(selects: Sequence[Select[Any]]) -> Select[Any] | CompoundSelect[Any]:
    """The rows of all of these, each of which has an index of its own; one may come twice."""
    return selects[0] if len(selects) == 1 else union_all(*selects)


def _of_branches(part: _Part, runs: Sequence[RunFact], with_commits: Collection[str]) -> None:
    """Pull requests of the runs' branches that were open at the time; of a branch without, whatever makes it known.

    `with_commits` are those of the sessions' branches that hold commits.
    """
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
    stray = strays(part.tx, part.organization_id, part.repository_id, (names & {*with_commits}) - known)
    part.add_commits(_among(t.commits.c.id, stray.values()))


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
