"""Money and time as the API and every export show them."""

from __future__ import annotations

from datetime import UTC, datetime

NANOS = 1_000_000_000


def dollars(nanos: int | None) -> float | None:
    """Nano-dollars as dollars, unrounded. None stays None: an unknown cost is never 0."""
    return None if nanos is None else nanos / NANOS


def instant(at: datetime | None) -> str | None:
    """`2026-01-05T12:17:35.528Z`; None stays None."""
    return None if at is None else moment(at)


def moment(at: datetime) -> str:
    """The same of a time that is known."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
