"""Shapes of people and their identities."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from costlens.web.shapes.base import Count, Dollars, Shape

Kind = Literal["login", "email", "github_id"]


class IdentityShape(Shape):
    kind: Kind
    value: str


class PersonShape(Shape):
    id: int
    name: Annotated[str, msgspec.Meta(description="The name that a source tells, else an address, login or number")]
    bot: bool
    member: Annotated[str | None, msgspec.Meta(description="Role in the organization; null: no member has the address")]
    identities: list[IdentityShape]
    runs: Count
    cost: Annotated[Dollars, msgspec.Meta(description="US dollars, unrounded, of runs that have a price")]
    commits: Count
    pull_requests: Count


class PeopleAnswer(Shape):
    people: list[PersonShape]
    next_cursor: str | None


class NamedIdentity(IdentityShape):
    """An identity with the runs, commits and pull requests that name it; one of them may name several."""

    name: Annotated[str | None, msgspec.Meta(description="As told beside it; null: none was")]
    set_apart: Annotated[bool, msgspec.Meta(description="A person took it away from another")]
    runs: Count
    cost: Dollars
    commits: Count
    pull_requests: Count


class PersonExplained(PersonShape):
    identities: list[NamedIdentity]  # type: ignore[assignment]


class PersonAnswer(Shape):
    person: PersonExplained


class SuggestedPair(Shape):
    people: Annotated[list[PersonShape], msgspec.Meta(min_length=2, max_length=2)]
    evidence: str


class KeyOfNobody(Shape):
    key: Annotated[str | None, msgspec.Meta(description="null: imported on the server")]
    runs: Count
    cost: Dollars


class Suggestions(Shape):
    suggestions: list[SuggestedPair]
    strangers: Annotated[
        list[PersonShape], msgspec.Meta(description="Who have runs, but no commit and no pull request")
    ]
    nobody: Annotated[list[KeyOfNobody], msgspec.Meta(description="Keys whose runs of the last 90 days name nobody")]


class Merged(Shape):
    success: Literal[True]
    person: PersonShape


class Split(Shape):
    success: Literal[True]
    person: Annotated[PersonShape, msgspec.Meta(description="The new one")]
    runs: Annotated[int, msgspec.Meta(ge=0, description="That went along")]
    commits: Count
    pull_requests: Count
