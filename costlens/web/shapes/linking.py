"""Shapes of the rules of linking."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from costlens.web.shapes.base import Count, Dollars, Instant, Shape, Share

Stance = Literal["counted", "suggested", "off"]
Stances = dict[str, Stance]


class InForce(Shape):
    version: Annotated[int, msgspec.Meta(ge=1)]
    threshold: Share


class Rule(Shape):
    rule: str
    meaning: str
    confidence: Share
    stance: Annotated[Stance, msgspec.Meta(description="What becomes of its links")]
    chosen: Annotated[Stance | None, msgspec.Meta(description="What an owner set; null: by the threshold")]
    tested: Annotated[Count | None, msgspec.Meta(description="Runs it would have linked; null: it cannot be tested")]
    right: Annotated[Count | None, msgspec.Meta(description="How many of them rightly")]
    precision: Annotated[Share | None, msgspec.Meta(description="null: nothing was tested")]
    interval: Annotated[list[Share] | None, msgspec.Meta(description="Wilson, 95 %: low, high")]
    proposal: Annotated[Stance | None, msgspec.Meta(description="What the tests speak for; null: nothing")]


class Version(Shape):
    version: int
    threshold: Share
    stances: Stances
    applied_by: str
    applied_at: Instant


class Move(Shape):
    repo: str
    from_: str = msgspec.field(name="from")
    to: str
    runs: Count
    cost: Dollars


class Draft(Shape):
    threshold: Share
    stances: Stances
    created_by: str
    created_at: Instant
    compared_at: Instant | None
    problem: Annotated[str | None, msgspec.Meta(description="Why the comparison failed")]
    moves: Annotated[list[Move] | None, msgspec.Meta(description="null: not compared yet")]


class LinkingAnswer(Shape):
    ruleset: InForce
    rules: list[Rule]
    measured_at: Annotated[Instant | None, msgspec.Meta(description="null: the rules were never tested")]
    versions: Annotated[list[Version], msgspec.Meta(description="Applied ones, the newest first; none: as delivered")]
    draft: Annotated[Draft | None, msgspec.Meta(description="One that is not applied")]
    repositories_to_relink: Count
