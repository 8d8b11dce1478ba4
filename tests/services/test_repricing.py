"""Stored runs priced anew: what a dry run tells is what applying does, and the sums follow."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from costlens.domain.errors import Unavailable
from costlens.services import repricing, selected_runs
from costlens.services.repricing import reprice
from costlens.store import tables as t
from costlens.store.run_changes import Selection
from costlens.store.upsert import insert_one
from tests.services.ledger import NOW, Ledger, a_run, check_buckets, check_sums, open_ledger, tokens
from tests.services.test_verify import fill, link

UNKNOWN = "no-such-model-9"


def set_price(
    ledger: Ledger, model: str, *, alias: str | None = None, picos: int | None = None, days: int = 400
) -> None:
    """An own price of an OpenAI model, `picos` pico-dollars for each token, that holds for `days` days now."""
    row = {
        "organization_id": ledger.organization.id,
        "provider": "openai",
        "model": model,
        "effective_from": NOW - timedelta(days=400),
        "alias_of": alias,
        "picos": None if picos is None else {"input_uncached": picos, "output_text": picos},
        "created_at": NOW,
    }
    with ledger.store.write() as tx:
        insert_one(tx, t.price_overrides, row)


def costs(ledger: Ledger) -> int:
    return sum(row["cost_nanos"] or 0 for row in ledger.rows(t.runs))


def actions(ledger: Ledger) -> list[str]:
    return [row["action"] for row in ledger.rows(t.audit_entries) if row["action"].startswith("runs.")]


def again(ledger: Ledger, where: Selection = Selection(), **options: Any) -> repricing.Repriced:  # noqa: B008
    return reprice(ledger.store, ledger.organization.id, where, now=NOW, **options)


def test_what_ingest_has_priced_stays(engine: str) -> None:
    """One pricing for both: with unchanged prices there is nothing to change."""
    with open_ledger(engine=engine) as ledger:
        fill(ledger, random.Random(2))
        ledger.send(
            a_run(reported_cost_nanos=7),
            a_run(model_requested="gpt-4o-mini", processing="batch"),
            a_run(service_tier="priority", usage=tokens(9, 9)),
        )
        before = ledger.dump()
        found = again(ledger, apply=True)
        assert (found.runs, found.total.runs) == (123, 0)
        assert ledger.dump() == before


def test_a_dry_run_tells_what_applying_does_and_a_second_time_does_nothing(engine: str) -> None:
    with open_ledger("America/St_Johns", engine=engine) as ledger:
        fill(ledger, random.Random(4), 200)
        assert any(row["counted_nanos"] for row in ledger.rows(t.runs))
        set_price(ledger, "gpt-4o", picos=1_000_000)
        set_price(ledger, UNKNOWN, alias="gpt-4o-mini")
        before, old = ledger.dump(), costs(ledger)
        dry = again(ledger)
        assert ledger.dump() == before
        done = again(ledger, apply=True)
        assert done == dry
        assert set(dry.models) == {("openai", "gpt-4o"), ("openai", UNKNOWN)}
        unpriced = dry.models["openai", UNKNOWN]
        assert unpriced.runs == unpriced.unpriced_before > 0
        assert (unpriced.unpriced_after, unpriced.old_nanos) == (0, 0)
        assert costs(ledger) - old == dry.total.new_nanos - dry.total.old_nanos != 0
        check_sums(ledger)
        check_buckets(ledger)
        assert actions(ledger) == ["runs.repricing", "runs.repriced"]
        after = ledger.dump()
        assert again(ledger, apply=True).total.runs == 0
        assert ledger.dump() == after
        link(ledger)
        assert costs(ledger) == sum(row["cost_nanos"] or 0 for row in after["runs"])


def test_only_the_selected_runs_are_priced_anew(engine: str) -> None:
    with open_ledger(engine=engine) as ledger:
        ledger.send(
            a_run(),
            a_run(occurred_at=NOW - timedelta(days=9)),
            a_run(model="gpt-4o-mini"),
            a_run(provider="azure"),
        )
        set_price(ledger, "gpt-4o", picos=1)
        set_price(ledger, "gpt-4o-mini", picos=1)
        for where, runs in (
            (Selection(model="gpt-4o-mini"), 1),
            (Selection(provider="azure"), 0),
            (Selection(provider="openai", since=NOW - timedelta(days=5)), 2),
            (Selection(until=NOW - timedelta(days=5)), 1),
            (Selection(), 3),
        ):
            assert again(ledger, where).total.runs == runs, where
        assert again(ledger, Selection(model="gpt-4o"), apply=True).total.runs == 2
        assert again(ledger).total.runs == 1
        check_sums(ledger)


def test_a_reported_cost_stands_and_its_list_price_changes(engine: str) -> None:
    with open_ledger(engine=engine) as ledger:
        row = ledger.send_one(a_run(reported_cost_nanos=123, model_requested="gpt-4o-mini"))
        set_price(ledger, "gpt-4o", picos=5_000_000)
        set_price(ledger, "gpt-4o-mini", picos=1_000_000)
        found = again(ledger, apply=True)
        now = ledger.row(row.id)
        assert (now.cost_nanos, now.cost_status, now.list_cost_nanos) == (123, "reported", 5_500_000)
        assert (row.baseline_cost_nanos, now.baseline_cost_nanos) == (210_000, 1_100_000)
        assert (found.total.runs, found.total.new_nanos - found.total.old_nanos) == (1, 0)
        check_sums(ledger)


def test_a_price_that_went_away_leaves_runs_without_cost(engine: str) -> None:
    with open_ledger(engine=engine) as ledger:
        set_price(ledger, UNKNOWN, picos=3)
        fill(ledger, random.Random(6))
        with ledger.store.write() as tx:
            tx.execute(t.price_overrides.delete())
        found = again(ledger, apply=True).models["openai", UNKNOWN]
        assert found.unpriced_after == found.runs > 0
        assert all(row["cost_nanos"] is None for row in ledger.rows(t.runs) if row["model"] == UNKNOWN)
        check_sums(ledger)
        check_buckets(ledger)


def test_one_that_was_ended_in_the_middle_is_completed_by_the_next(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selected_runs, "PAGE", 40)
    with open_ledger(engine=engine) as ledger:
        fill(ledger, random.Random(8), 150)
        set_price(ledger, "gpt-4o", picos=77)
        expected = again(ledger).total

        def stop(done: int, _: int) -> None:
            if done >= 80:
                raise Unavailable("away")

        with pytest.raises(Unavailable):
            again(ledger, apply=True, progress=stop)
        check_sums(ledger)
        check_buckets(ledger)
        rest = again(ledger, apply=True).total
        assert 0 < rest.runs < expected.runs
        assert again(ledger).total.runs == 0
        check_sums(ledger)
        check_buckets(ledger)


def test_runs_that_change_after_they_were_read_are_priced_as_they_are(engine: str) -> None:
    """Another source tells of the call, and the price changes, between the read and the lock."""
    with open_ledger(engine=engine) as ledger:
        row = ledger.send_one(a_run(request_id="r1"))
        set_price(ledger, "gpt-4o", picos=1_000_000)
        (page,) = selected_runs.selected(ledger.store, ledger.organization.id, Selection())
        ledger.send(a_run(request_id="r1", source="proxy", usage=tokens(9_000, 100)))
        with ledger.store.write() as tx:
            tx.execute(update(t.price_overrides).values(picos={"input_uncached": 2_000_000, "output_text": 0}))
        ids = [run["id"] for run in page]
        done = ledger.store.transact(lambda tx: repricing._apply(tx, ledger.organization.id, ids))
        assert len(done) == 1
        assert ledger.row(row.id).cost_nanos == 18_000_000
        check_sums(ledger)
