"""GET /people, /people/{id} and /people/suggestions; POST /people/merge, /people/dismiss and /people/split."""

from __future__ import annotations

from typing import Annotated

import msgspec
from flask import Blueprint, Response

from costlens.domain.errors import InvalidInput
from costlens.domain.names import Identity
from costlens.services import people
from costlens.services.people import PersonLine
from costlens.store.organizations import KeyRow
from costlens.web.answers import json_answer
from costlens.web.api import params
from costlens.web.api.bodies import decode
from costlens.web.auth import require_key
from costlens.web.context import context
from costlens.web.payload import json_body
from costlens.web.shapes import people as shape
from costlens.web.shapes.base import Done

NANOS = 10**9


def blueprint() -> Blueprint:
    """The routes of people and their identities."""
    routes = Blueprint("identities", __name__)
    routes.get("/people")(list_people)
    routes.get("/people/suggestions")(list_suggestions)
    routes.get("/people/<int:person_id>")(get_person)
    routes.post("/people/merge")(merge)
    routes.post("/people/dismiss")(dismiss)
    routes.post("/people/split")(split)
    return routes


def list_people() -> Response:
    """People with their identities, the dearest first."""
    organization = require_key("read").organization
    limit = params.number("limit", 100, 1, 1_000)
    cursor = params.text("cursor") or "0"
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 10):
        raise InvalidInput("cursor is not one of ours", field="cursor")
    found = list(people.people(context().store, organization.id).lines)
    if wanted := params.text("q"):
        found = people.matching(found, wanted)
    start = int(cursor)
    more = start + limit < len(found)
    return json_answer(
        shape.PeopleAnswer(
            people=[_person(one) for one in found[start : start + limit]],
            next_cursor=str(start + limit) if more else None,
        )
    )


def list_suggestions() -> Response:
    """Who may be one human, who runs but ships nothing, and which keys name nobody."""
    organization = require_key("read").organization
    found = people.people(context().store, organization.id)
    return json_answer(
        shape.Suggestions(
            suggestions=[
                shape.SuggestedPair(people=[_person(one.first), _person(one.second)], evidence=one.evidence)
                for one in found.suggestions
            ],
            strangers=[_person(one) for one in found.strangers],
            nobody=[shape.KeyOfNobody(key=one.key, runs=one.runs, cost=one.cost_nanos / NANOS) for one in found.nobody],
        )
    )


def get_person(person_id: int) -> Response:
    """One person with what names each identity."""
    found = people.person(context().store, require_key("read").organization.id, person_id)
    plain = _person(found.person)
    return json_answer(
        shape.PersonAnswer(
            person=shape.PersonExplained(
                **{name: getattr(plain, name) for name in plain.__struct_fields__ if name != "identities"},
                identities=[
                    shape.NamedIdentity(
                        kind=one.identity.kind,  # type: ignore[arg-type]
                        value=one.identity.value,
                        name=one.name,
                        set_apart=one.set_apart,
                        runs=one.runs,
                        cost=one.cost_nanos / NANOS,
                        commits=one.commits,
                        pull_requests=one.pulls,
                    )
                    for one in found.identities
                ],
            )
        )
    )


_Id = Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]


class PairBody(msgspec.Struct):
    """Two people by id."""

    people: Annotated[list[_Id], msgspec.Meta(min_length=2, max_length=2)]


class SplitBody(msgspec.Struct):
    """A person, and the identities that shall be a person of their own."""

    person: _Id
    identities: Annotated[list[shape.IdentityShape], msgspec.Meta(min_length=1, max_length=100)]


def merge() -> Response:
    """Makes two people one, the older; every sync keeps it so."""
    key = require_key("admin")
    first, second = decode(json_body(), PairBody).people
    people.merge(context().store, key.organization.id, _by(key), first, second)
    people.link_soon(context().store, context().queue, key.organization.id)
    return json_answer(shape.Merged(success=True, person=_one(key, min(first, second))))


def dismiss() -> Response:
    """Keeps that two people are not the same."""
    key = require_key("admin")
    first, second = decode(json_body(), PairBody).people
    people.dismiss(context().store, key.organization.id, _by(key), first, second)
    return json_answer(Done(success=True))


def split() -> Response:
    """Makes some identities of a person a person of their own, with the runs and commits that name them."""
    key = require_key("admin")
    body = decode(json_body(), SplitBody)
    chosen = [Identity(one.kind, one.value.strip().lower()) for one in body.identities]
    done = people.split(context().store, key.organization.id, _by(key), body.person, chosen)
    people.link_soon(context().store, context().queue, key.organization.id)
    return json_answer(
        shape.Split(
            success=True,
            person=_one(key, done.person_id),
            runs=done.runs,
            commits=done.commits,
            pull_requests=done.pulls,
        )
    )


def _by(key: KeyRow) -> str:
    return key.member_email or f"key {key.name}"


def _one(key: KeyRow, person_id: int) -> shape.PersonShape:
    return _person(people.person(context().store, key.organization.id, person_id).person)


def _person(one: PersonLine) -> shape.PersonShape:
    return shape.PersonShape(
        id=one.id,
        name=one.label,
        bot=one.bot,
        member=one.role,
        identities=[
            shape.IdentityShape(kind=each.kind, value=each.value)  # type: ignore[arg-type]
            for each in one.identities
        ],
        runs=one.runs,
        cost=one.cost_nanos / NANOS,
        commits=one.commits,
        pull_requests=one.pulls,
    )
