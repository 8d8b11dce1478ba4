"""A change of an organization's ruleset, drawn at random."""

from __future__ import annotations

from datetime import datetime

from hypothesis import strategies as st

from costlens.domain.access import Member
from costlens.domain.errors import Conflict
from costlens.domain.links import Stance
from costlens.services import rulesets
from costlens.store import tables as t
from tests.services.ledger import Ledger

STANCES = st.dictionaries(
    st.sampled_from(("S1", "S2", "B1", "C1", "T1", "T2", "T3", "B3", "P1", "D1")),
    st.sampled_from([str(stance) for stance in Stance]),
    max_size=3,
)


def apply_some_rules(ledger: Ledger, data: st.DataObject, now: datetime) -> None:
    """Puts a random ruleset in force, by way of its comparison."""
    row = ledger.rows(t.members)[0]
    owner = Member(ledger.organization.id, row["id"], row["user_id"], "alice@example.com", "owner")
    try:
        made = rulesets.propose(
            ledger.store, owner, data.draw(st.sampled_from((800, 870))), data.draw(STANCES), now=now
        )
    except Conflict:  # those in force
        return
    assert rulesets.compare(ledger.store, ledger.organization.id, made, now=now)
    rulesets.apply(ledger.store, owner, made, now=now)
