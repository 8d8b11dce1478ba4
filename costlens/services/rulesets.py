"""An organization's rulesets: made, compared with the links that hold, applied; and the tests of its rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from costlens.domain.access import Member
from costlens.domain.calibration import GUESSES, Tally, add_tests, proposal
from costlens.domain.errors import Conflict, NotFound
from costlens.domain.linking import RULESET_V1
from costlens.domain.links import Link, LinkState, Ruleset, RunLinks, Stance
from costlens.domain.rulesets import FIXED, MEANINGS, make_ruleset
from costlens.services.link_group import Examined, Linker, examine
from costlens.services.linking import every_group
from costlens.store import link_work
from costlens.store import rulesets as store_rulesets
from costlens.store.engine import Store
from costlens.store.identity import repositories_of
from costlens.store.link_marks import mark_all
from costlens.store.organizations import add_audit, list_organizations

EXPLICIT = ("M1", "X1", "X2", "X3", "S1", "S2")  # what tells a run's pull request well enough to test the others
NEWEST = 20_000  # runs that the nightly tests look at
OTHER = "another target"  # in a difference: counted before and after, but for another pull request


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One rule as an organization has it."""

    rule: str
    meaning: str
    confidence: int  # permille
    stance: Stance
    chosen: Stance | None  # None: by the threshold
    fixed: bool  # nobody may set it
    tally: Tally | None  # None: it cannot be tested
    proposal: Stance | None  # None: nothing speaks for a change


@dataclass(frozen=True, slots=True)
class Linking:
    """How an organization links: the ruleset in force with its rules, how they proved themselves, other rulesets."""

    ruleset: Ruleset
    in_force: Any | None  # its row; None: as delivered
    lines: Sequence[RuleLine]
    measured_at: datetime | None  # None: the rules were never tested
    draft: Any | None  # row of the ruleset that is not applied; None: there is none
    history: Sequence[Any]  # rows of applied ones, newest first
    relinking: store_rulesets.Relinking


def linking_of(store: Store, organization_id: int) -> Linking:
    """All that the page and the API tell."""
    with store.read() as tx:
        ruleset = store_rulesets.ruleset_of(tx, organization_id)
        rows = store_rulesets.list_rulesets(tx, organization_id)
        tallies, measured_at = store_rulesets.calibration(tx, organization_id)
        behind = store_rulesets.relinking(tx, organization_id)
    applied = [row for row in rows if row.version is not None]
    return Linking(
        ruleset=ruleset,
        in_force=applied[0] if applied else None,
        lines=[_line(rule, ruleset, tallies) for rule in MEANINGS if rule != "B2"],
        measured_at=measured_at,
        draft=next((row for row in rows if row.version is None), None),
        history=applied,
        relinking=behind,
    )


def _line(rule: str, ruleset: Ruleset, tallies: Mapping[str, Tally]) -> RuleLine:
    tally = tallies.get(rule, Tally()) if rule in GUESSES else None
    return RuleLine(
        rule=rule,
        meaning=MEANINGS[rule],
        confidence=ruleset.confidence[rule],
        stance=ruleset.stance(rule),
        chosen=ruleset.stances.get(rule),
        fixed=rule in FIXED,
        tally=tally,
        proposal=proposal(rule, tally, ruleset) if tally else None,
    )


def propose(
    store: Store, by: Member, threshold: int, stances: Mapping[str, str], *, now: datetime | None = None
) -> int:
    """Keeps a ruleset that is to be compared with the links that hold; answers its id.

    An earlier one that was not applied gives way. Raises Forbidden, InvalidInput, and Conflict where it is the one in
    force.
    """
    by.must("manage_linking")
    wanted = make_ruleset(0, threshold, stances)
    with store.write() as tx:
        current = store_rulesets.ruleset_of(tx, by.organization_id)
        if (current.threshold, dict(current.stances)) == (wanted.threshold, dict(wanted.stances)):
            raise Conflict("These are the rules in force: change one first")
        values = {"threshold": threshold, "stances": {rule: str(stance) for rule, stance in sorted(stances.items())}}
        head = {"created_by": by.email, "created_at": now or datetime.now(UTC)}
        return store_rulesets.add_draft(tx, by.organization_id, values | head)


