"""Column types shared by the tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ARRAY, BigInteger, ColumnElement, Dialect, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_millis(at: datetime) -> int:
    """Milliseconds since 1970 UTC, exact (no float on the way)."""
    return (at - EPOCH) // _MILLISECOND


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


class _Among(FunctionElement[bool]):
    inherit_cache = True  # no type: SQLite has no booleans, and `… = 1` around it would hide the index


def among(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Whether a column's value is one of the list given as parameter `name`.

    However long the list is, the statement stays the same, so it is built and planned once.
    """
    return _Among(column, bindparam(name, type_=_Many(column.type)))


def one_of(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """Whether a column's value is one of these (numbers or text), in a statement that is the same for all of them."""
    some = bindparam("some", sorted(set(values)), unique=True, type_=_Many(column.type))
    return _Among(column, some)


@compiles(_Among)
def _any(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} = ANY ({values})"


@compiles(_Among, "sqlite")
def _each(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"


class _Many(TypeDecorator[Sequence[Any]]):
    """A list of values: an array on PostgreSQL, the text of a JSON list on SQLite (see also `lookups`)."""

    impl = Text
    cache_ok = True

    def __init__(self, one: TypeEngine[Any]) -> None:
        super().__init__()
        self.one = one

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else ARRAY(self.one))

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return msgspec.json.encode(value).decode()
