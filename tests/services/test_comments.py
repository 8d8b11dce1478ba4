"""Comments on pull requests: one, edited in place, not again after a person deleted it; quiet when GitHub says no."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from costlens.domain.access import Member
from costlens.domain.errors import Forbidden, InvalidInput
from costlens.domain.pull_comments import marker
from costlens.domain.runs import RunInput
from costlens.domain.usage import Usage, UsageQuality
from costlens.services import comments, github_connect, github_disconnect, linking
from costlens.services.comment_settings import delete_comments, set_comments, try_again
from costlens.services.ingest import ingest
from costlens.services.keys import authenticate
from costlens.store import connections, pull_comments
from costlens.store import sync as sync_store
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.organizations import Organization, find_member
from tests.github import peer as github
from tests.github.peer import START, Answer, Peer, account, history
from tests.services.github_world import World
from tests.services.test_github_trouble import app_key

USED = Usage(100_000, 50_000, 0, 0, 20_000, 0, UsageQuality.EXACT)
OPEN, MERGED, BOTS, WITHOUT = 7, 4, 10, 11  # numbers of pull requests; the last is open and has no runs
BASE = "https://costlens.example.com"
FORBIDDEN = (403, {}, {"message": "Resource not accessible by personal access token"})


class Desk:
    """A connected organization with comments on, whose jobs a test does by hand."""

    def __init__(self, world: World, key: str) -> None:
        self.world, self.key, self.sent = world, key, 0

    def runs(self, number: int, count: int = 3, model: str = "gpt-5.4") -> None:
        """Runs of a pull request come in and are linked."""
        store, made = self.world.store, []
        for _ in range(count):
            self.sent += 1
            made.append(
                RunInput("openai", model, USED, START - timedelta(hours=1), repository="acme/web", pr_number=number,
                         request_id=f"r-{self.sent}", prompt_id="secret-prompt", actor="alice")
            )  # fmt: skip
        ingest(store, authenticate(store, self.key, "ingest"), made, now=self.world.now)
        linking.link_repository(store, self.world.organization_id, self.repository_id, now=self.world.now)

    @property
    def repository_id(self) -> int:
        return int(self.world.row().repository_id)

    def work(self, **later: float) -> int:
        """A job, so much later; answers how many times it wrote to GitHub."""
        self.world.later(**later)
        before = len(self.writes())
        comments.work(
            self.world.store, self.world.github, BASE, self.world.organization_id, clock=lambda: self.world.now
        )
        return len(self.writes()) - before

    def writes(self) -> list[str]:
        return [call for call in self.world.peer.calls if not call.startswith("GET") and "/issues/" in call]

    def texts(self) -> dict[str, str]:
        """What GitHub shows, by pull request; more than one comment on any is an error."""
        places = [one["_place"][1] for one in self.world.peer.comments.values()]
        assert len(places) == len(set(places))
        return {one["_place"][1]: one["body"] for one in self.world.peer.comments.values()}

    def rows(self) -> dict[int, Any]:
        """Our rows by the number of the pull request."""
        with self.world.store.read() as tx:
            query = select(t.pull_request_comments, t.pull_requests.c.number).join(
                t.pull_requests, t.pull_requests.c.id == t.pull_request_comments.c.pull_request_id
            )
            return {row.number: row for row in tx.execute(query)}

    def turn(self, *, on: bool = True, chosen: Sequence[int] | None = None) -> None:
        ids = [self.world.row().id] if chosen is None else chosen
        set_comments(self.world.store, self.world.alice, on=on, chosen=ids, now=self.world.now)

    def close(self, number: int, *, merged: bool = True) -> None:
        """A pull request is closed on GitHub, and the walk reads it."""
        (pull,) = [one for one in self.world.peer.repo().pulls if one["number"] == number]
        at = github.stamp(self.world.now)
        pull |= {"updated_at": at, "closed_at": at, "merged_at": at if merged else None}
        self.world.later(minutes=15)
        self.world.walk()


@pytest.fixture
def peer() -> Iterator[Peer]:
    with github.serving(history(12, 3)) as serving:
        yield serving


@pytest.fixture
def desk(store: Store, acme: Organization, peer: Peer, alice_key: str) -> Desk:
    made = Desk(World(store, peer, acme.id), alice_key)
    made.world.connect()
    made.world.walk()
    made.turn()
    return made


def test_one_comment_is_written_and_edited_in_place(desk: Desk) -> None:
    for number in (OPEN, MERGED, BOTS):
        desk.runs(number)
    assert desk.work() == 1, "not for bots, not for what was closed before, not where no run counts"
    (text,) = desk.texts().values()
    assert list(desk.texts()) == [str(OPEN)]
    assert text.startswith(marker(f"{BASE}/app/acme"))
    assert "in 3 runs so far" in text
    assert "33.3 % of the input tokens came from a cache" in text
    assert "3 runs named by the run" in text
    assert f"{BASE}/app/acme/pulls/acme/web/{OPEN}" in text
    for hidden in ("alice", "secret-prompt", "Change number", f"change-{OPEN}"):
        assert hidden not in text.removeprefix(marker(f"{BASE}/app/acme"))
    assert desk.work(hours=2) == 0, "nothing is new"
    desk.runs(OPEN, 3)
    assert desk.work(minutes=5) == 1, "the last edit was two hours ago"
    desk.runs(OPEN, 10)
    assert desk.work(minutes=30) == 0, "not twice within an hour"
    assert desk.work(minutes=31) == 1
    assert "in 16 runs so far" in desk.texts()[str(OPEN)]
    desk.close(OPEN)
    assert desk.work() == 1, "at once when it is merged"
    assert "in 16 runs, merged" in desk.texts()[str(OPEN)]
    desk.runs(OPEN, 20)
    assert desk.work(days=31) == 0, "not kept up for ever"
    assert [call.partition(" ")[0] for call in desk.writes()] == ["POST", "PATCH", "PATCH", "PATCH"]


def test_off_is_off(desk: Desk, peer: Peer) -> None:
    desk.runs(OPEN)
    peer.forget()
    for on, chosen in ((False, None), (True, []), (False, [])):
        desk.turn(on=on, chosen=chosen)
        assert desk.work() == 0
    assert comments.at_work(desk.world.store) == []
    desk.close(OPEN)
    desk.world.later(minutes=1)
    desk.turn()
    assert comments.at_work(desk.world.store) == [desk.world.organization_id]
    peer.forget()
    assert desk.work() == 0, "closed before it was turned on"
    assert peer.count() == 0


def test_a_comment_whose_row_was_lost_is_found_and_copies_of_others_are_not(desk: Desk, peer: Peer) -> None:
    for number, who in enumerate(("bob", "charlie") * 60):
        peer.comments[number] = {
            "id": number, "user": account(who), "body": f"{marker(BASE + '/app/acme')} copied",
            "_place": ("acme/web", str(OPEN)),
        }  # fmt: skip
    desk.runs(OPEN)
    assert desk.work() == 1
    ours = [one for one in peer.comments.values() if one["user"]["login"] == "alice"]
    assert len(ours) == 1
    with desk.world.store.write() as tx:
        tx.execute(t.pull_request_comments.delete())
    assert desk.work() == 0, "it says so already"
    assert desk.rows()[OPEN].comment_id == ours[0]["id"]
    with desk.world.store.write() as tx:
        tx.execute(t.pull_request_comments.delete())
    desk.runs(OPEN)
    assert desk.work() == 1
    assert [call.partition(" ")[0] for call in desk.writes()] == ["POST", "PATCH"]
    assert "in 6 runs so far" in ours[0]["body"]


def test_killed_between_the_answer_and_our_note(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    desk.runs(OPEN)
    with monkeypatch.context() as patch:
        patch.setattr(comments, "_settle", killed)
        with pytest.raises(KeyboardInterrupt):
            desk.work()
    assert len(desk.texts()) == 1
    assert desk.work(minutes=1) == 0, "nobody else takes it while that one may still live"
    assert desk.rows()[OPEN].state == "due"
    assert desk.work(minutes=6) == 0
    assert len(desk.texts()) == 1
    assert (desk.rows()[OPEN].state, desk.rows()[OPEN].comment_id) == ("written", *desk.world.peer.comments)


def test_what_a_person_deleted_is_not_written_again(desk: Desk, peer: Peer) -> None:
    desk.runs(OPEN)
    desk.work()
    peer.comments.clear()
    desk.runs(OPEN, 10)
    assert desk.work(hours=2) == 1, "the edit that failed"
    assert desk.rows()[OPEN].state == "removed"
    desk.runs(OPEN, 50)
    desk.close(OPEN)
    desk.turn(on=False)
    desk.turn()
    assert desk.work(hours=2) == 0
    assert peer.comments == {}


def test_without_the_permission_it_is_asked_once_and_said(desk: Desk, peer: Peer) -> None:
    desk.runs(OPEN)
    desk.runs(3)
    peer.script(r"POST /repos/acme/web/issues", FORBIDDEN)
    assert desk.work() == 1
    assert "not accessible by personal access token" in desk.world.row().comments_error
    assert desk.work(hours=30) == 0
    try_again(desk.world.store, desk.world.alice)
    assert desk.work() == 2
    assert desk.world.row().comments_error is None
    assert len(desk.texts()) == 2


def test_an_app_that_is_given_the_permission_begins_by_itself(desk: Desk, peer: Peer) -> None:
    world = desk.world
    with world.store.write() as tx:
        connections.keep_installations(tx, world.organization_id, {1: "acme"})
        tx.exec_driver_sql("UPDATE github_repositories SET installation_id = 1")
        app = {"kind": "app", "app_id": 7, "app_slug": "costlens-acme", "private_key": world.box.seal(app_key())}
        connections.change_connection(tx, world.organization_id, app)
    peer.commenter = {"login": "costlens-acme[bot]", "id": 77}
    peer.may_comment = False
    github_connect.refresh(world.store, world.github, world.organization_id)
    desk.runs(OPEN)
    peer.forget()
    assert desk.work() == 0
    assert peer.count() == 0, "GitHub has said what would come of it"
    peer.may_comment = True
    minted = peer.minted
    github_connect.refresh(world.store, world.github, world.organization_id)
    assert desk.work() == 1
    assert peer.minted > minted, "an older token keeps its permissions"
    with world.store.write() as tx:
        tx.execute(t.pull_request_comments.delete())
    assert desk.work() == 0
    assert len(desk.texts()) == 1


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ((403, {}, {"message": "Unable to create comment because issue is locked."}), 86_400),
        ((422, {}, {"message": "Validation Failed"}), 86_400),
        ((404, {}, {"message": "Not Found"}), 21_600),
        ((301, {}, {"message": "Moved Permanently"}), 900),
        ((403, {"Retry-After": "300"}, {"message": "You have exceeded a secondary rate limit"}), 300),
        ((429, {}, None), 60),
        ((502, {}, None), 10),
        ((401, {}, {"message": "Bad credentials"}), 900),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else "",
)
def test_github_says_no(desk: Desk, peer: Peer, answer: Answer, seconds: int) -> None:
    desk.runs(OPEN)
    peer.script(r"POST /repos/acme/web/issues", answer)
    assert desk.work() == 1
    row = desk.rows()[OPEN]
    assert row.due_at == desk.world.now + timedelta(seconds=seconds)
    assert row.error
    assert desk.work(seconds=seconds - 1) == 0
    with desk.world.store.read() as tx:
        installation = sync_store.get_installation(tx, desk.world.organization_id, 0)
    assert installation is not None
    assert (installation.paused_until is not None) == ("Retry-After" in answer[1] or answer[0] == 429)
    assert desk.work(seconds=1) == 1
    assert desk.rows()[OPEN].error is None
    assert len(desk.texts()) == 1


def test_a_pause_of_the_walk_holds_for_comments(desk: Desk, peer: Peer) -> None:
    desk.runs(OPEN)
    peer.script(r"/pulls", (429, {"Retry-After": "120"}, None))
    desk.world.later(minutes=20)
    desk.world.step()
    calls = peer.count()
    assert desk.work() == 0
    assert peer.count() == calls
    assert desk.work(seconds=121) == 1


def test_a_job_writes_a_few_and_the_next_one_goes_on(desk: Desk) -> None:
    for number in (3, 7, 11):
        desk.runs(number)
    world = desk.world
    for left in (2, 1, 0):
        comments.work(world.store, world.github, BASE, world.organization_id, clock=lambda: world.now, attempts=1)
        assert sum(row.state == "due" for row in desk.rows().values()) == left
    assert len(desk.texts()) == 3


def test_comments_are_deleted_where_they_are_off(desk: Desk, peer: Peer) -> None:
    for number in (3, 7):
        desk.runs(number)
    desk.work()
    store, alice = desk.world.store, desk.world.alice
    assert delete_comments(store, alice) == 0, "they are on"
    desk.turn(on=False)
    peer.comments.pop(next(iter(peer.comments)))  # one of them by a person, before the job
    assert delete_comments(store, alice, now=desk.world.now) == 2
    assert comments.at_work(store) == [desk.world.organization_id]
    peer.script(r"DELETE", (502, {}, None))
    desk.work()
    desk.work(seconds=10)
    assert (peer.comments, desk.rows()) == ({}, {})
    assert comments.at_work(store) == []


def test_a_comment_that_may_not_be_deleted_says_why_and_is_tried_again(desk: Desk, peer: Peer) -> None:
    desk.runs(OPEN)
    desk.work()
    world = desk.world
    desk.turn(on=False)
    assert delete_comments(world.store, world.alice, now=world.now) == 1
    peer.script(r"DELETE", FORBIDDEN)
    assert desk.work() == 1
    row = desk.rows()[OPEN]
    assert (row.state, row.due_at) == ("unwanted", world.now + timedelta(days=1))
    assert world.row().comments_error is None, "what a repository allows is another matter"
    assert github_connect.connected(world.store, world.organization_id).unwanted_comments == (1, row.error)
    assert desk.work(hours=1) == 0
    try_again(world.store, world.alice, now=world.now)
    assert desk.work() == 1
    assert (peer.comments, desk.rows()) == ({}, {})


def test_a_comment_out_of_sight_is_not_taken_for_deleted(desk: Desk, peer: Peer) -> None:
    desk.runs(OPEN)
    desk.work()
    desk.turn(on=False)
    delete_comments(desk.world.store, desk.world.alice, now=desk.world.now)
    hidden = (404, {}, {"message": "Not Found"})
    peer.script(r"DELETE", hidden)
    peer.script(r"GET /repos/acme/web/issues", hidden)
    desk.work()
    assert desk.rows()[OPEN].state == "unwanted"
    assert len(peer.comments) == 1
    desk.work(hours=6)
    assert (peer.comments, desk.rows()) == ({}, {})


def test_a_comment_that_is_to_go_is_not_planned_again(desk: Desk) -> None:
    desk.runs(OPEN)
    desk.work()
    store, row = desk.world.store, desk.rows()[OPEN]
    desk.turn(on=False)
    delete_comments(store, desk.world.alice, now=desk.world.now)
    with store.write() as tx:  # by a job that looked before
        pull_comments.plan(
            tx, row.organization_id, {row.pull_request_id: row.repository_id}, {row.pull_request_id: desk.world.now}
        )
    assert desk.rows()[OPEN].state == "unwanted"


def test_disconnected_nothing_is_written(desk: Desk, peer: Peer) -> None:
    desk.runs(OPEN)
    github_disconnect.disconnect(desk.world.store, desk.world.alice, "Acme")
    peer.forget()
    assert comments.at_work(desk.world.store) == []
    assert desk.work() == 0
    assert peer.count() == 0


def test_who_may_turn_them_on(desk: Desk, bob_key: str) -> None:
    world = desk.world
    with world.store.read() as tx:
        row = find_member(tx, world.organization_id, "bob@example.com")
        audit = list(tx.execute(select(t.audit_entries).where(t.audit_entries.c.action == "github.comments_changed")))
    assert row is not None
    bob = Member(world.organization_id, row.id, row.user_id, "bob@example.com", row.role)
    with pytest.raises(Forbidden):
        set_comments(world.store, bob, on=True, chosen=[])
    with pytest.raises(Forbidden):
        delete_comments(world.store, bob)
    with pytest.raises(InvalidInput):
        set_comments(world.store, world.alice, on=True, chosen=[world.row().id + 1000])
    assert [(one.actor, one.details) for one in audit] == [
        ("alice@example.com", {"on": True, "added": ["acme/web"], "removed": []})
    ]
