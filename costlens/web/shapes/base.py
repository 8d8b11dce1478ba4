"""What every shape shares, and the shapes that many answers hold."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Instant = Annotated[str, msgspec.Meta(description="Time in UTC, ISO 8601 with milliseconds")]
Day = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Dollars = Annotated[float, msgspec.Meta(description="US dollars, unrounded")]
Cost = Annotated[float | None, msgspec.Meta(description="US dollars, unrounded; null: no price is known, never 0")]


class Shape(msgspec.Struct, rename="camel", kw_only=True):
    """A JSON object in camelCase whose fields are all there."""


class Done(Shape):
    """It was done."""

    success: Literal[True]


class ApiError(Shape, omit_defaults=True):
    """The one shape of every error."""

    error: Annotated[str, msgspec.Meta(description="What is wrong, for people")]
    code: Annotated[str, msgspec.Meta(description="What is wrong, for programs")]
    request_id: str
    field: Annotated[str, msgspec.Meta(description="Which field or parameter")] | msgspec.UnsetType = msgspec.UNSET
    retry_after: Annotated[int, msgspec.Meta(description="Seconds to wait")] | msgspec.UnsetType = msgspec.UNSET


class Coverage(Shape):
    """How much of the figures stands on what; null: there are no runs, or no code cost."""

    priced: Share | None
    exact_usage: Share | None
    linked: Share | None


class Warned(Shape):
    """A limited plan's month is nearly, or all, used."""

    code: Literal["monthly_runs"]
    message: str
    runs_this_month: Count
    runs_limit: Count
    percent_used: float
