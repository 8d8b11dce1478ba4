"""Rows as CSV (RFC 4180) that a spreadsheet shows as what they are and never runs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

Cell = str | int | float | Decimal | dict[str, Any] | list[Any] | None

# A spreadsheet runs a cell that begins with one of these as a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_line(cells: Iterable[Cell]) -> str:
    """A row with its line end. Text that would be a formula begins with an apostrophe, a number has no exponent, what
    has parts is JSON and None is empty.
    """
    buffer = io.StringIO()
    csv.writer(buffer).writerow([_shown(cell) for cell in cells])
    return buffer.getvalue()


def _shown(cell: Cell) -> str | int | float | None:
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        text = repr(cell)
        return f"{Decimal(text):f}" if "e" in text else text
    if isinstance(cell, Decimal):
        return f"{cell:f}"
    if isinstance(cell, dict | list):
        return json.dumps(cell, ensure_ascii=False, separators=(",", ":"))
    return cell