def discard(store: Store, by: Member, *, now: datetime | None = None) -> bool:
    """Drops the ruleset that is not applied; answers whether there was one. Raises Forbidden."""
    by.must("manage_linking")
    with store.write() as tx:
        return store_rulesets.drop_drafts(tx, by.organization_id, now or datetime.now(UTC))


def compare(
    store: Store,
    organization_id: int,
    ruleset_id: int,
    *,
    now: datetime | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> bool:
    """Finds out what a ruleset would move and keeps it beside the ruleset; False: it is gone or was compared before."""
    at = now or datetime.now(UTC)
    with store.read() as tx:
        row = store_rulesets.get_ruleset(tx, organization_id, ruleset_id)
        if row is None or row.version is not None or row.compared_at is not None:
            return False
        repositories = [(one.id, one.name) for one in repositories_of(tx, organization_id)]
        total = sum(link_work.count_runs(tx, organization_id, number) for number, _ in repositories)
    ruleset = make_ruleset(0, row.threshold, row.stances)
    done, found = 0, []
    for number, name in repositories:
        linker = Linker(store, organization_id, number, ruleset, at)
        moves: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        for places in every_group(linker):
            examined = examine(linker, [run for _, run in places])
            _add_moves(moves, examined)
            done += len(examined.answers)
            if progress:
                progress(done, max(done, total))
        if moves:
            found.append(
                {
                    "repository": name,
                    "moves": [
                        {"from": before, "to": after, "runs": runs, "costNanos": nanos}
                        for (before, after), (runs, nanos) in sorted(moves.items())
                    ],
                }
            )
    values = {"difference": found, "compared_at": at, "runs_done": done, "runs_total": done}
    with store.write() as tx:
        store_rulesets.set_ruleset(tx, organization_id, ruleset_id, values)
    return True


@dataclass(frozen=True, slots=True)
class Move:
    """Runs of a repository that would go from one bucket of the ledger to another."""

    repository: str
    before: str
    after: str
    runs: int
    cost_nanos: int


def difference_lines(row: Any) -> list[Move] | None:
    """What a compared ruleset would move, most dollars first. None: it is not compared yet."""
    if row.difference is None:
        return None
    moves = [
        Move(one["repository"], move["from"], move["to"], move["runs"], move["costNanos"])
        for one in row.difference
        for move in one["moves"]
    ]
    return sorted(moves, key=lambda move: (-move.cost_nanos, -move.runs, move.repository, move.before, move.after))


def _add_moves(moves: dict[tuple[str, str], list[int]], examined: Examined) -> None:
    """Adds the runs that change their bucket, or count for another target, with what they cost."""
    for answer in examined.answers:
        row = examined.rows[answer.run_id]
        if row["linked_at"] is None:
            continue  # no pass has seen it: nothing of it moves
        before, after = row["link_state"], str(answer.state)
        if before == after:
            held = [(link["pull_request_id"], link["commit_sha"]) for link in examined.stored.get(answer.run_id, ())]
            if before != LinkState.COUNTED or _targets(held) == _targets(map(_target, answer.links)):
                continue
            after = OTHER
        move = moves[before, after]
        move[0] += 1
        move[1] += row["cost_nanos"] or 0


def _target(link: Link) -> tuple[int | None, str | None]:
    return link.pull_request_id, link.commit_sha


def _targets(links: Any) -> set[tuple[int | None, str | None]]:
    """Pull requests as wholes, commits outside them by themselves."""
    return {(pull, None) if pull else (None, sha) for pull, sha in links}


def apply(store: Store, by: Member, ruleset_id: int, *, now: datetime | None = None) -> list[int]:
    """Puts a compared ruleset in force as the next version; answers the repositories to link anew.

    Raises Forbidden, NotFound, and Conflict for one that is applied already or not compared yet.
    """
    by.must("manage_linking")
    at = now or datetime.now(UTC)
    with store.write() as tx:
        row = store_rulesets.get_ruleset(tx, by.organization_id, ruleset_id, lock=True)
        if row is None:
            raise NotFound("No such ruleset: another may have taken its place")
        if row.version is not None:
            raise Conflict(f"These rules are in force already, as version {row.version}")
        if row.compared_at is None:
            raise Conflict("The comparison with the links that hold is not finished")
        newest = store_rulesets.ruleset_in_force(tx, by.organization_id)
        version = (newest.version if newest else RULESET_V1.version) + 1
        values = {"version": version, "applied_by": by.email, "applied_at": at}
        store_rulesets.set_ruleset(tx, by.organization_id, ruleset_id, values)
        repositories = [one.id for one in repositories_of(tx, by.organization_id)]
        for repository_id in repositories:
            mark_all(tx, by.organization_id, repository_id)
        details = {"threshold": row.threshold, "stances": row.stances}
        add_audit(
            tx,
            by.organization_id,
            at=at,
            actor=by.email,
            action="ruleset.applied",
            subject=f"version {version}",
            details=details,
        )
    return repositories


def calibrate(store: Store, organization_id: int, *, now: datetime | None = None) -> dict[str, Tally]:
    """Tests the rules that guess on the newest runs that are linked by a person's word or an explicit id.

    Each such run is linked anew as if neither it nor any other had said where it belongs, by the rules as delivered,
    so that one that is off is tested too. What comes of it is stored and answered.
    """
    at = now or datetime.now(UTC)
    with store.read() as tx:
        places = store_rulesets.told_runs(tx, organization_id, EXPLICIT, NEWEST)
    by_repository: dict[int, list[link_work.Place]] = defaultdict(list)
    for repository_id, run, occurred_at in places:
        by_repository[repository_id].append((occurred_at, run))
    tallies = dict.fromkeys(GUESSES, Tally())
    for repository_id, own in by_repository.items():
        linker = Linker(store, organization_id, repository_id, RULESET_V1, at)
        for group in every_group(linker, own):
            examined = examine(linker, [run for _, run in group], hide=True)
            add_tests(tallies, _guesses(examined.answers), _truth(examined))
    with store.write() as tx:
        store_rulesets.set_calibration(tx, organization_id, tallies, at)
    return tallies


def _guesses(answers: Sequence[RunLinks]) -> list[tuple[int, str, tuple[int | None, str | None]]]:
    return [
        (answer.run_id, link.rule, next(iter(_targets([_target(link)]))))
        for answer in answers
        if answer.state in (LinkState.COUNTED, LinkState.SUGGESTED)
        for link in answer.links
        if link.rule in GUESSES
    ]


def _truth(examined: Examined) -> dict[int, list[tuple[int | None, str | None]]]:
    found: dict[int, list[tuple[int | None, str | None]]] = {}
    for run, links in examined.stored.items():
        told = [link for link in links if link["state"] == LinkState.COUNTED and link["rule"] in EXPLICIT]
        if told:
            found[run] = sorted(_targets((link["pull_request_id"], link["commit_sha"]) for link in told), key=str)
    return found


def tell_progress(store: Store, organization_id: int, ruleset_id: int, done: int, total: int) -> None:
    """Notes how far a comparison is, for those who wait for it."""
    with store.write() as tx:
        store_rulesets.set_ruleset(tx, organization_id, ruleset_id, {"runs_done": done, "runs_total": total})


def set_problem(store: Store, organization_id: int, ruleset_id: int, problem: str) -> None:
    """Notes why a comparison failed, so that it is not tried again and again."""
    with store.write() as tx:
        store_rulesets.set_ruleset(tx, organization_id, ruleset_id, {"problem": problem[:500]})


def every_organization(store: Store) -> list[int]:
    """Every organization there is, by id."""
    with store.read() as tx:
        return [one.id for one in list_organizations(tx)]


def waiting(store: Store) -> list[tuple[int, int]]:
    """(organization, ruleset) whose comparison a lost job left undone."""
    with store.read() as tx:
        return store_rulesets.uncompared(tx)
