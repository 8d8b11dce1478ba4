"""Runs in: identity, money, teams, merging and all-or-nothing, through the service and a real database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from costlens.domain.errors import Conflict, InvalidInput
from costlens.domain.usage import Usage, UsageQuality
from costlens.services.ingest import Accepted
from costlens.services.linking import link_repository
from costlens.services.organizations import create_team, ensure_user
from costlens.services.sync import import_records
from costlens.store import tables as t
from costlens.store.github import save_repository
from costlens.store.organizations import create_member, join_team
from tests.databases import allow, refuse
from tests.services.ledger import (
    MODEL,
    NOW,
    Ledger,
    a_commit,
    a_pull,
    a_run,
    check_buckets,
    check_sums,
    open_ledger,
    tokens,
)

A_RUN_COSTS = 1000 * 2_500 + 100 * 10_000  # nano-dollars


@pytest.fixture
def ledger(engine: str) -> Iterator[Ledger]:
    with open_ledger(engine=engine) as opened:
        yield opened
        check_sums(opened)
        check_buckets(opened)


def team_with(ledger: Ledger, name: str, email: str | None = None, repository: str | None = None) -> int:
    team = create_team(ledger.store, ledger.organization.id, name, now=NOW)
    with ledger.store.write() as tx:
        if email:
            user = ensure_user(tx, email, NOW)
            member = {"organization_id": ledger.organization.id, "user_id": user, "role": "member", "created_at": NOW}
            join_team(tx, team, create_member(tx, member))
        if repository:
            save_repository(tx, ledger.organization.id, ledger.repository(repository), {"team_id": team})
    return team


def test_stores_a_run_with_keys_and_rollups(ledger: Ledger) -> None:
    row = ledger.send_one(a_run(client_id="c1", request_id="r1", repository="acme/web", actor="bob", latency_ms=900))
    assert (row.cost_nanos, row.cost_status, row.link_state, row.linked_at) == (A_RUN_COSTS, "priced", "pending", None)
    keys = {(key["kind"], key["value"], key["run_id"]) for key in ledger.rows(t.run_keys)}
    assert keys == {("client", "c1", row.id), ("request", "r1", row.id)}
    quarter = ledger.rows(t.rollup_15m)[0]
    assert (quarter["runs"], quarter["cost_nanos"], quarter["input_uncached"]) == (1, A_RUN_COSTS, 1000)
    day = ledger.rows(t.rollup_day)[0]
    assert (day["person_id"], day["repository_id"]) == (row.person_id, row.repository_id)
    assert [row["runs"] for row in ledger.rows(t.rollup_latency)] == [1]


def test_the_same_request_again_writes_nothing(ledger: Ledger) -> None:
    first = ledger.send(a_run(request_id="r1", repository="acme/web"))[0]
    before = ledger.dump()
    again = ledger.send(a_run(request_id="r1", repository="acme/web"))[0]
    assert isinstance(first, Accepted)
    assert isinstance(again, Accepted)
    assert (again.new, again.run["id"]) == (False, first.run["id"])
    assert ledger.dump() == before


def test_the_same_request_with_other_tokens_is_a_conflict(ledger: Ledger) -> None:
    ledger.send(a_run(request_id="r1"))
    before = ledger.dump()
    for other in (a_run(request_id="r1", usage=tokens(999, 100)), a_run(request_id="r1", model="gpt-4o-mini")):
        result = ledger.send(other)[0]
        assert isinstance(result, Conflict)
        assert result.field == "requestId"
    assert ledger.dump() == before


def test_a_client_id_is_strict_even_from_another_source(ledger: Ledger) -> None:
    ledger.send(a_run(client_id="c1"))
    result = ledger.send(a_run(client_id="c1", usage=tokens(1, 1), source="otlp"))[0]
    assert isinstance(result, Conflict)
    assert result.field == "id"
    assert len(ledger.rows(t.runs)) == 1


def test_repeats_inside_one_batch(ledger: Ledger) -> None:
    bad = InvalidInput("no model", field="model")
    results = ledger.send(
        a_run(request_id="r1"),
        bad,
        a_run(request_id="r1"),
        a_run(request_id="r1", usage=tokens(5, 5)),
        a_run(request_id="r1", usage=tokens(2000, 50), source="otlp"),
        a_run(),
        a_run(occurred_at=NOW + timedelta(hours=2)),
    )
    assert [type(result).__name__ for result in results] == [
        "Accepted", "InvalidInput", "Accepted", "Conflict", "Accepted", "Accepted", "InvalidInput",
    ]  # fmt: skip
    assert results[1] is bad
    assert [result.new for result in results if isinstance(result, Accepted)] == [True, False, False, True]
    rows = ledger.rows(t.runs)
    assert [(row["input_uncached"], row["output_text"]) for row in rows] == [(2000, 100), (1000, 100)]


def test_ids_of_two_kinds_and_two_organizations_never_meet(ledger: Ledger) -> None:
    ledger.send(a_run(client_id="same"), a_run(request_id="same", usage=tokens(1, 1)))
    assert len(ledger.rows(t.runs)) == 2


def test_people_and_repositories_of_one_batch(ledger: Ledger) -> None:
    ledger.send(
        a_run(actor="bob", repository="acme/web"),
        a_run(actor="Bob", repository="Acme/Web"),
        a_run(actor="BOB", repository="ACME/web"),
        a_run(actor="7+bob@users.noreply.github.com", repository="acme/api"),
        a_run(actor="alice@example.com"),
    )
    rows = ledger.rows(t.runs)
    assert len({row["person_id"] for row in rows[:4]}) == 1
    assert rows[4]["person_id"] != rows[0]["person_id"]
    assert rows[0]["repository_id"] == rows[1]["repository_id"] == rows[2]["repository_id"] is not None
    assert rows[3]["repository_id"] not in (None, rows[0]["repository_id"])


def test_a_personal_key_stands_for_its_member(ledger: Ledger) -> None:
    own = ledger.send_one(a_run(), key=ledger.own)
    named = ledger.send_one(a_run(actor="alice@example.com"))
    other = ledger.send_one(a_run(actor="bob"), key=ledger.own)
    nobody = ledger.send_one(a_run())
    assert own.person_id == named.person_id is not None
    assert other.person_id not in (None, own.person_id)
    assert nobody.person_id is None


def test_a_person_merged_in_the_same_batch_leaves_no_dangling_name(ledger: Ledger) -> None:
    ledger.send_one(a_run(actor="ally"))  # alice's login, not known as hers yet
    ledger.send_one(a_run(), key=ledger.own)
    with ledger.store.write() as tx:
        tx.execute(text("UPDATE users SET email = '7+ally@users.noreply.github.com' WHERE email = 'alice@example.com'"))
    ledger.send(
        a_run(actor="ally"),
        a_run(),
        a_run(actor="ally@example.com"),
        key=replace(ledger.own, member_email="7+ally@users.noreply.github.com"),
    )
    people = {row["id"] for row in ledger.rows(t.people)}
    assert {row["person_id"] for row in ledger.rows(t.runs)} <= people


def test_the_team_is_the_keys_then_the_persons_then_the_repositorys(ledger: Ledger) -> None:
    ledger.send(a_run(repository="acme/web"))
    of_person = team_with(ledger, "Payments", email="bob@example.com")
    of_repository = team_with(ledger, "Storefront", repository="acme/web")
    of_key = team_with(ledger, "Platform")
    bound = ledger.make_key(team_id=of_key)
    everything: dict[str, Any] = {"actor": "bob@example.com", "repository": "acme/web"}
    assert ledger.send_one(a_run(**everything), key=bound).team_id == of_key
    assert ledger.send_one(a_run(**everything)).team_id == of_person
    assert ledger.send_one(a_run(actor="dora@example.com", repository="acme/web")).team_id == of_repository
    assert ledger.send_one(a_run(actor="dora@example.com", repository="acme/api")).team_id is None


def test_moving_a_repository_rewrites_no_history(ledger: Ledger) -> None:
    first = ledger.send_one(a_run(repository="acme/web"))
    team = team_with(ledger, "Storefront", repository="acme/web")
    assert ledger.send_one(a_run(repository="acme/web")).team_id == team
    assert ledger.row(first.id).team_id is None


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_production_traffic_is_not_code(ledger: Ledger, environment: str) -> None:
    by_key = ledger.send_one(a_run(), key=ledger.make_key(purpose=environment))
    by_field = ledger.send_one(a_run(environment=environment))
    told = ledger.send_one(a_run(environment="development"), key=ledger.make_key(purpose=environment))
    for row in (by_key, by_field):
        assert (row.code, row.link_state, row.linked_at is None) == (False, "not_code", False)
    assert (told.code, told.link_state) == (True, "pending")


def test_a_reported_cost_stands_beside_the_list_price(ledger: Ledger) -> None:
    row = ledger.send_one(a_run(reported_cost_nanos=42))
    assert (row.cost_nanos, row.list_cost_nanos, row.cost_status) == (42, A_RUN_COSTS, "reported")


def test_an_unknown_model_has_no_cost_instead_of_none_at_all(ledger: Ledger) -> None:
    row = ledger.send_one(a_run(model="no-such-model-9"))
    assert (row.cost_nanos, row.list_cost_nanos, row.cost_status) == (None, None, "unpriced")
    assert [(day["runs"], day["priced_runs"], day["cost_nanos"]) for day in ledger.rows(t.rollup_day)] == [(1, 0, 0)]


def test_savings_are_measured_at_the_requested_model(ledger: Ledger) -> None:
    ledger.send(a_run(model="gpt-4o-mini", model_requested=MODEL))
    run, day = ledger.rows(t.runs)[0], ledger.rows(t.rollup_day)[0]
    assert run["baseline_cost_nanos"] == A_RUN_COSTS
    assert day["saved_nanos"] == A_RUN_COSTS - run["cost_nanos"] > 0


def test_two_sources_of_one_request_make_one_run(ledger: Ledger) -> None:
    first = ledger.send_one(
        a_run(
            request_id="r1", usage=Usage(input_uncached=900, cache_read=300, output_text=120), source="otlp", tool="x"
        )
    )
    merged = ledger.send_one(a_run(request_id="r1", session_id="s1", tool="y", repository="acme/web"))
    assert merged.id == first.id
    assert (merged.input_uncached, merged.cache_read, merged.output_text) == (1000, 300, 120)
    assert (merged.session_id, merged.tool, merged.source) == ("s1", "x", "otlp")
    assert merged.repository_id == ledger.repository("acme/web")
    assert merged.cost_nanos == 1000 * 2_500 + 300 * 1_250 + 120 * 10_000


def test_the_better_source_wins_when_it_comes_second(ledger: Ledger) -> None:
    ledger.send_one(a_run(request_id="r1", tool="x", latency_ms=10, occurred_at=NOW - timedelta(days=2)))
    merged = ledger.send_one(a_run(request_id="r1", tool="y", latency_ms=20, success=False, source="otlp"))
    assert (merged.tool, merged.latency_ms, merged.success, merged.source) == ("y", 20, False, "otlp")
    assert merged.occurred_at == NOW - timedelta(hours=1)


@pytest.mark.parametrize("sources", [("api", "otlp"), ("otlp", "api")])
def test_each_source_may_repeat_what_it_said(ledger: Ledger, sources: tuple[str, str]) -> None:
    said = [a_run(request_id="r1", source=source, usage=tokens(1000 + n, 100 - n)) for n, source in enumerate(sources)]
    ledger.send(said[0])
    ledger.send(said[1])
    before = ledger.dump()
    for item in (*said, *reversed(said)):
        result = ledger.send(item)[0]
        assert isinstance(result, Accepted), result
        assert not result.new
    assert ledger.dump() == before
    for item in said:
        assert isinstance(ledger.send(replace(item, usage=tokens(7, 7)))[0], Conflict)


def test_a_guess_gives_way_to_exact_counts(ledger: Ledger) -> None:
    guess = tokens(750, 250, quality=UsageQuality.SPLIT_ESTIMATE)
    unknown = tokens(0, 0, quality=UsageQuality.MISSING)
    first = ledger.send_one(a_run(request_id="r1", usage=guess))
    assert first.cost_status == "estimated"
    merged = ledger.send_one(a_run(request_id="r1", usage=tokens(600, 400), source="otlp"))
    assert (merged.input_uncached, merged.output_text, merged.usage_quality) == (600, 400, "exact")
    merged = ledger.send_one(a_run(request_id="r1", usage=unknown, source="proxy"))
    assert (merged.input_uncached, merged.cost_status) == (600, "priced")


def test_a_merge_moves_the_shares_of_links_that_exist(ledger: Ledger) -> None:
    commit = a_commit("a" * 40, NOW)
    body = "CostLens-Run: r1"
    import_records(
        ledger.store, ledger.organization.id, [a_pull(1, commit, body=body), a_pull(2, body=body), a_pull(3, body=body)]
    )
    ledger.send(a_run(request_id="r1", repository="acme/web", usage=tokens(1, 0)), now=NOW)
    link_repository(ledger.store, ledger.organization.id, ledger.repository("acme/web"), now=NOW)
    counted = [link for link in ledger.rows(t.links) if link["state"] == "counted"]
    assert [link["cost_nanos"] for link in counted] == [834, 833, 833]
    merged = ledger.send_one(a_run(request_id="r1", usage=tokens(1001, 1), source="otlp", provider="azure"))
    counted = [link for link in ledger.rows(t.links) if link["state"] == "counted"]
    assert sum(link["cost_nanos"] for link in counted) == merged.counted_nanos == merged.cost_nanos > 2500
    assert (merged.linked_at, merged.link_state) == (None, "counted")
    check_sums(ledger)
    done = link_repository(ledger.store, ledger.organization.id, ledger.repository("acme/web"), now=NOW)
    assert done.runs == 1
    assert ledger.row(merged.id).linked_at == NOW


def test_a_merge_that_takes_the_price_away_empties_the_shares(ledger: Ledger) -> None:
    import_records(ledger.store, ledger.organization.id, [a_pull(1, a_commit("a" * 40, NOW))])
    ledger.send(a_run(request_id="r1", repository="acme/web", pr_number=1))
    link_repository(ledger.store, ledger.organization.id, ledger.repository("acme/web"), now=NOW)
    merged = ledger.send_one(a_run(request_id="r1", model="no-such-model-9", source="otlp"))
    assert (merged.cost_nanos, merged.counted_nanos) == (None, 0)


@pytest.mark.parametrize("table", ["runs", "run_keys", "rollup_15m", "rollup_day", "rollup_links"])
def test_a_failure_on_the_way_stores_nothing(ledger: Ledger, table: str) -> None:
    ledger.send(a_run(request_id="r0"))  # stores the key's last use
    before = ledger.dump()
    for verb in ("INSERT", "UPDATE"):
        refuse(ledger.store, table, verb)
    with pytest.raises(IntegrityError):
        ledger.send(a_run(request_id="r1", repository="acme/new", actor="carol"), a_run())
    assert ledger.dump() == before
    for verb in ("INSERT", "UPDATE"):
        allow(ledger.store, table, verb)
    ledger.send(a_run(request_id="r1"))
    with ledger.store.read() as tx:
        assert len(tx.execute(select(t.runs.c.id).where(t.runs.c.request_id == "r1")).all()) == 1
