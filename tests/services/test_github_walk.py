"""The walk over a repository: what it stores, what it costs, what it does when the repository changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from costlens.domain.names import identities_of
from costlens.domain.runs import RunInput
from costlens.domain.usage import Usage, UsageQuality
from costlens.github.snapshot import read_snapshot
from costlens.services import github_details
from costlens.services.ingest import ingest
from costlens.services.keys import authenticate
from costlens.services.organizations import create_organization
from costlens.services.sync import import_records
from costlens.store import sync as sync_store
from costlens.store.engine import Store
from costlens.store.identity import person_ids, repository_ids
from costlens.store.organizations import Organization
from tests.databases import open_store
from tests.github import peer as github
from tests.github.peer import START, Peer, a_commit, a_pull, history, snapshot_lines, stamp
from tests.github.stored import facts
from tests.services.github_world import World


@pytest.fixture
def peer() -> Iterator[Peer]:
    with github.serving(history()) as serving:
        yield serving


@pytest.fixture(params=["rest", "graphql"])
def world(store: Store, acme: Organization, peer: Peer, request: pytest.FixtureRequest) -> World:
    made = World(store, peer, acme.id, source=str(request.param))
    made.connect()
    return made


@pytest.fixture
def rest(store: Store, acme: Organization, peer: Peer) -> World:
    made = World(store, peer, acme.id)
    made.connect()
    return made


def from_snapshot(engine: str, *repos: github.Repo) -> dict[str, object]:
    """What a snapshot file with the same facts leaves."""
    with open_store(engine) as other:
        organization = create_organization(other, "Acme", "alice@example.com", plan="self-hosted").organization
        for repo in repos:
            import_records(other, organization.id, read_snapshot(snapshot_lines(repo)))
        return facts(other)


def test_the_rows_of_every_source_are_equal(world: World, engine: str) -> None:
    world.walk()
    found = facts(world.store)
    assert len(found["pulls"]) == 60
    assert found == from_snapshot(engine, *world.peer.repos)
    row = world.row()
    assert (row.state, row.phase, row.watermark, row.error) == ("ok", "idle", START, None)
    assert row.due_at == world.now + timedelta(minutes=15)


def test_a_walk_cut_into_many_jobs_ends_the_same(rest: World, engine: str) -> None:
    rest.walk(pages=1)
    assert facts(rest.store) == from_snapshot(engine, *rest.peer.repos)


def test_the_newest_pull_requests_are_there_first(rest: World) -> None:
    rest.step(pages=1)
    numbers = sorted(row["number"] for row in facts(rest.store)["pulls"])
    assert numbers == list(range(36, 61))


def test_nothing_new_costs_nothing(world: World) -> None:
    world.walk()
    world.peer.forget()
    for _ in range(5):
        world.later(minutes=15)
        world.walk()
    assert (world.peer.count(), world.peer.free) == (10, 10)
    assert world.row().succeeded_at == world.now


def test_a_walk_that_is_not_due_asks_nothing(rest: World) -> None:
    rest.walk()
    rest.peer.forget()
    rest.later(minutes=14)
    rest.walk()
    assert rest.peer.count() == 0


def test_only_what_changed_is_read_again(world: World, engine: str) -> None:
    world.walk()
    repo = world.peer.repo()
    world.later(minutes=15)
    repo.pulls.append(a_pull(61, world.now, "bob", state="open"))
    opened = next(pull for pull in repo.pulls if pull["number"] == 3)
    opened |= {"merged_at": stamp(world.now), "closed_at": stamp(world.now), "updated_at": stamp(world.now)}
    repo.commits.insert(0, a_commit("Pushed", world.now, "alice"))
    world.peer.forget()
    world.walk()
    assert facts(world.store) == from_snapshot(engine, repo)
    # Repository, probe, list, commits; over REST three more for each of the two, and for the one before them.
    assert world.peer.count() <= 4 + 3 * 3


def test_a_change_during_the_walk_is_read_by_the_next(world: World, engine: str) -> None:
    world.step(pages=1)
    repo = world.peer.repo()
    late = next(pull for pull in repo.pulls if pull["number"] == 5)
    late |= {"title": "Changed while it was read", "updated_at": stamp(START + timedelta(minutes=30))}
    world.walk()
    world.later(minutes=15)
    world.walk()
    assert facts(world.store) == from_snapshot(engine, repo)


def test_the_horizon_ends_the_first_walk(rest: World) -> None:
    rest.now = START + timedelta(days=180) - timedelta(hours=29, minutes=30)
    with rest.store.write() as tx:
        tx.exec_driver_sql("UPDATE github_repositories SET due_at = 0")
    rest.walk()
    found = facts(rest.store)
    assert sorted(row["number"] for row in found["pulls"]) == list(range(31, 61))
    assert rest.row().covers_from == rest.now - timedelta(days=180)


def test_a_long_pull_request_has_250_commits(world: World) -> None:
    world.peer.repo().pulls = [a_pull(7, START, "alice", commits=260)]
    world.walk()
    (pull,) = facts(world.store)["pulls"]
    assert len(pull["commits"]) == 250


def test_a_renamed_repository_keeps_its_rows_and_answers_to_both_names(rest: World) -> None:
    rest.walk()
    before = facts(rest.store)
    rest.peer.repo().name = "acme/storefront"
    rest.later(minutes=15)
    rest.walk()
    assert rest.row().name == "acme/storefront"
    after = facts(rest.store)
    assert [row["name"] for row in after["repositories"]] == ["acme/storefront"]
    assert [row["number"] for row in after["pulls"]] == [row["number"] for row in before["pulls"]]


def test_a_rename_in_the_middle_of_a_walk_is_followed(world: World, engine: str) -> None:
    world.step(pages=1)
    repo = world.peer.repo()
    repo.name = "beta/web"
    where = {"Location": f"{world.peer.url}/repos/beta/web/pulls"}
    world.peer.script(r"GET /repos/acme/web/pulls\?", *[(301, where, None)] * 3)
    world.walk()
    assert (world.row().state, world.row().name) == ("ok", "beta/web")
    assert facts(world.store) == from_snapshot(engine, repo)


def test_an_archived_repository_is_looked_at_once_a_day(rest: World) -> None:
    rest.peer.repo().archived = True
    rest.walk()
    row = rest.row()
    assert (row.archived, row.due_at) == (True, rest.now + timedelta(days=1))


def test_a_repository_without_commits_is_empty_and_fills_later(world: World, engine: str) -> None:
    full = world.peer.repo()
    pulls, commits = full.pulls, full.commits
    full.pulls, full.commits = [], []
    world.walk()
    assert (world.row().state, facts(world.store)["commits"]) == ("empty", [])
    world.later(minutes=15)
    world.walk()
    assert world.row().state == "empty"
    full.pulls, full.commits = pulls, commits
    world.now = START + timedelta(hours=2)
    world.later(minutes=15)
    world.walk()
    assert world.row().state == "ok"


def test_a_repository_that_was_emptied_keeps_its_rows(rest: World) -> None:
    rest.walk()
    before = facts(rest.store)
    rest.peer.repo().commits = []
    rest.later(minutes=15)
    rest.walk()
    assert (rest.row().state, rest.row().phase) == ("empty", "idle")
    assert facts(rest.store) == before


def test_news_are_handed_on_before_older_changes_are_read(rest: World) -> None:
    rest.walk()
    for pull in rest.peer.repo().pulls:  # three pages of changes
        pull["updated_at"] = stamp(START + timedelta(minutes=61 + pull["number"]))
        pull["title"] += "!"
    rest.later(hours=3)
    step = rest.step()
    assert (step.pages, step.wait, len(step.changed)) == (1, timedelta(0), 1)
    rest.walk()
    assert all(row["title"].endswith("!") for row in facts(rest.store)["pulls"])


def test_a_lost_repository_keeps_its_data_and_comes_back(rest: World) -> None:
    rest.walk()
    before = facts(rest.store)
    lost = rest.peer.repos.pop()
    rest.later(minutes=15)
    rest.walk()
    row = rest.row()
    assert (row.state, row.due_at) == ("lost", rest.now + timedelta(hours=6))
    assert "Not Found" in row.error
    assert facts(rest.store) == before
    rest.peer.repos.append(lost)
    rest.later(hours=6)
    rest.walk()
    assert (rest.row().state, rest.row().error) == ("ok", None)


def test_a_repository_that_runs_named_first_is_the_same_one(rest: World) -> None:
    with rest.store.write() as tx:
        (known,) = set(repository_ids(tx, rest.organization_id, ["Acme/Web"], rest.now).values())
    rest.walk()
    assert rest.row().repository_id == known
    assert len(facts(rest.store)["repositories"]) == 1


def test_reviews_that_change_are_read_again(world: World, engine: str) -> None:
    world.walk()
    repo = world.peer.repo()
    world.later(minutes=15)
    pull = next(one for one in repo.pulls if one["number"] == 10)
    assert pull["_reviews"] == []
    pull["_reviews"] = [github._review(10, 1, world.now), github._review(10, 0, world.now)]
    pull["updated_at"] = stamp(world.now)
    world.walk()
    assert facts(world.store) == from_snapshot(engine, repo)
    assert sum(row[0] == "acme/web#10" for row in facts(world.store)["reviews"]) == 2


def test_reviews_follow_a_person_who_turns_out_to_be_another(rest: World) -> None:
    rest.walk()
    with rest.store.write() as tx:
        person_ids(tx, rest.organization_id, [identities_of(login="alice", email="bob@example.com")], rest.now)
    reviews = facts(rest.store)["reviews"]
    assert reviews
    assert all(person is not None for _, _, person, _, _ in reviews)


def test_prompts_of_merged_diffs_are_read_where_runs_name_any(rest: World, alice_key: str) -> None:
    rest.walk()
    assert (rest.peer.count("/files"), facts(rest.store)["prompts"]) == (0, [])
    used = Usage(1_000, 0, 0, 0, 200, 0, UsageQuality.EXACT)
    run = RunInput("openai", "gpt-5.4", used, datetime.now(UTC), prompt_id="write-7")
    ingest(rest.store, authenticate(rest.store, alice_key, "ingest"), [run], now=datetime.now(UTC))
    rest.later(minutes=15)
    rest.walk()
    merged = {pull["number"] for pull in rest.peer.repo().pulls if pull["merged_at"]}
    assert rest.peer.count("/files") == len(merged)
    found = {row[0]: row[1] for row in facts(rest.store)["prompts"]}
    assert found == {f"acme/web#{number}": f"write-{number}" for number in merged}
    rest.later(minutes=15)
    rest.peer.forget()
    rest.walk()
    assert rest.peer.count("/files") == 0


def test_details_of_many_pull_requests_are_spread_over_several_walks(
    rest: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github_details, "A_WALK", 20)
    for reviewed in (20, 40, 60, 60):
        rest.walk()
        assert rest.row().state == "ok"
        assert rest.peer.count("/reviews") == reviewed
        rest.later(minutes=15)


def test_a_pull_request_that_is_gone_meanwhile_stops_nothing(rest: World) -> None:
    rest.peer.script(r"/pulls/60/reviews", (404, {}, {"message": "Not Found"}))
    rest.walk()
    assert (rest.row().state, rest.row().phase) == ("ok", "idle")
    assert rest.peer.count("/reviews") == 60


def test_an_unchosen_repository_is_not_read(rest: World) -> None:
    with rest.store.write() as tx:
        sync_store.choose(tx, rest.organization_id, [], rest.now)
    rest.walk()
    assert rest.peer.count() == 0
    assert facts(rest.store)["pulls"] == []
