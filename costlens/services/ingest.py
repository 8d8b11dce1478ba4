"""Runs in: one transaction that stores runs, their keys and what they add to the rollups, or nothing at all.

Calls that come at the same time share a transaction, whoever makes them, see `group_commit`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from costlens.domain.errors import Conflict, CostLensError, InvalidInput
from costlens.domain.merging import AUTHORITY, merge_runs
from costlens.domain.names import actor_identities
from costlens.domain.pricing import Override, Price, price_run
from costlens.domain.runs import FUTURE_TOLERANCE, RunIds, RunInput, content_hash, is_code, prompt_version
from costlens.services.group_commit import GroupCommit
from costlens.store import links as link_store
from costlens.store.engine import Store, Tx
from costlens.store.identity import member_people, person_ids, person_teams, repository_ids, repository_teams
from costlens.store.organizations import KeyRow, price_overrides, touch_key
from costlens.store.rollups import Change
from costlens.store.runs import Key, StoredKey, change_run, find_keys, get_runs, insert_runs, usage_of
from costlens.store.tables import USAGE_COLUMNS
from costlens.store.types import to_millis

OLDEST = datetime(2015, 1, 1, tzinfo=UTC)
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
class _Call:
    """One call of `ingest`."""

    key: KeyRow
    items: Sequence[RunInput | CostLensError]
    at: datetime

    @property
    def runs(self) -> list[RunInput]:
        return [item for item in self.items if isinstance(item, RunInput)]


_groups: WeakKeyDictionary[Store, GroupCommit[_Call, Ingested]] = WeakKeyDictionary()


def ingest(
    store: Store, key: KeyRow, items: Sequence[RunInput | CostLensError], *, now: datetime | None = None
) -> Ingested:
    """Stores the good items and answers one result an item; a bad item never costs the others.

    Returns after the commit. Raises Unavailable when nothing could be stored.
    """
    at = now or datetime.now(UTC)
    checked = [item if isinstance(item, CostLensError) else _check_time(item, at) for item in items]
    group = _groups.get(store)
    if group is None:
        group = _groups.setdefault(store, GroupCommit(_record))
    return group.submit(store, _Call(key, checked, at), len(checked))


def _record(tx: Tx, calls: Sequence[_Call]) -> list[Ingested]:
    """The calls of one transaction, in order; those of one organization share their look-ups and sums."""
    by_organization: dict[int, list[_Call]] = {}
    for call in calls:
        by_organization.setdefault(call.key.organization.id, []).append(call)
    done: dict[int, Ingested] = {}
    for _, own in sorted(by_organization.items()):  # in order, so that two writers never wait in a circle
        done.update(zip(map(id, own), _Batch(tx, own).record(), strict=True))
    return [done[id(call)] for call in calls]


def _check_time(item: RunInput, now: datetime) -> RunInput | CostLensError:
    if item.occurred_at > now + FUTURE_TOLERANCE:
        return InvalidInput("timestamp is more than an hour in the future", field="timestamp")
    if item.occurred_at < OLDEST:
        return InvalidInput("timestamp is before 2015", field="timestamp")
    return item


class _Batch:
    """One organization's calls in a transaction: what was looked up for all at once, and what is to be written."""

    def __init__(self, tx: Tx, calls: Sequence[_Call]) -> None:
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
        self._look_up([run for call in self.calls for run in call.runs])
        done = [self._call(call) for call in self.calls]
        insert_runs(self.tx, self.organization_id, list(self.rows.values()), self.key_rows)
        self.change.write(self.tx)
        self._touch()
        return done

    def _call(self, call: _Call) -> Ingested:
        self.key, self.now, self.waiting = call.key, call.at, set()
        results = tuple(self._one(item) if isinstance(item, RunInput) else item for item in call.items)
        return Ingested(results, frozenset(self.waiting))

    def _look_up(self, runs: Sequence[RunInput]) -> None:
        tx, organization, now = self.tx, self.organization_id, self.calls[0].at
        names = {run.repository for run in runs if run.repository}
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
        self.overrides = tuple(
            Override(row.provider, row.model, row.effective_from, row.alias_of, row.picos)
            for row in price_overrides(tx, organization)
        )
        self.keys = find_keys(tx, organization, {key for run in runs for key in _own_keys(run)})
        self.stored = get_runs(tx, organization, {key.run_id for key in self.keys.values()}, lock=True)
        # After the lock: whoever tells of the same call meanwhile waits, and then sees what this transaction stored.
        if repeated := [value for kind, value in self.keys if kind == "request"]:
            told = {(_said_by(source), value) for source in AUTHORITY for value in repeated}
            self.keys |= find_keys(tx, organization, told)

    def _one(self, run: RunInput) -> Result:
        digest = content_hash(run)
        for kind, value in _keys_of(run):
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
            self._remember(_own_keys(run), digest, stored.run_id)
            return Accepted(first if known else self._merge(first, run), new=False)
        row = self._row(run)
        self.rows[row["id"]] = row
        self.change.add_run(row)
        self.change.add_ledger(row, ())
        self.waiting.add(row["repository_id"] or 0)
        self._remember(_own_keys(run), digest, row["id"])
        return Accepted(row, new=True)

    def _remember(self, keys: Sequence[Key], digest: bytes, run_id: int) -> None:
        for kind, value in keys:
            if (kind, value) not in self.keys:
                self.keys[kind, value] = StoredKey(run_id, digest)
                self.key_rows.append((kind, value, run_id, digest))

    def _row(self, run: RunInput) -> dict[str, Any]:
        repository = self.repositories.get(run.repository) if run.repository else None
        person = self.people.get(run.actor) if run.actor else self.members.get(self.key.member_id or 0)
        team = self.key.team_id or self.person_teams.get(person or 0) or self.repository_teams.get(repository or 0)
        environment = run.environment or self.key.purpose
        code = is_code(environment)
        row: dict[str, Any] = {
            "id": _ids.take(to_millis(self.now)),
            "organization_id": self.organization_id,
            "request_id": run.request_id,
            "correlation_id": run.correlation_id,
            "session_id": run.session_id,
            "source": run.source,
            "received_at": self.now,
            "occurred_at": run.occurred_at,
            "api_key_id": self.key.id,
            "person_id": person,
            "actor": run.actor,
            "team_id": team,
            "provider": run.provider,
            "model_requested": run.model_requested if run.model_requested != run.model else None,
            "model": run.model,
            "prompt_id": run.prompt_id,
            "prompt_version": prompt_version(run.prompt_id),
            "environment": environment,
            "tool": run.tool,
            "tags": dict(run.tags) if run.tags else None,
            "code": code,
            "repository_id": repository,
            "branch": run.branch,
            "commit_sha": run.commit_sha,
            "commit_role": (run.commit_role or "head_before") if run.commit_sha else None,
            "pr_number": run.pr_number,
            "files": list(run.files) or None,
            **{name: getattr(run.usage, name) for name in USAGE_COLUMNS},
            "usage_quality": str(run.usage.quality),
            "reported_cost_nanos": run.reported_cost_nanos,
            "service_tier": run.service_tier,
            "processing": run.processing,
            "success": run.success,
            "error_type": run.error_type,
            "latency_ms": run.latency_ms,
            "cache_hit": run.cache_hit,
            "input_chars": run.input_chars,
            "output_chars": run.output_chars,
            "link_state": "pending" if code else "not_code",
            "unlinked_reason": None,
            "counted_nanos": 0,
            "linked_at": None if code else self.now,  # not code: nothing to link
        }
        return row | self._money(row)

    def _money(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The money columns of a row whose other columns are known."""
        usage = usage_of(row)

        def price(model: str, reported: int | None) -> Price:
            return price_run(
                usage,
                row["provider"],
                model,
                row["occurred_at"],
                processing=row["processing"],
                service_tier=row["service_tier"],
                reported_nanos=reported,
                overrides=self.overrides,
            )

        cost = price(row["model"], row["reported_cost_nanos"])
        baseline = price(row["model_requested"], None) if row["model_requested"] else None
        return {
            "cost_nanos": cost.cost_nanos,
            "list_cost_nanos": cost.list_cost_nanos,
            "baseline_cost_nanos": baseline.list_cost_nanos if baseline else None,
            "cost_status": str(cost.status),
            "price_version": cost.version,
        }

    def _merge(self, first: dict[str, Any], run: RunInput) -> dict[str, Any]:
        """Joins what another source says of the same call, and moves every sum by the difference."""
        merged = merge_runs(first, self._row(run))
        if merged == first:
            return first
        merged |= self._money(merged)
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


def _own_keys(run: RunInput) -> list[Key]:
    """The keys that a run brings; the kind comes from the field, never from how the value looks."""
    return [
        (kind, value) for kind, value in (("client", run.client_id), ("request", run.request_id)) if value is not None
    ]


def _keys_of(run: RunInput) -> list[Key]:
    """The keys that a run is known by, in the order in which they are asked."""
    keys = _own_keys(run)
    if run.request_id is not None:
        keys.insert(-1, (_said_by(run.source), run.request_id))
    return keys


def _said_by(source: str) -> str:
    """The kind of a request id of which several sources told, for what this one said."""
    return f"request.{source}"
