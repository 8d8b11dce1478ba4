"""Runs in: one transaction that stores runs, their keys and what they add to the rollups, or nothing at all.

Calls that come at the same time share a transaction, whoever makes them, see `group_commit`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from costlens.domain.errors import Conflict, CostLensError
from costlens.domain.merging import AUTHORITY, merge_runs
from costlens.domain.names import actor_identities
from costlens.domain.runs import RunIds, RunInput
from costlens.services.group_commit import GroupCommit
from costlens.services.money import money_of, own_prices
from costlens.services.run_rows import PreparedRun, prepare
from costlens.store import links as link_store
from costlens.store.engine import Store, Tx
from costlens.store.identity import member_people, person_ids, person_teams, repository_ids, repository_teams
from costlens.store.organizations import KeyRow, touch_key
from costlens.store.rollups import Change
from costlens.store.runs import Key, StoredKey, change_run, find_keys, get_runs, insert_runs
from costlens.store.types import to_millis

TOUCH_EVERY = timedelta(minutes=1)

_ids = RunIds()
_touched: dict[int, datetime] = {}  # key id → when its last use was last stored by this process


@dataclass(frozen=True, slots=True)
class Accepted:
    """A stored run; `new` is false when the same run had been stored before."""

    run: Mapping[str, Any]
    new: bool


Result = Accepted | CostLensError


@dataclass(frozen=True, slots=True)
class Ingested:
    results: tuple[Result, ...]  # one an item, in order
    repositories: frozenset[int]  # whose runs wait for the linker; 0: of no repository


@dataclass(frozen=True, slots=True)
class Call:
    """One call of `ingest`."""

    key: KeyRow
    items: Sequence[PreparedRun | CostLensError]
    at: datetime


_groups: WeakKeyDictionary[Store, GroupCommit[Call, Ingested]] = WeakKeyDictionary()


def ingest(
    store: Store, key: KeyRow, items: Sequence[RunInput | CostLensError], *, now: datetime | None = None
) -> Ingested:
    """Stores the good items and answers one result an item; a bad item never costs the others.

    Returns after the commit. Raises Unavailable when nothing could be stored.
    """
    return record(store, call_of(key, items, now=now))


def call_of(key: KeyRow, items: Sequence[RunInput | CostLensError], *, now: datetime | None = None) -> Call:
    """What is left to do for `record` once all that needs no transaction is done."""
    at = now or datetime.now(UTC)
    return Call(key, [item if isinstance(item, CostLensError) else prepare(item, key, at) for item in items], at)


def record(store: Store, call: Call) -> Ingested:
    """The second half of `ingest`."""
    return _group(store).submit(store, call, len(call.items))


def entering(store: Store) -> AbstractContextManager[None]:
    """To be held around the work of a single run until its call is made: one after the other, see `give_way`."""
    return _group(store).entering()


def give_way(store: Store) -> None:
    """To be called before a call's work begins: waits while the runs of others are recorded."""
    _group(store).give_way()


def _group(store: Store) -> GroupCommit[Call, Ingested]:
    found = _groups.get(store)
    return _groups.setdefault(store, GroupCommit(_record)) if found is None else found


def _record(tx: Tx, calls: Sequence[Call]) -> list[Ingested]:
    """The calls of one transaction, in order; those of one organization share their look-ups and sums."""
    by_organization: dict[int, list[Call]] = {}
    for call in calls:
        by_organization.setdefault(call.key.organization.id, []).append(call)
    done: dict[int, Ingested] = {}
    for _, own in sorted(by_organization.items()):  # in order, so that two writers never wait in a circle
        done.update(zip(map(id, own), _Batch(tx, own).record(), strict=True))
    return [done[id(call)] for call in calls]


