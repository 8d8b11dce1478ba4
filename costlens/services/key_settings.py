"""API keys as their owners handle them: made, rotated with an overlap, paused, revoked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from costlens.domain.access import SCOPES, Member, check_scopes
from costlens.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from costlens.services.acting import acting, checked_name, note
from costlens.services.keys import PURPOSES, forget_trusted, key_hash, new_key
from costlens.store import keys as key_store
from costlens.store.engine import Store, Tx
from costlens.store.identity import repositories_of
from costlens.store.teams import get_team

LIVES = {"": None, "30": timedelta(days=30), "90": timedelta(days=90), "365": timedelta(days=365)}
OVERLAPS = {"0": timedelta(0), "1": timedelta(hours=1), "24": timedelta(days=1), "168": timedelta(days=7)}


@dataclass(frozen=True, slots=True)
class KeyLine:
    """One line of the list of keys."""

    id: int
    name: str
    shown: str  # how it begins and ends
    member: str | None  # e-mail address. None: a shared key
    own: bool  # of the member who looks
    team: str | None  # None: not bound
    repository: str | None  # None: not bound
    purpose: str  # development, staging, production
    scopes: tuple[str, ...]
    created_at: datetime
    created_by: str | None  # None: on the console
    last_used_at: datetime | None  # None: never
    expires_at: datetime | None  # None: never
    state: str  # active, paused, expired, revoked
    rotated: bool  # another key takes its place

    @property
    def valid(self) -> bool:
        """Whether it can still be changed."""
        return self.state in ("active", "paused")


@dataclass(frozen=True, slots=True)
class WantedKey:
    """What a form asks for."""

    name: str
    shared: bool
    team_id: int | None = None  # None: not bound
    repository_id: int | None = None  # None: not bound
    purpose: str = "development"
    scopes: tuple[str, ...] = ("ingest", "read")
    days: str = ""  # of LIVES


def list_keys(store: Store, by: Member, *, now: datetime | None = None) -> Sequence[KeyLine]:
    """The keys that a member may see: one's own, or all for who manages keys; valid ones first, then newest."""
    at = now or datetime.now(UTC)
    with store.read() as tx:
        rows = key_store.list_keys(tx, by.organization_id, None if by.may("manage_keys") else by.member_id)
    lines = [_line(row, by, at) for row in rows]
    return sorted(lines, key=lambda line: not line.valid)


def key_line(store: Store, by: Member, key_id: int, *, now: datetime | None = None) -> KeyLine:
    """One key that a member may see. Raises NotFound."""
    with store.read() as tx:
        row = key_store.get_key(tx, by.organization_id, key_id)
    if row is None or not (row.member_id == by.member_id or by.may("manage_keys")):
        raise NotFound("No such key")
    return _line(row, by, now or datetime.now(UTC))


def made_line(store: Store, by: Member, text: str) -> KeyLine:
    """The key of this text. Raises NotFound."""
    with store.read() as tx:
        key_id = key_store.key_by_hash(tx, by.organization_id, key_hash(text))
    return key_line(store, by, key_id or 0)


def _line(row: Any, by: Member, at: datetime) -> KeyLine:
    expired = row.expires_at is not None and row.expires_at <= at
    state = "revoked" if row.revoked_at else "expired" if expired else "paused" if row.paused_at else "active"
    return KeyLine(
        id=row.id,
        name=row.name,
        shown=f"{row.prefix}…{row.last_four}",
        member=row.email,
        own=row.member_id == by.member_id,
        team=row.team,
        repository=row.repository,
        purpose=row.purpose or "development",
        scopes=tuple(scope for scope in SCOPES if scope in row.scopes.split()),
        created_at=row.created_at,
        created_by=row.created_by,
        last_used_at=row.last_used_at,
        expires_at=row.expires_at,
        state=state,
        rotated=row.rotated_to is not None,
    )


def create_key(store: Store, by: Member, wanted: WantedKey, *, now: datetime | None = None) -> str:
    """Makes a key and answers its text, the only time it is known. Raises Forbidden, InvalidInput, NotFound."""
    at = now or datetime.now(UTC)
    name = checked_name(wanted.name, "A key")
    if wanted.purpose not in PURPOSES:
        raise InvalidInput(f"A purpose is one of {', '.join(PURPOSES)}", field="purpose")
    if wanted.days not in LIVES:
        raise InvalidInput("A key lives 30, 90 or 365 days, or for ever", field="days")
    life = LIVES[wanted.days]
    with store.write() as tx:
        who = acting(tx, by)
        who.must("manage_keys" if wanted.shared else "use_keys")
        _check_bound(tx, who, wanted)
        text = new_key(
            tx,
            by.organization_id,
            name,
            now=at,
            member_id=None if wanted.shared else by.member_id,
            team_id=wanted.team_id,
            repository_id=wanted.repository_id,
            purpose=None if wanted.purpose == "development" else wanted.purpose,
            scopes=check_scopes(wanted.scopes, None if wanted.shared else who.role),
            expires_at=at + life if life else None,
            created_by=who.email,
        )
        note(tx, who, at, "key.created", name, prefix=text[:11], shared=wanted.shared, scopes=list(wanted.scopes))
    return text


