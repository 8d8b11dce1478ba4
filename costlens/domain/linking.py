"""The linker: runs and repository facts in, one answer per run out. It reads no clock, no database, no order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from costlens.domain.link_candidates import (
    branches,
    explicit,
    following_commit,
    head_before,
    prompt_trailers,
    session_trailers,
)
from costlens.domain.link_evidence import describe, sentence
from costlens.domain.link_index import FOREVER, Index, build_index
from costlens.domain.link_rules import EXPLICIT, NEIGHBOUR, RULE_ORDER, RULESET_V1, Candidate, Target
from costlens.domain.links import (
    Link,
    LinkState,
    ManualDecision,
    RepositoryFacts,
    Ruleset,
    RunFact,
    RunLinks,
    Stance,
    UnlinkedReason,
)

__all__ = ["RULESET_V1", "link_runs", "sentence", "split"]

_ANCHOR_RULES = EXPLICIT | {"S1", "S2", "B1", "B3"}
_WEAK_RULES = frozenset(RULE_ORDER) - _ANCHOR_RULES - {"B2"}
_NO_FILES: Mapping[str, Sequence[datetime]] = {}


@dataclass(frozen=True, slots=True)
class _Case:
    """One run with its decisions and what the rules that look at the run alone propose for it."""

    run: RunFact
    confirmed: Mapping[int, ManualDecision]  # by pull request id
    rejected: Mapping[int, ManualDecision]
    proposals: Sequence[Candidate]


@dataclass(slots=True)
class _Session:
    """What the runs of one session know of each other: when each file was named, and the linked ones by time."""

    files: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    times: list[datetime] = field(default_factory=list)
    links: list[Sequence[Candidate]] = field(default_factory=list)


def link_runs(
    runs: Sequence[RunFact],
    facts: RepositoryFacts,
    decisions: Sequence[ManualDecision],
    ruleset: Ruleset,
    now: datetime,
    mates: Sequence[RunFact] = (),
) -> tuple[RunLinks, ...]:
    """Answer for every run which links it has and which bucket its money is in, by run id.

    The same facts in any order give the same answer. Decisions on pull requests of other repositories are ignored.
    `mates` are other runs of the same sessions, which are not answered for: those within `SESSION_FILES` are enough,
    as are the facts that the runs and their mates can reach (`store.facts.facts_around`).
    """
    index = build_index(facts)
    confirmed, rejected = _by_run(decisions, index, True), _by_run(decisions, index, False)
    cases, others = (
        [
            _Case(run, confirmed.get(run.id, {}), rejected.get(run.id, {}), _own_proposals(run, index, ruleset))
            for run in sorted(some, key=lambda run: run.id)
        ]
        for some in (runs, mates)
    )
    sessions = _sessions([*cases, *others], ruleset)
    return tuple(_answer(case, index, sessions, ruleset, now) for case in cases)


def split(cost_nanos: int, parts: int) -> tuple[int, ...]:
    """Divide an amount equally; the first parts take the nano-dollars left over, so the sum is exact."""
    if parts < 1:
        raise ValueError("parts must be at least 1")
    share, rest = divmod(cost_nanos, parts)
    return tuple(share + (place < rest) for place in range(parts))


def _own_proposals(run: RunFact, index: Index, ruleset: Ruleset) -> Sequence[Candidate]:
    if not run.code:
        return []
    named = [*explicit(run, index), *session_trailers(run, index)]
    return _allowed(named if _names_unknown_pull(run, index) else [*named, *branches(run, index)], ruleset)


def _answer(case: _Case, index: Index, sessions: Mapping[str, _Session], ruleset: Ruleset, now: datetime) -> RunLinks:
    run = case.run
    if not run.code:
        return RunLinks(run.id, LinkState.NOT_CODE, None, ())
    winners = [
        Candidate("M1", Target(index.by_id[pull].pull, None), "decision", "pull request", decision.by)
        for pull, decision in sorted(case.confirmed.items())
    ]
    proposals = case.proposals
    if not winners:
        winners = _winners(case, proposals, ruleset)
        if (
            _may_be_beaten(winners, ruleset)
            and not _names_unknown_pull(run, index)
            and not _names_unknown_commit(run, index)
        ):
            weak = _weak_proposals(run, index, sessions, bool(winners))
            proposals = [*proposals, *_allowed(weak, ruleset)]
            winners = _winners(case, proposals, ruleset)
    if winners:
        state = LinkState.COUNTED if ruleset.counts(winners[0].rule) else LinkState.SUGGESTED
        return RunLinks(run.id, state, None, tuple(_link(run, winner, state, ruleset) for winner in winners))
    return _unlinked(case, proposals, ruleset, now)


def _unlinked(case: _Case, proposals: Sequence[Candidate], ruleset: Ruleset, now: datetime) -> RunLinks:
    """The bucket of a run that has no link: what its owner could do about it, or that it is too early to tell."""
    run = case.run
    if refused := _best(proposals, ruleset)[:1]:
        pull = refused[0].target.pull
        decision = case.rejected.get(pull.id) if pull else None
        kept = _link(run, refused[0], LinkState.UNLINKED, ruleset, decision)
        return RunLinks(run.id, LinkState.UNLINKED, UnlinkedReason.REJECTED, (kept,))
    if not run.has_repository:
        return RunLinks(run.id, LinkState.UNLINKED, UnlinkedReason.NO_REPO, ())
    if now - run.occurred_at < timedelta(days=ruleset.pending_days):
        return RunLinks(run.id, LinkState.PENDING, None, ())
    reason = UnlinkedReason.NO_PERSON if run.person_id is None else UnlinkedReason.NO_CANDIDATE
    return RunLinks(run.id, LinkState.UNLINKED, reason, ())


def _weak_proposals(run: RunFact, index: Index, sessions: Mapping[str, _Session], anchored: bool) -> list[Candidate]:
    """The rules that look beyond the run itself: its session, and what its person committed later."""
    if not run.has_repository:
        return []
    session = sessions.get(run.session_id) if run.session_id else None
    session_files = session.files if session else _NO_FILES
    found = [*head_before(run, index), *prompt_trailers(run, index), *following_commit(run, index, session_files)]
    if session and not anchored:
        found.extend(_neighbours(run, session, index))
    return found


def _neighbours(run: RunFact, session: _Session, index: Index) -> list[Candidate]:
    """C1: the linked runs of the same session that are nearest in time.

    A branch that has a pull request or commits of its own speaks for itself. One that nobody knows may be an early
    name of the pull request's branch, so only a link that comes later in the session can tell.
    """
    on_default = run.branch is None or run.branch in index.default_branches
    if not on_default and (run.branch in index.by_head or run.branch in index.outside_branches):
        return []
    after = bisect_left(session.times, run.occurred_at)
    before = session.times[after - 1] if after else None
    times = [time for time in (before, *session.times[after : after + 1]) if time is not None]
    nearest = min((abs(time - run.occurred_at) for time in times), default=None)
    if nearest is None or nearest > NEIGHBOUR:
        return []
    found = []
    for time in sorted({time for time in times if abs(time - run.occurred_at) == nearest}):
        if time < run.occurred_at and not on_default:
            continue
        delta = round((time - run.occurred_at).total_seconds())
        for place in range(bisect_left(session.times, time), bisect_right(session.times, time)):
            for link in session.links[place]:
                found.append(Candidate("C1", link.target, "sessionId", "session", run.session_id or "", delta))
    return found


def _sessions(cases: Sequence[_Case], ruleset: Ruleset) -> Mapping[str, _Session]:
    """Sessions by id. Their anchors are the runs that their own evidence links; a person's word stays with its run."""
    sessions: dict[str, _Session] = defaultdict(_Session)
    for case in sorted(cases, key=lambda case: (case.run.occurred_at, case.run.id)):
        if not case.run.session_id or not case.run.code or not case.run.has_repository:
            continue
        session = sessions[case.run.session_id]
        for name in case.run.files:
            session.files[name].append(case.run.occurred_at)
        links = _winners(case, case.proposals, ruleset)
        if links and not case.confirmed and ruleset.counts(links[0].rule):
            session.times.append(case.run.occurred_at)
            session.links.append(links)
    return sessions


