"""API keys: listed, made, rotated, paused and revoked. The text of one is in a single answer, and kept nowhere."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from flask import Blueprint, Response

from costlens.domain.access import Member
from costlens.domain.names import repository_name
from costlens.domain.shown import instant, moment
from costlens.services import key_settings
from costlens.services.key_settings import KeyLine, WantedKey
from costlens.services.scopes import find_bound
from costlens.web.answers import json_answer
from costlens.web.api.bodies import decode_stored
from costlens.web.api.callers import changing, looking
from costlens.web.api.slices import page_of
from costlens.web.context import context
from costlens.web.idempotency import told_once
from costlens.web.payload import json_body
from costlens.web.shapes import settings as shape
from costlens.web.shapes.base import Done


def blueprint() -> Blueprint:
    """The routes of API keys."""
    routes = Blueprint("issued_keys", __name__)
    routes.get("/api-keys")(list_keys)
    routes.post("/api-keys")(create)
    routes.put("/api-keys/<int:key_id>")(change)
    routes.delete("/api-keys/<int:key_id>")(revoke)
    routes.post("/api-keys/<int:key_id>/rotate")(rotate)
    return routes


class KeyBody(msgspec.Struct, forbid_unknown_fields=True):
    """A key to make: one's own, or a shared one."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    shared: bool = False
    team: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    repo: (
        Annotated[str, msgspec.Meta(min_length=1, max_length=500, description="owner/name, of runs that name none")]
        | None
    ) = None
    purpose: shape.Purpose = "development"
    scopes: Annotated[list[shape.Scope], msgspec.Meta(min_length=1, max_length=3)] = msgspec.field(
        default_factory=lambda: ["ingest", "read"]
    )
    days: Annotated[Literal[30, 90, 365] | None, msgspec.Meta(description="It lives; null: for ever")] = None


class KeyChange(msgspec.Struct, forbid_unknown_fields=True):
    """Whether calls with the key are refused until it works again."""

    paused: bool


class Rotation(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How long the old key works on."""

    overlap_hours: Literal[0, 1, 24, 168] = 0


def list_keys() -> Response:
    """The keys that the member may see: one's own, or all for who manages keys; valid ones first, then newest."""
    rows, following = page_of(key_settings.list_keys(context().store, looking("use_keys")))
    return json_answer(shape.KeyList(api_keys=[key_shape(row) for row in rows], next_cursor=following))


def create() -> Response:
    """Makes a key and tells it, this once."""
    by = changing("use_keys")
    body = decode_stored(json_body(), KeyBody)
    team_id, repository_id = find_bound(
        context().store,
        by.organization_id,
        team=body.team,
        repository=None if body.repo is None else repository_name(body.repo),
    )
    wanted = WantedKey(
        name=body.name,
        shared=body.shared,
        team_id=team_id,
        repository_id=repository_id,
        purpose=body.purpose,
        scopes=tuple(dict.fromkeys(body.scopes)),
        days="" if body.days is None else str(body.days),
    )
    return _told(by, key_settings.create_key(context().store, by, wanted))


def rotate(key_id: int) -> Response:
    """A new key with everything of an old one, which works on for the overlap; tells it, this once."""
    by = changing("use_keys")
    hours = decode_stored(json_body(), Rotation).overlap_hours
    return _told(by, key_settings.rotate_key(context().store, by, key_id, str(hours)))


def change(key_id: int) -> Response:
    """Pauses a key, or lets it work again."""
    by = changing("use_keys")
    body = decode_stored(json_body(), KeyChange)
    key_settings.pause_key(context().store, by, key_id, paused=body.paused)
    found = key_settings.key_line(context().store, by, key_id)
    return json_answer(shape.KeyAnswer(success=True, key=key_shape(found)))


def revoke(key_id: int) -> Response:
    """Ends a key for good, at once."""
    key_settings.revoke_key(context().store, changing("use_keys"), key_id)
    return json_answer(Done(success=True))


def _told(by: Member, text: str) -> Response:
    line = key_shape(key_settings.made_line(context().store, by, text))
    return told_once(
        shape.KeyMade(success=True, key=line, api_key=text), shape.KeyMade(success=True, key=line, api_key=None)
    )


def key_shape(one: KeyLine) -> shape.KeyShape:
    """A key as the API shows it."""
    return shape.KeyShape(
        id=one.id,
        name=one.name,
        shown=one.shown,
        member=one.member,
        team=one.team,
        repo=one.repository,
        purpose=one.purpose,  # type: ignore[arg-type]
        scopes=list(one.scopes),  # type: ignore[arg-type]
        created_at=moment(one.created_at),
        created_by=one.created_by,
        last_used_at=instant(one.last_used_at),
        expires_at=instant(one.expires_at),
        state=one.state,  # type: ignore[arg-type]
        rotated=one.rotated,
    )