class _Batch:
    """One organization's calls in a transaction: what was looked up for all at once, and what is to be written."""

    def __init__(self, tx: Tx, calls: Sequence[Call]) -> None:
        self.tx, self.calls = tx, calls
        organization = calls[-1].key.organization
        self.organization_id = organization.id
        self.change = Change(organization.id, organization.timezone)
        self.rows: dict[int, dict[str, Any]] = {}  # new runs
        self.key_rows: list[tuple[str, str, int, bytes | None]] = []
        self.keys: dict[Key, StoredKey] = {}
        self.stored: dict[int, dict[str, Any]] = {}  # runs that keys of this batch name
        self.waiting: set[int] = set()  # repositories of the call that is recorded now

    def record(self) -> list[Ingested]:
        self._look_up([item for call in self.calls for item in call.items if isinstance(item, PreparedRun)])
        done = [self._call(call) for call in self.calls]
        insert_runs(self.tx, self.organization_id, list(self.rows.values()), self.key_rows)
        self.change.write(self.tx)
        self._touch()
        return done

    def _call(self, call: Call) -> Ingested:
        self.key, self.now, self.waiting = call.key, call.at, set()
        results = tuple(self._one(item) if isinstance(item, PreparedRun) else item for item in call.items)
        return Ingested(results, frozenset(self.waiting))

    def _look_up(self, items: Sequence[PreparedRun]) -> None:
        tx, organization, now = self.tx, self.organization_id, self.calls[0].at
        runs = [item.run for item in items]
        names = {run.repository for run in runs if run.repository}
        names |= {call.key.repository for call in self.calls if call.key.repository}
        self.repositories = repository_ids(tx, organization, names, now) if names else {}
        actors = {run.actor: actor_identities(run.actor) for run in runs if run.actor}
        own = {key.member_email for key in (call.key for call in self.calls) if key.member_email}
        people = person_ids(tx, organization, [*actors.values(), *map(actor_identities, sorted(own))], now)
        self.people = {actor: people.get(identities) for actor, identities in actors.items()}
        # Asked after the people above were made or merged: the key was read before this transaction.
        members = {call.key.member_id for call in self.calls if call.key.member_id}
        self.members = member_people(tx, organization, members) if members else {}
        of_no_team = any(not call.key.team_id for call in self.calls)
        everyone = {person for person in (*self.people.values(), *self.members.values()) if person}
        self.person_teams = person_teams(tx, organization, everyone) if everyone and of_no_team else {}
        self.repository_teams = (
            repository_teams(tx, organization, set(self.repositories.values()))
            if self.repositories and of_no_team
            else {}
        )
        self.overrides = own_prices(tx, organization)
        self.keys = find_keys(tx, organization, {key for item in items for key in item.keys})
        self.stored = get_runs(tx, organization, {key.run_id for key in self.keys.values()}, lock=True)
        # After the lock: whoever tells of the same call meanwhile waits, and then sees what this transaction stored.
        if repeated := [value for kind, value in self.keys if kind == "request"]:
            told = {(_said_by(source), value) for source in AUTHORITY for value in repeated}
            self.keys |= find_keys(tx, organization, told)

    def _one(self, item: PreparedRun) -> Result:
        if not self.keys.keys().isdisjoint(item.keys):
            return self._again(item)
        row = self._place(item)
        self.rows[row["id"]] = row
        self.change.add_run(row)
        self.change.add_ledger(row, ())
        self.waiting.add(row["repository_id"] or 0)
        self._remember(item.keys, item.digest, row["id"])
        return Accepted(row, new=True)

    def _again(self, item: PreparedRun) -> Result:
        """A run of which something is known: the same once more, what another source says of it, or a conflict."""
        run, digest = item.run, item.digest
        for kind, value in _known_by(item):
            stored = self.keys.get((kind, value))
            if stored is None:
                continue
            first = self.rows.get(stored.run_id) or self.stored[stored.run_id]
            known = kind != "request" or first["source"] == run.source
            if known and stored.content_hash != digest:
                field = "id" if kind == "client" else "requestId"
                return Conflict(f"{field} was sent before with another provider, model or tokens", field=field)
            if not known:
                # From now on each of the two is compared with what it said itself.
                if stored.content_hash is not None:
                    self._remember([(_said_by(first["source"]), value)], stored.content_hash, stored.run_id)
                self._remember([(_said_by(run.source), value)], digest, stored.run_id)
            self._remember(item.keys, digest, stored.run_id)
            return Accepted(first if known else self._merge(first, item), new=False)
        raise AssertionError("one of the keys is known")

    def _remember(self, keys: Sequence[Key], digest: bytes, run_id: int) -> None:
        for kind, value in keys:
            if (kind, value) not in self.keys:
                self.keys[kind, value] = StoredKey(run_id, digest)
                self.key_rows.append((kind, value, run_id, digest))

    def _place(self, item: PreparedRun) -> dict[str, Any]:
        """The row with all that only the transaction knows."""
        run, row = item.run, item.row
        named = run.repository or self.key.repository
        repository = self.repositories.get(named) if named else None
        person = self.people.get(run.actor) if run.actor else self.members.get(self.key.member_id or 0)
        row["id"] = _ids.take(to_millis(self.now))
        row["repository_id"] = repository
        row["person_id"] = person
        row["team_id"] = (
            self.key.team_id or self.person_teams.get(person or 0) or self.repository_teams.get(repository or 0)
        )
        if self.overrides:
            row.update(money_of(row, self.overrides, run.usage))
        return row

    def _merge(self, first: dict[str, Any], item: PreparedRun) -> dict[str, Any]:
        """Joins what another source says of the same call, and moves every sum by the difference."""
        merged = merge_runs(first, self._place(item))
        if merged == first:
            return first
        merged |= money_of(merged, self.overrides)
        links: Sequence[Mapping[str, Any]] = ()
        is_new = first["id"] in self.rows
        if not is_new:
            links = link_store.current_links(self.tx, self.organization_id, [first["id"]]).get(first["id"], ())
        self.change.add_run(first, -1)
        self.change.add_ledger(first, links, -1)
        if merged["cost_nanos"] != first["cost_nanos"] and links:
            links = link_store.share_anew(self.tx, self.organization_id, links, merged["cost_nanos"] or 0)
            merged["counted_nanos"] = sum(link["cost_nanos"] for link in links if link["state"] == "counted")
        self.change.add_run(merged)
        self.change.add_ledger(merged, links)
        if is_new:
            self.rows[merged["id"]] = merged
        else:
            merged["linked_at"] = None if merged["code"] else merged["linked_at"]
            changed = {name: value for name, value in merged.items() if value != first[name]}
            change_run(self.tx, self.organization_id, merged["id"], changed)
            self.stored[merged["id"]] = merged
        self.waiting.add(merged["repository_id"] or 0)
        return merged

    def _touch(self) -> None:
        """Stores each key's last use, at most once a minute: a write less on the way of every call."""
        for call in self.calls:
            last = _touched.get(call.key.id)
            if last is None or call.at - last >= TOUCH_EVERY:
                touch_key(self.tx, call.key.id, call.at)
                _touched[call.key.id] = call.at


def _known_by(item: PreparedRun) -> list[Key]:
    """The keys that a run is known by, in the order in which they are asked."""
    keys = list(item.keys)
    if item.run.request_id is not None:
        keys.insert(-1, (_said_by(item.run.source), item.run.request_id))
    return keys


def _said_by(source: str) -> str:
    """The kind of a request id of which several sources told, for what this one said."""
    return f"request.{source}"