def _winners(case: _Case, proposals: Iterable[Candidate], ruleset: Ruleset) -> list[Candidate]:
    """The candidates that make the run's links: all explicit ones, or else the best one."""
    allowed = [
        candidate
        for candidate in proposals
        if candidate.rule != "B2" and (candidate.target.pull is None or candidate.target.pull.id not in case.rejected)
    ]
    ranked = _best(allowed, ruleset)
    named = [candidate for candidate in ranked if candidate.rule in EXPLICIT]
    if not named:
        return ranked[:1]
    # A commit outside that names the run beside a pull request is most often a copy of the same work.
    of_pulls = [candidate for candidate in named if candidate.target.pull]
    unique = {candidate.target.key: candidate for candidate in reversed(of_pulls or named)}
    return sorted(unique.values(), key=lambda candidate: _rank(candidate, ruleset))


def _best(candidates: Iterable[Candidate], ruleset: Ruleset) -> list[Candidate]:
    return sorted(candidates, key=lambda candidate: _rank(candidate, ruleset))


def _rank(candidate: Candidate, ruleset: Ruleset) -> tuple[tuple[bool, int], int, int, datetime, int, str]:
    """The tie-break: whether it counts and its confidence, rule order, time between, merge time, number."""
    pull = candidate.target.pull
    return (
        ruleset.standing[candidate.rule],
        RULE_ORDER[candidate.rule],
        abs(candidate.delta) if candidate.delta is not None else 2**62,
        (pull.merged_at if pull else None) or FOREVER,
        pull.number if pull else 2**62,
        candidate.target.commit.sha if candidate.target.commit else "",
    )


