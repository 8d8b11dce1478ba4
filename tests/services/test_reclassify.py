"""Runs marked as not code, and as code again: sums and links follow."""

from __future__ import annotations

import random

import pytest

from costlens.domain.errors import InvalidInput
from costlens.services.linking import waiting
from costlens.services.reclassify import Reclassified, reclassify
from costlens.store import tables as t
from costlens.store.run_changes import Selection
from tests.services.ledger import NOW, Ledger, a_run, check_buckets, check_sums, open_ledger
from tests.services.test_verify import fill, link


def mark(ledger: Ledger, where: Selection, *, code: bool) -> Reclassified:
    return reclassify(ledger.store, ledger.organization.id, where, code=code, now=NOW)


def test_what_is_not_code_counts_nowhere_and_comes_back_as_it_was(engine: str) -> None:
    with open_ledger("America/St_Johns", engine=engine) as ledger:
        fill(ledger, random.Random(5), 200)
        before = {row["id"]: row for row in ledger.rows(t.runs)}
        mine = {n for n, row in before.items() if row["prompt_id"] == "review-v2" and row["code"]}
        assert any(before[n]["counted_nanos"] for n in mine)
        done = mark(ledger, Selection(prompt_id="review-v2"), code=False)
        assert (done.runs, done.repositories) == (len(mine), frozenset())
        for row in ledger.rows(t.runs):
            if row["id"] in mine:
                assert (row["code"], row["link_state"], row["counted_nanos"]) == (False, "not_code", 0)
                assert row["linked_at"] == NOW
            else:
                assert row == before[row["id"]]
        links = [row for row in ledger.rows(t.links) if row["run_id"] in mine]
        assert links
        assert all(row["valid_to"] == NOW and row["closed_reason"] == "not_code" for row in links)
        check_sums(ledger)
        check_buckets(ledger)
        link(ledger)  # the linker leaves it alone
        assert not any(row["counted_nanos"] for row in ledger.rows(t.runs) if row["id"] in mine)
        assert mark(ledger, Selection(prompt_id="review-v2"), code=False).runs == 0

        production = {n for n, row in before.items() if row["prompt_id"] == "review-v2" and not row["code"]}
        back = mark(ledger, Selection(prompt_id="review-v2"), code=True)
        assert back.runs == len(mine | production)
        assert back.repositories == {0, ledger.repository("acme/web")}
        assert {organization for organization, _ in waiting(ledger.store, now=NOW.replace(hour=13))} == {
            ledger.organization.id
        }
        check_sums(ledger)
        link(ledger)
        check_sums(ledger)
        check_buckets(ledger)
        after = {row["id"]: row for row in ledger.rows(t.runs)}
        for n in mine:
            assert after[n] == before[n]
        assert [row["action"] for row in ledger.rows(t.audit_entries)][-2:] == ["runs.reclassified"] * 2


def test_options_narrow_each_other(engine: str) -> None:
    with open_ledger(engine=engine) as ledger:
        ledger.send(a_run(environment="ci"), a_run(environment="ci", prompt_id="p"), a_run(prompt_id="p"))
        ledger.send(a_run(prompt_id="p", environment="ci"), key=ledger.own)
        where = Selection(prompt_id="p", environment="ci", api_key_id=ledger.own.id)
        assert mark(ledger, where, code=False).runs == 1
        assert mark(ledger, Selection(prompt_id="p", environment="ci"), code=False).runs == 1
        assert mark(ledger, Selection(api_key_id=ledger.key.id), code=False).runs == 2
        ledger.send(a_run(), a_run(environment="development"), a_run(environment="ci"))
        assert mark(ledger, Selection(environment="development"), code=False).runs == 2
        check_sums(ledger)


def test_a_selection_of_everything_is_refused(engine: str) -> None:
    with open_ledger(engine=engine) as ledger, pytest.raises(InvalidInput):
        mark(ledger, Selection(provider="openai"), code=False)
