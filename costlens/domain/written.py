"""How figures, times and dates are written for people: on pages, in reports and in e-mails.

Every formatter writes an unknown value (None) as an en dash.
"""

from __future__ import annotations

from datetime import date, datetime

from costlens.domain.roi import NANOS_PER_CENT

MINUS = "\u2212"
UNKNOWN = "–"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def money(nanos: int | None) -> str:
    """Nano-dollars as "$1,234.56", or with as many decimals as it takes below a cent: "$0.0042"."""
    if nanos is None:
        return UNKNOWN
    sign = MINUS if nanos < 0 else ""
    size = abs(nanos)
    if size == 0 or size >= NANOS_PER_CENT:
        return f"{sign}${_rounded(size, 2)}"
    if size >= NANOS_PER_CENT // 100:
        return f"{sign}${_rounded(size, 4)}"
    return f"{sign}${_rounded(size, 9).rstrip('0')}"


def exact_money(nanos: int | None) -> str:
    """Nano-dollars with all nine decimals, for the page that explains a price."""
    if nanos is None:
        return UNKNOWN
    return f"{MINUS if nanos < 0 else ''}${_rounded(abs(nanos), 9)}"


def signed_money(nanos: int | None) -> str:
    """A difference of nano-dollars with its sign: "+$73.94", "−$45.79"; none is "$0.00"."""
    return f"+{money(nanos)}" if nanos is not None and nanos > 0 else money(nanos)


def change(current: int, previous: int) -> str:
    """The change from `previous` as a signed percentage: "+6.1 %"; "new" where there was nothing."""
    if previous == 0:
        return "new" if current else "unchanged"
    share = (current - previous) / previous
    text = percent(abs(share))
    if text == percent(0.0):
        return "unchanged"
    return f"{'+' if share > 0 else MINUS}{text}"


def percent(share: float | None) -> str:
    """A share of 0 to 1 as "77.2 %"; a part that is not the whole never reads as "100.0 %"."""
    if share is None:
        return UNKNOWN
    if share < 1 and round(share, 3) == 1:
        return "99.9 %"
    return f"{share * 100:,.1f} %".replace("-", MINUS)


def hours(value: float | None) -> str:
    """Hours with one decimal: "22.1 h"."""
    return UNKNOWN if value is None else f"{value:,.1f} h"


def minutes(value: float | None) -> str:
    """Minutes with one decimal: "8.7 min"."""
    return UNKNOWN if value is None else f"{value:,.1f} min"


def number(value: int | None) -> str:
    """A whole number with thousands separators: "1,234"."""
    return UNKNOWN if value is None else f"{value:,}".replace("-", MINUS)


def number_of(value: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: "1 PR", "46 PRs", "2 repositories" where `plural` is given."""
    return f"{number(value)} {noun if value == 1 else plural or noun + 's'}"


def day(value: date) -> str:
    """A day without its year: "27 Oct"."""
    return f"{value.day} {MONTHS[value.month - 1]}"


def date_range(start: date, end: date) -> str:
    """Two days, each part written once where both share it: "27 Oct – 23 Nov 2026"."""
    last = f"{day(end)} {end.year}"
    if start == end:
        return last
    if start.year != end.year:
        return f"{day(start)} {start.year} – {last}"
    if start.month != end.month:
        return f"{day(start)} – {last}"
    return f"{start.day} – {last}"


def moment(value: datetime | None) -> str:
    """An aware time in full: "23 Nov 2026, 10:26:41 UTC"."""
    if value is None:
        return UNKNOWN
    return f"{day(value)} {value.year}, {value:%H:%M:%S} {value.tzname()}"


def _rounded(nanos: int, decimals: int) -> str:
    """Nano-dollars of at least 0 in dollars, rounded half up by integer arithmetic."""
    step = 10 ** (9 - decimals)
    whole, part = divmod((nanos + step // 2) // step, 10**decimals)
    return f"{whole:,}.{part:0{decimals}d}"