def _check_bound(tx: Tx, who: Member, wanted: WantedKey) -> None:
    if wanted.team_id is not None and get_team(tx, who.organization_id, wanted.team_id) is None:
        raise NotFound("No such team", field="team")
    repositories = {row.id for row in repositories_of(tx, who.organization_id)} if wanted.repository_id else set()
    if wanted.repository_id is not None and wanted.repository_id not in repositories:
        raise NotFound("No such repository", field="repository")


def rotate_key(store: Store, by: Member, key_id: int, overlap: str, *, now: datetime | None = None) -> str:
    """A new key with everything of an old one, which goes on working for the overlap; answers the new text.

    `overlap` is one of OVERLAPS, in hours. Raises Forbidden, InvalidInput, NotFound, Conflict.
    """
    at = now or datetime.now(UTC)
    if overlap not in OVERLAPS:
        raise InvalidInput("The old key works on for 0, 1, 24 or 168 hours", field="overlap")
    with store.write() as tx:
        who, row = _key(tx, by, key_id, at)
        if row.member_id not in (None, by.member_id):
            raise Forbidden("Only its member sees the text of a personal key; you may pause or revoke it")
        if row.rotated_to is not None:
            raise Conflict("This key was rotated already; the new one takes its place")
        life = row.expires_at - row.created_at if row.expires_at else None
        text = new_key(
            tx,
            by.organization_id,
            row.name,
            now=at,
            member_id=row.member_id,
            team_id=row.team_id,
            repository_id=row.repository_id,
            purpose=row.purpose,
            scopes=row.scopes,
            expires_at=at + life if life else None,
            created_by=who.email,
        )
        end = at + OVERLAPS[overlap]
        values = {
            "expires_at": min(end, row.expires_at) if row.expires_at else end,
            "rotated_to": key_store.key_by_hash(tx, by.organization_id, key_hash(text)),
        }
        key_store.change_key(tx, by.organization_id, key_id, values)
        note(tx, who, at, "key.rotated", row.name, before=row.prefix, after=text[:11], overlapHours=int(overlap))
    forget_trusted(store)
    return text


def pause_key(store: Store, by: Member, key_id: int, *, paused: bool, now: datetime | None = None) -> str:
    """Makes a key be refused until it is resumed; answers its name. Raises Forbidden, NotFound, Conflict."""
    at = now or datetime.now(UTC)
    with store.write() as tx:
        who, row = _key(tx, by, key_id, at)
        if (row.paused_at is not None) != paused:
            key_store.change_key(tx, by.organization_id, key_id, {"paused_at": at if paused else None})
            note(tx, who, at, "key.paused" if paused else "key.resumed", row.name, prefix=row.prefix)
    forget_trusted(store)
    return str(row.name)


def revoke_key(store: Store, by: Member, key_id: int, *, now: datetime | None = None) -> str:
    """Ends a key for good, at once in every process; answers its name. Raises Forbidden, NotFound, Conflict."""
    at = now or datetime.now(UTC)
    with store.write() as tx:
        who, row = _key(tx, by, key_id, at)
        key_store.change_key(tx, by.organization_id, key_id, {"revoked_at": at})
        note(tx, who, at, "key.revoked", row.name, prefix=row.prefix)
    forget_trusted(store)
    return str(row.name)


def _key(tx: Tx, by: Member, key_id: int, at: datetime) -> tuple[Member, Any]:
    """The key of this id that can still be changed, and who changes it."""
    who = acting(tx, by)
    row = key_store.get_key(tx, by.organization_id, key_id)
    own = row is not None and row.member_id == by.member_id
    if row is None or not (own or who.may("manage_keys")):
        raise NotFound("No such key")  # a member cannot tell others' keys from none
    if row.role == "owner" and not own and who.role != "owner":
        raise Forbidden("Only an owner may change the key of an owner")
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= at):
        raise Conflict("This key has ended already")
    return who, row
