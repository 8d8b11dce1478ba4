"""Column types shared by the tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Dialect
from sqlalchemy.types import TypeDecorator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_millis(at: datetime) -> int:
    """Milliseconds since 1970 UTC, exact (no float on the way)."""
    return (at - EPOCH) // timedelta(milliseconds=1)


def from_millis(millis: int) -> datetime:
    """An instant from milliseconds since 1970 in UTC."""
    return EPOCH + timedelta(milliseconds=millis)


class Instant(TypeDecorator[datetime]):
    """A moment, stored as milliseconds since 1970 UTC: the same order and arithmetic on every engine."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_millis(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else from_millis(value)
