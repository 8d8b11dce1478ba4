"""Linking passes: which runs are looked at, group by group, and what a pass leaves for the next one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from costlens.domain.errors import InvalidInput, NotFound
from costlens.domain.link_marks import Mark, MarkKind
from costlens.domain.linking import RULESET_V1
from costlens.domain.links import ManualDecision, Ruleset
from costlens.services.link_group import Linker, link_group
from costlens.store import link_marks, link_work
from costlens.store import links as link_store
from costlens.store.engine import Store, Tx
from costlens.store.homeless import decided_here, homes, names_here
from costlens.store.link_work import Place
from costlens.store.organizations import add_audit
from costlens.store.rulesets import ruleset_of
from costlens.store.runs import get_runs

# What bounds a pass: the runs of a group, and the time they span, for which their people's commits are read.
GROUP = 1_000
GROUP_SPAN = timedelta(days=30)
UNSEEN_AFTER = timedelta(seconds=20)  # how long the queue may take before the sweeper steps in


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass did."""

    runs: int
    changed: int
    link_seconds: float  # the pure part
    elsewhere: frozenset[int] = frozenset()  # repositories whose trailers name waiting runs: a pass of theirs is due


def link_repository(
    store: Store,
    organization_id: int,
    repository_id: int,
    *,
    now: datetime | None = None,
    ruleset: Ruleset | None = None,
    full: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Pass:
    """Links the runs of a repository (0: runs that name none) and writes the differences.

    Looks at runs not seen yet, at those that marks point at or that have been pending for too long, and at what
    these matter to; at every run when `full` is set or facts changed too much for marks. The result is the same. The
    same input writes nothing. `progress` is told (runs done, runs in all, as far as known). The rules are those of the
    organization, unless `ruleset` gives others.
    """
    with store.read() as tx:
        rules = ruleset or ruleset_of(tx, organization_id)
        linker = Linker(store, organization_id, repository_id, rules, now or datetime.now(UTC))
        version = link_work.versions(tx, organization_id, repository_id)
        mark_ids, marks = link_marks.read_marks(tx, organization_id, repository_id)
        everything = full or version.facts != version.linked
        total = link_work.count_runs(tx, organization_id, repository_id) if everything and progress else 0
        touched = _touched(tx, linker, marks, everything)
        waiting = None if everything else link_work.waiting_runs(tx, organization_id, repository_id, 0, GROUP)
    runs, changed, seconds, elsewhere = 0, 0, 0.0, set[int]()
    for places, alone in _groups(linker, everything, touched, waiting):
        done = link_group(linker, [number for _, number in places], with_mates=not alone)
        runs, changed, seconds = runs + done.runs, changed + done.changed, seconds + done.link_seconds
        elsewhere |= done.elsewhere
        if progress:
            progress(runs, max(runs, total))
    if mark_ids or version.facts != version.linked:
        with store.write() as tx:
            link_marks.drop_marks(tx, organization_id, mark_ids)
            link_work.set_linked_version(tx, organization_id, repository_id, version.facts)
    return Pass(runs, changed, seconds, frozenset(elsewhere))


def _touched(tx: Tx, linker: Linker, marks: Sequence[Mark], everything: bool) -> list[Place]:
    """Runs that marks point at, and those that cannot stay pending; of everything, only what it does not hold."""
    if everything:
        marks = [mark for mark in marks if mark.kind == MarkKind.RUN]
    marked = link_marks.marked_runs(tx, linker.organization_id, linker.repository_id, marks) if marks else []
    if everything:
        return marked
    before = linker.at - timedelta(days=linker.ruleset.pending_days)
    return sorted({*marked, *link_work.overdue_runs(tx, linker.organization_id, linker.repository_id, before)})


def _groups(
    linker: Linker, everything: bool, touched: Sequence[Place], waiting: list[Place] | None = None
) -> Iterator[tuple[list[Place], bool]]:
    """The runs to look at in groups, and whether a group's sessions are looked at anyway.

    `waiting` is the first page of runs that have not been looked at; None: it is read when its turn comes.
    """
    if everything:
        for page in _seen_pages(linker):
            yield from ((group, True) for group in _cut(page))
        for page in _named_pages(linker):
            yield from ((group, True) for group in _cut(page))
    yield from ((group, False) for group in _cut(touched))
    for page in _waiting_pages(linker, waiting):
        yield from ((group, False) for group in _cut(sorted(page)))


def every_group(linker: Linker, places: Iterable[Place] | None = None) -> Iterator[list[Place]]:
    """These runs, given in order of time, in groups as a pass looks at them. None: every run of the repository."""
    return (group for group, _ in _groups(linker, True, ())) if places is None else _cut(places)


def _cut(places: Iterable[Place]) -> Iterator[list[Place]]:
    """Groups of not too many runs within not too long a time, of runs in order of time."""
    group: list[Place] = []
    for place in places:
        if group and (len(group) == GROUP or place[0] - group[0][0] > GROUP_SPAN):
            yield group
            group = []
        group.append(place)
    if group:
        yield group


def _seen_pages(linker: Linker) -> Iterator[list[Place]]:
    """Every run that has been looked at before."""
    after: datetime | None = None
    while True:
        with linker.store.read() as tx:
            page = link_work.seen_runs(tx, linker.organization_id, linker.repository_id, after, GROUP)
        if not page:
            return
        yield page
        after = page[-1][0]


def _waiting_pages(linker: Linker, first: list[Place] | None) -> Iterator[list[Place]]:
    """Runs that have not been looked at, by id; those that are skipped now wait for the next pass."""
    after = 0
    while True:
        if first is not None:
            page, first = first, None
        else:
            with linker.store.read() as tx:
                page = link_work.waiting_runs(tx, linker.organization_id, linker.repository_id, after, GROUP)
        yield page
        if len(page) < GROUP:
            return
        after = page[-1][1]


def _named_pages(linker: Linker) -> Iterator[list[Place]]:
    """Runs of no repository that this one's trailers name, or that a person has put here."""
    if not linker.repository_id:
        return
    organization_id, repository_id = linker.organization_id, linker.repository_id
    with linker.store.read() as tx:
        yield link_marks.marked_runs(tx, organization_id, 0, decided_here(tx, organization_id, repository_id))
    for kind in (MarkKind.KEY, MarkKind.SESSION):
        after = ""
        while True:
            with linker.store.read() as tx:
                names = names_here(tx, organization_id, repository_id, kind, after, GROUP)
                page = link_marks.marked_runs(tx, organization_id, 0, names)
            yield page
            if len(names) < GROUP:
                break
            after = names[-1].value


def decide_links(
    store: Store,
    organization_id: int,
    run_id: int,
    *,
    decisions: Mapping[int, bool],
    by: str,
    repository_id: int | None = None,
    anew: bool = False,
    now: datetime | None = None,
) -> None:
    """Keeps a person's word on a run, all of it or nothing, and links the run's session anew.

    `decisions` says of each pull request id whether it is confirmed. It survives every relinking. `anew`: what was
    said of the run before is forgotten first, so that no decisions are an undo. `repository_id` None: where the run
    belongs once it is decided. Raises NotFound, or InvalidInput when there is nothing to undo.
    """
    at = now or datetime.now(UTC)
    with store.write() as tx:
        run = get_runs(tx, organization_id, [run_id]).get(run_id)
        if run is None:
            raise NotFound("No such run")
        forgotten = link_store.forget_decisions(tx, organization_id, run_id) if anew else []
        if not decisions and not forgotten:
            raise InvalidInput("Nobody has decided anything about this run", field="action")
        for pull_request_id, confirmed in decisions.items():
            link_store.decide(tx, organization_id, ManualDecision(run_id, pull_request_id, confirmed, by), at)
        told = [("link.undone", pull) for pull in forgotten if pull not in decisions]
        told += [("link.confirmed" if confirmed else "link.rejected", pull) for pull, confirmed in decisions.items()]
        for action, pull_request_id in told:
            add_audit(
                tx,
                organization_id,
                at=at,
                actor=by,
                action=action,
                subject=f"run {run_id}",
                details={"pullRequestId": pull_request_id},
            )
        link_store.mark_unseen(tx, organization_id, run_id)
        if repository_id is None:
            repository_id = run["repository_id"] or homes(tx, organization_id, [run]).get(run_id, 0)
        rules = ruleset_of(tx, organization_id)
    link_group(Linker(store, organization_id, repository_id, rules, at), [run_id])


def tell_progress(store: Store, organization_id: int, repository_id: int, done: int) -> None:
    """Notes how many runs a pass over all of a repository has done, for those who wait for it."""
    with store.write() as tx:
        link_work.note_relinked(tx, organization_id, repository_id, done)


def waiting(store: Store, *, now: datetime | None = None) -> list[tuple[int, int]]:
    """(organization, repository) that the queue has missed: a lost job, a killed worker, a queue that was away."""
    at = now or datetime.now(UTC)
    with store.read() as tx:
        return link_work.waiting_repositories(tx, at - UNSEEN_AFTER)


def overdue(store: Store, *, now: datetime | None = None) -> list[tuple[int, int]]:
    """(organization, repository) with runs that have been pending for too long, which is the same in every ruleset."""
    at = now or datetime.now(UTC)
    with store.read() as tx:
        return link_work.overdue_repositories(tx, at - timedelta(days=RULESET_V1.pending_days))
