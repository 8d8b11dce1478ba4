"""Filters in the URL, of every page: what a query may say, read and checked in one place, and written back shortest.

A page's filters are a frozen dataclass; each field's annotation carries the function that reads its text. A default is
what an URL without a query means, and only what differs from it stands in an URL.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Generic, TypeVar, get_type_hints

from costlens.domain.errors import InvalidInput
from costlens.domain.periods import DEFAULT_PERIOD, local_day, parse_day, window
from costlens.domain.roi import Window

PERIODS: Mapping[str, str] = MappingProxyType(
    {"7d": "7 days", "28d": "28 days", "91d": "91 days", "12m": "12 months"},
)
DATES = "dates"  # what the form says instead of a preset; never in an address that the page writes
NONE = "none"  # stands for 0: of no team, of no repository
LONGEST_TEXT = 300
_URL_NAMES = {"start": "from", "end": "to", "ascending": "dir"}  # where the field is called otherwise
_LARGEST_ID = 2**63 - 1

Reader = Callable[[str], Any]  # text of the query → value; raises InvalidInput that says what it takes


def one_of(values: Collection[str]) -> Reader:
    """Reads one of these words."""

    def read(text: str) -> str:
        if text not in values:
            raise InvalidInput(f"is not one of {', '.join(values)}")
        return text

    return read


def an_id(text: str) -> int:
    """Reads the id of a team, repository or pull request, or `none` as 0."""
    if text == NONE:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and 0 < int(text) <= _LARGEST_ID):
        raise InvalidInput("is neither an id nor none")
    return int(text)


def a_text(text: str) -> str:
    """Reads a name as callers of the API send it."""
    if len(text) > LONGEST_TEXT:
        raise InvalidInput(f"is longer than {LONGEST_TEXT} characters")
    if "\0" in text:
        raise InvalidInput("holds a NUL character")
    return text


def a_day(text: str) -> date:
    """Reads a date such as 2026-01-31."""
    try:
        return parse_day(text, "date")
    except InvalidInput as error:
        raise InvalidInput("is not a date such as 2026-01-31") from error


def rising(text: str) -> bool:
    """Reads the direction of a sorted table, `asc` as True."""
    return bool(one_of(("asc", "desc"))(text) == "asc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dates:
    """The period of a page: a preset that ends today, or dates."""

    period: Annotated[str, one_of(PERIODS)] = DEFAULT_PERIOD
    start: Annotated[date | None, a_day] = None  # None: the preset holds
    end: Annotated[date | None, a_day] = None  # None: the preset holds, or until today


F = TypeVar("F", bound=Dates)


@dataclass(frozen=True, slots=True)
class Chosen(Generic[F]):
    """What a query says."""

    filters: F
    window: Window  # the default where the query's cannot be used
    problems: tuple[str, ...]  # one sentence for each value that cannot be used; empty: all is well


def read(kind: type[F], query: Mapping[str, str], timezone: str, now: datetime) -> Chosen[F]:
    """The filters of a query, of which names that the page does not know are left out; `now` is aware."""
    values: dict[str, Any] = {}
    problems = []
    for each, reader in _readers(kind).items():  # type: ignore[arg-type]  # a class is hashable
        name = name_of(each)
        text = query.get(name, "").strip()
        if not text or (name == "period" and text == DATES):
            continue
        try:
            values[each] = reader(text)
        except InvalidInput as error:
            shown = text if len(text) <= 40 else f"{text[:40]}…"
            problems.append(f"{name}: “{shown}” {error.message}.")
    if "period" in values:  # a form sends its dates with every preset
        values.pop("start", None)
        values.pop("end", None)
    filters = kind(**values)
    today = local_day(now, timezone)
    try:
        return Chosen(filters, _window(filters, timezone, today), tuple(problems))
    except InvalidInput as error:
        message = error.message.replace("startDate", "from").replace("endDate", "to")
        filters = replace(filters, start=None, end=None)
        return Chosen(filters, window(filters.period, timezone, today), (*problems, f"{message}."))


def _window(filters: Dates, timezone: str, today: date) -> Window:
    start, end = (None if day is None else day.isoformat() for day in (filters.start, filters.end))
    return window(filters.period, timezone, today, start=start, end=end)


def query_of(filters: Dates, *names: str) -> dict[str, str]:
    """The query that `read` reads as these filters: only what differs from the defaults, of all names or of these."""
    return {
        name_of(each.name): _text(value)
        for each in fields(filters)
        if (value := getattr(filters, each.name)) != each.default and (not names or name_of(each.name) in names)
    }


def period_name(filters: Dates, span: Window) -> str:
    """The length of the period in words: 28 days, 12 months."""
    if filters.start is None:
        return PERIODS[filters.period]
    return f"{span.days} days" if span.days > 1 else "day"


def name_of(field: str) -> str:
    """The name of a field in the URL."""
    return _URL_NAMES.get(field, field)


@cache
def _readers(kind: type[Dates]) -> Mapping[str, Reader]:
    return {name: hint.__metadata__[0] for name, hint in get_type_hints(kind, include_extras=True).items()}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "asc" if value else "desc"
    if isinstance(value, date):
        return value.isoformat()
    return NONE if value == 0 else str(value)
