"""API keys: made once, kept as a hash, checked on every call.

A checked key is trusted for a second without asking the database again. Whoever changes keys raises the number that the
processes of this machine share (`Store.access`), and trust that began under another number is worth nothing: a
revocation holds at once in all of them, and on other machines within the second (docs/decisions/0010).
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import time
from datetime import UTC, datetime

from costlens.domain import access
from costlens.domain.errors import Forbidden, InvalidInput, NotFound, Unauthorized, Unavailable
from costlens.store import organizations as org_store
from costlens.store.engine import Store, Tx
from costlens.store.organizations import KeyRow

SCOPES = tuple(access.SCOPES)
PURPOSES = ("development", "staging", "production")
_FORM = re.compile(r"^cl_[0-9a-f]{64}$")
_TRUST_SECONDS = 1.0
_TRUSTED_KEYS = 10_000  # more than that many in use within a second: forget all and begin anew


class _Trusted:
    """Keys of this process that the database called valid less than a second ago, by their hash."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[bytes, tuple[float, int, Store, KeyRow]] = {}
        self._forgotten = 0  # how often everything was forgotten
        self._asking: set[bytes] = set()  # of which keys somebody asks again before their time is over

    def find(self, store: Store, known_by: bytes) -> KeyRow | None:
        until, version, where, key = self._keys.get(known_by, (0.0, 0, None, None))
        left = until - time.monotonic()
        if where is not store or left <= 0 or version != store.access.read():
            return self._ask(store, known_by)
        if left > _TRUST_SECONDS / 2 or known_by in self._asking:
            return key
        # One asks early, so that not all who come with this key ask at once when its time is over.
        self._asking.add(known_by)
        try:
            return self._ask(store, known_by)
        except Unavailable:
            return key  # its time is not over yet
        finally:
            self._asking.discard(known_by)

    def _ask(self, store: Store, known_by: bytes) -> KeyRow | None:
        # Before the question: what is changed after it is changed under another version.
        asked, forgotten, version = time.monotonic(), self._forgotten, store.access.read()
        with store.read() as tx:
            key = org_store.find_key(tx, known_by)
        if key is not None and key.revoked_at is None:
            with self._lock:
                if len(self._keys) >= _TRUSTED_KEYS:
                    self._keys.clear()
                # What was read before a revocation must not outlive it.
                if forgotten == self._forgotten:
                    self._keys[known_by] = (asked + _TRUST_SECONDS, version, store, key)
        return key

    def forget(self) -> None:
        with self._lock:
            self._keys.clear()
            self._forgotten += 1


_trusted = _Trusted()


def forget_trusted(store: Store) -> None:
    """Makes every process of this machine ask again; to be called once a change of what keys may do is committed."""
    _trusted.forget()
    store.access.raise_by_one()


def new_key(
    tx: Tx,
    organization_id: int,
    name: str,
    *,
    now: datetime,
    member_id: int | None = None,
    team_id: int | None = None,
    purpose: str | None = None,
    scopes: str = "ingest read",
    repository_id: int | None = None,
    expires_at: datetime | None = None,
    created_by: str | None = None,
) -> str:
    """Makes a key and answers its text, the only time it is known. Raises InvalidInput for an unknown scope."""
    text = f"cl_{secrets.token_hex(32)}"
    org_store.create_key(
        tx,
        {
            "organization_id": organization_id,
            "name": name,
            "key_hash": key_hash(text),
            "prefix": text[:11],
            "last_four": text[-4:],
            "member_id": member_id,
            "team_id": team_id,
            "purpose": purpose,
            "scopes": access.check_scopes(scopes.split(), None),
            "repository_id": repository_id,
            "expires_at": expires_at,
            "created_by": created_by,
            "created_at": now,
        },
    )
    return text


def key_hash(text: str) -> bytes:
    """What is stored of a key: the SHA-256 of its text, which is random enough to need no salt."""
    return hashlib.sha256(text.encode()).digest()


def authenticate(store: Store, text: str | None, scope: str | None, *, now: datetime | None = None) -> KeyRow:
    """The key of a bearer token. Raises Unauthorized, or Forbidden when it lacks the scope."""
    at = now or datetime.now(UTC)
    if text is None or not _FORM.match(text):
        raise Unauthorized("Unauthorized - Invalid API key")
    known_by = key_hash(text)
    key = _trusted.find(store, known_by)
    if key is None or key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= at):
        raise Unauthorized("Unauthorized - Invalid API key")
    if key.paused_at is not None:
        raise Unauthorized("Unauthorized - This API key is paused")
    if scope is not None and scope not in key.scopes:
        raise Forbidden(f"This key may not {scope}; it has the scopes {', '.join(sorted(key.scopes))}")
    return key


def create_key(
    store: Store,
    organization: str,
    name: str,
    *,
    team: str | None = None,
    member: str | None = None,
    purpose: str | None = None,
    scopes: str = "ingest read",
    now: datetime | None = None,
) -> str:
    """A key for an organization given by name or slug. Raises NotFound for an unknown organization or member."""
    at = now or datetime.now(UTC)
    if purpose not in (None, *PURPOSES):
        raise InvalidInput("purpose is development, production or staging", field="purpose")
    with store.write() as tx:
        found = org_store.find_organization(tx, organization)
        if found is None:
            raise NotFound(f"No organization named {organization!r}")
        team_id = None
        if team:
            team_id = next((row.id for row in org_store.list_teams(tx, found.id) if team in (row.name, row.slug)), None)
            if team_id is None:
                raise NotFound(f"{found.name} has no team named {team!r}")
        row = org_store.find_member(tx, found.id, member) if member else None
        if member and row is None:
            raise NotFound(f"{found.name} has no member {member}")
        text = new_key(
            tx,
            found.id,
            name,
            now=at,
            member_id=row.id if row else None,
            team_id=team_id,
            purpose=None if purpose == "development" else purpose,
            scopes=scopes,
        )
        org_store.add_audit(
            tx, found.id, at=at, actor="console", action="key.created", subject=name, details={"prefix": text[:11]}
        )
    return text


def revoke_key(store: Store, organization: str, key: str, *, now: datetime | None = None) -> None:
    """Revokes the key of this text or prefix (`cl_` and 8 characters). Raises NotFound."""
    at = now or datetime.now(UTC)
    with store.write() as tx:
        found = org_store.find_organization(tx, organization)
        if found is None or len(key) < 11 or not org_store.revoke_keys(tx, found.id, key[:11], at):
            raise NotFound("No valid key begins like this")
        org_store.add_audit(tx, found.id, at=at, actor="console", action="key.revoked", subject=key[:11], details={})
    forget_trusted(store)


def find_key_id(store: Store, organization_id: int, key: str) -> int:
    """The key, valid or not, of this text or prefix (`cl_` and 8 characters). Raises NotFound."""
    with store.read() as tx:
        found = org_store.key_id(tx, organization_id, key[:11])
    if found is None:
        raise NotFound("No key begins like this")
    return found