def _may_be_beaten(winners: Sequence[Candidate], ruleset: Ruleset) -> bool:
    if not winners:
        return True
    if winners[0].rule in EXPLICIT:
        return False
    mine = ruleset.standing[winners[0].rule]
    return any(ruleset.standing[rule] < mine and ruleset.stance(rule) is not Stance.OFF for rule in _WEAK_RULES)


def _allowed(proposals: Sequence[Candidate], ruleset: Ruleset) -> Sequence[Candidate]:
    if Stance.OFF not in ruleset.stances.values():
        return proposals
    return [candidate for candidate in proposals if ruleset.stance(candidate.rule) is not Stance.OFF]


def _names_unknown_pull(run: RunFact, index: Index) -> bool:
    """Whether the run names a pull request that is not known (yet): any other would be wrong."""
    return run.pr_number is not None and run.pr_number not in index.by_number


def _names_unknown_commit(run: RunFact, index: Index) -> bool:
    """Whether the run made a commit that is not known: a rewrite keeps its branch, so only weaker guesses are wrong."""
    return run.commit_is_result and run.commit_sha is not None and run.commit_sha not in index.by_sha


def _by_run(decisions: Iterable[ManualDecision], index: Index, confirmed: bool) -> dict[int, dict[int, ManualDecision]]:
    chosen: dict[int, dict[int, ManualDecision]] = defaultdict(dict)
    for decision in sorted(decisions, key=lambda decision: (decision.run_id, decision.pull_request_id, decision.by)):
        if decision.confirmed is confirmed and decision.pull_request_id in index.by_id:
            chosen[decision.run_id][decision.pull_request_id] = decision
    return chosen


def _link(
    run: RunFact, candidate: Candidate, state: LinkState, ruleset: Ruleset, decision: ManualDecision | None = None
) -> Link:
    evidence = describe(run, candidate, ruleset)
    if decision:
        evidence["rejectedBy"] = decision.by
    target = candidate.target
    return Link(
        pull_request_id=target.pull.id if target.pull else None,
        commit_sha=target.commit.sha if target.commit else None,
        rule=candidate.rule,
        confidence=ruleset.confidence[candidate.rule],
        state=state,
        evidence=evidence,
    )
