"""People made one, kept apart and taken apart: what every sync keeps, and what runs, sums and links do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from costlens.domain.errors import InvalidInput, NotFound
from costlens.domain.github import CommitRecord, PersonRecord, Record, ReviewRecord
from costlens.domain.names import Identity, identities_of
from costlens.services import people
from costlens.services.linking import link_repository
from costlens.services.people import PersonLine
from costlens.services.sync import import_records
from costlens.store import tables as t
from costlens.store.people import Detached
from tests.services.ledger import NOW, Ledger, a_commit, a_pull, a_run, check_buckets, check_sums, open_ledger

HOUR = timedelta(hours=1)
WORK, HOME = identities_of(email="alice@example.com"), identities_of(email="ali@home.example")
OWNER = "alice@example.com"


@pytest.fixture
def ledger(engine: str) -> Iterator[Ledger]:
    with open_ledger(engine=engine) as opened:
        yield opened
        check_sums(opened)
        check_buckets(opened)


def load(ledger: Ledger, *records: Record) -> None:
    import_records(ledger.store, ledger.organization.id, records, now=NOW)


def link(ledger: Ledger) -> int:
    """Runs whose links changed in a pass over what is marked."""
    done = link_repository(ledger.store, ledger.organization.id, ledger.repository("acme/web"), now=NOW)
    again = link_repository(ledger.store, ledger.organization.id, ledger.repository("acme/web"), now=NOW, full=True)
    assert again.changed == 0
    return done.changed


def person_of(ledger: Ledger, value: str) -> PersonLine:
    found = people.people(ledger.store, ledger.organization.id, now=NOW).lines
    return next(one for one in found if any(identity.value == value for identity in one.identities))


def pairs(ledger: Ledger) -> list[tuple[str, str, str]]:
    found = people.people(ledger.store, ledger.organization.id, now=NOW).suggestions
    return [(one.first.label, one.second.label, one.evidence) for one in found]


def merge(ledger: Ledger, first: str, second: str) -> str:
    ids = person_of(ledger, first).id, person_of(ledger, second).id
    return people.merge(ledger.store, ledger.organization.id, OWNER, *ids, now=NOW)


def split(ledger: Ledger, value: str) -> Detached:
    one = person_of(ledger, value)
    chosen = [identity for identity in one.identities if identity.value == value]
    return people.split(ledger.store, ledger.organization.id, OWNER, one.id, chosen, now=NOW)


def facts() -> list[Record]:
    """alice commits at work, and as somebody of another address at home; a review and two names tell of both."""
    at = NOW - 3 * HOUR
    work = replace(a_commit("a1", at), author=WORK, author_name="Alice Jones")
    home = replace(a_commit("b1", at + HOUR), author=HOME, author_name="Alice Jones")
    return [
        a_pull(1, work, author=WORK, merged_at=NOW, closed_at=NOW),
        a_pull(2, home, author=HOME, reviews=(ReviewRecord(WORK, "approved", NOW),)),
    ]


def test_a_confirmed_suggestion_links_and_every_sync_keeps_it(ledger: Ledger) -> None:
    load(ledger, *facts())
    at = NOW - 2 * HOUR
    run = ledger.send_one(a_run(actor="alice@example.com", repository="acme/web", branch="feature/2", occurred_at=at))
    link(ledger)
    assert ledger.row(run.id).link_state != "counted"
    assert pairs(ledger) == [("Alice Jones", "Alice Jones", "both have the name “Alice Jones”")]

    assert merge(ledger, "ali@home.example", "alice@example.com") == "Alice Jones"
    assert link(ledger) == 1
    assert ledger.row(run.id).link_state == "counted"
    assert pairs(ledger) == []
    before = ledger.dump()
    load(ledger, *facts())
    assert ledger.dump() == before
    alice = person_of(ledger, "alice@example.com")
    assert (alice.commits, alice.pulls, alice.runs, alice.role) == (2, 2, 1, "owner")
    assert [row["action"] for row in ledger.rows(t.audit_entries)][-1] == "person.merged"


def test_a_dismissal_is_kept_through_syncs_and_merges(ledger: Ledger) -> None:
    load(ledger, *facts())
    ids = person_of(ledger, "alice@example.com").id, person_of(ledger, "ali@home.example").id
    said = people.dismiss(ledger.store, ledger.organization.id, OWNER, *ids, now=NOW)
    assert said == ("Alice Jones", "Alice Jones")
    assert pairs(ledger) == []
    people.dismiss(ledger.store, ledger.organization.id, OWNER, *ids[::-1], now=NOW)  # again changes nothing
    # Even what GitHub says of one account does not undo a person's word; the account says whose the commit is.
    both = (*identities_of(login="alice", github_id=7), *WORK)
    load(ledger, *facts(), PersonRecord(both, "Alice Jones"))
    load(ledger, PersonRecord((*both[:2], *HOME), "Alice Jones"))
    assert person_of(ledger, "alice").id == ids[0]
    assert person_of(ledger, "ali@home.example").id == ids[1]
    assert pairs(ledger) == []
    # The word goes along with who is merged.
    load(ledger, PersonRecord(identities_of(login="third"), "Alice Jones"))
    assert len(pairs(ledger)) == 2
    merge(ledger, "third", "alice@example.com")
    assert pairs(ledger) == []
    assert [row["action"] for row in ledger.rows(t.audit_entries)].count("person.kept_apart") == 2


def test_a_wrong_merge_is_taken_apart_with_all_that_names_it(ledger: Ledger) -> None:
    load(ledger, *facts())
    at = NOW - 2 * HOUR
    head = a_run(repository="acme/web", branch="feature/2", occurred_at=at)
    mine = ledger.send_one(replace(head, actor="alice@example.com"))
    home = ledger.send_one(replace(head, actor="ali@home.example"))
    keyed = ledger.send_one(head, key=ledger.own)  # by alice's own key, which names her address
    nobody = ledger.send_one(head)
    link(ledger)
    states = {run.id: ledger.row(run.id).link_state for run in (mine, home, keyed, nobody)}
    stored = ledger.rows(t.rollup_day)
    merge(ledger, "alice@example.com", "ali@home.example")
    link(ledger)
    assert ledger.row(mine.id).link_state == "counted"

    done = split(ledger, "ali@home.example")
    assert (done.runs, done.commits, done.pulls) == (1, 1, 1)
    link(ledger)
    assert {run.id: ledger.row(run.id).link_state for run in (mine, home, keyed, nobody)} == states
    without = [{**row, "person_id": 0} for row in stored if row["runs"]]
    assert [{**row, "person_id": 0} for row in ledger.rows(t.rollup_day) if row["runs"]] == without
    alice, other = person_of(ledger, "alice@example.com"), person_of(ledger, "ali@home.example")
    assert (alice.runs, alice.commits, alice.pulls) == (2, 1, 1)
    assert (other.runs, other.commits, other.pulls, other.label) == (1, 1, 1, "Alice Jones")
    assert [row["person_id"] for row in ledger.rows(t.pull_request_reviews)] == [alice.id]
    assert pairs(ledger) == []  # they were told apart

    # Later commits under both names stay apart, and the one that was taken away says whose a commit is.
    both = (*identities_of(login="alice", github_id=7), *HOME)
    load(ledger, *facts(), PersonRecord((*both[:2], *WORK)))
    load(ledger, replace(a_commit("c1", NOW), author=both))
    assert person_of(ledger, "ali@home.example").commits == 2
    assert person_of(ledger, "alice").id == alice.id
    # A merge takes it all back, and from then on GitHub's word holds again.
    merge(ledger, "alice@example.com", "ali@home.example")
    load(ledger, replace(a_commit("c2", NOW), author=(*HOME, *identities_of(login="ali"))))
    assert person_of(ledger, "ali").id == alice.id
    assert (person_of(ledger, "ali").runs, person_of(ledger, "ali").commits) == (3, 4)


def test_identities_of_one_person_show_what_names_them(ledger: Ledger) -> None:
    load(ledger, *facts())
    ledger.send(a_run(actor="ali@home.example"), a_run(actor="alice@example.com"), key=ledger.key)
    ledger.send(a_run(), key=ledger.own)
    merge(ledger, "alice@example.com", "ali@home.example")
    found = people.person(ledger.store, ledger.organization.id, person_of(ledger, "alice@example.com").id)
    shown = {one.identity.value: (one.runs, one.cost_nanos, one.commits, one.pulls) for one in found.identities}
    assert shown == {"ali@home.example": (1, 3_500_000, 1, 1), "alice@example.com": (2, 7_000_000, 1, 1)}
    assert found.person.cost_nanos == 10_500_000


def test_strangers_and_runs_of_nobody(ledger: Ledger) -> None:
    load(ledger, *facts())
    ledger.send(a_run(actor="aj"), a_run(), a_run(environment="production"))
    found = people.people(ledger.store, ledger.organization.id, now=NOW)
    assert [(one.label, one.runs) for one in found.strangers] == [("aj", 1)]
    assert [(one.key, one.runs, one.cost_nanos) for one in found.nobody] == [("shared", 1, 3_500_000)]
    assert len(found.authors()) == 2
    assert [one.label for one in people.matching(found.lines, " AJ ")] == ["aj"]


def test_bots_are_marked_and_never_suggested(ledger: Ledger) -> None:
    renovate = replace(
        a_commit("r1", NOW), author=identities_of(email="bot@renovateapp.com"), author_name="Alice Jones"
    )
    load(ledger, *facts(), renovate, replace(a_commit("d1", NOW), author=identities_of(login="dependabot[bot]")))
    assert person_of(ledger, "bot@renovateapp.com").bot
    assert person_of(ledger, "dependabot[bot]").bot
    assert not person_of(ledger, "alice@example.com").bot
    assert len(pairs(ledger)) == 1


def test_an_address_of_many_makes_nobody_one(ledger: Ledger) -> None:
    for who in ("alice", "bob"):
        author = identities_of(login=who, email="noreply@github.com")
        load(ledger, CommitRecord("acme/web", f"{who}1", NOW, NOW, "Change", author))
    assert person_of(ledger, "alice").id != person_of(ledger, "bob").id


def test_what_cannot_be_is_refused(ledger: Ledger) -> None:
    load(ledger, *facts())
    one = person_of(ledger, "alice@example.com")
    arguments = (ledger.store, ledger.organization.id, OWNER)
    with pytest.raises(InvalidInput):
        people.merge(*arguments, one.id, one.id)
    with pytest.raises(NotFound):
        people.merge(*arguments, one.id, 10**9)
    with pytest.raises(NotFound):
        people.split(*arguments, 10**9, WORK)
    for chosen in ([], [*WORK], [*HOME], [Identity("login", "nobody")]):
        with pytest.raises(InvalidInput):
            people.split(*arguments, one.id, chosen)
    with pytest.raises(NotFound):
        people.person(ledger.store, ledger.organization.id + 1, one.id)


def test_a_declared_sign_is_stored_with_the_pull_request(ledger: Ledger) -> None:
    """From the body, a commit's message, and the name that aider signs with; an updater's quotes are none."""
    quoted, sign = identities_of(login="renovate[bot]"), "Co-Authored-By: Claude <noreply@anthropic.com>"
    load(
        ledger,
        a_pull(1, a_commit("a1", NOW), body=f"Why.\n\n{sign}"),
        a_pull(2, replace(a_commit("a2", NOW), message=f"Change\n\n{sign}")),
        a_pull(3, replace(a_commit("a3", NOW), author_name="Alice (aider)")),
        a_pull(4, replace(a_commit("a4", NOW), author=quoted, message=f"Raise\n\n{sign}"), author=quoted, body=sign),
        a_pull(5, a_commit("a5", NOW)),
    )
    stored = {row["number"]: row["ai_signal"] for row in ledger.rows(t.pull_requests)}
    assert stored == {1: "claude", 2: "claude", 3: "aider", 4: None, 5: None}
