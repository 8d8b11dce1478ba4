"""Lines of CSV: read back as they were written, and nothing in them runs."""

from __future__ import annotations

import csv
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens.domain.spreadsheet import csv_line

STARTS = "=+-@\t\r\n"


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("plain", "plain"),
        (None, ""),
        ("", ""),
        (True, "true"),
        (False, "false"),
        (-1, "-1"),
        (-0.5, "-0.5"),
        (1.5e-08, "0.000000015"),
        (-1e-09, "-0.000000001"),
        (1e22, "10000000000000000000000"),
        (Decimal("1E-9"), "0.000000001"),
        (Decimal("-2"), "-2"),
        ({"a": [1, "é"]}, '"{""a"":[1,""é""]}"'),
        (["=1"], '"[""=1""]"'),
        ('say "a, b"', '"say ""a, b"""'),
        ("two\nlines", '"two\nlines"'),
        *((f"{start}1+1", f"'{start}1+1") for start in "=+-@\t"),
        ("-1", "'-1"),
        ("\rx", '"\'\rx"'),
        ("a=1", "a=1"),
    ],
)
def test_a_cell(cell: Any, text: str) -> None:
    assert csv_line(["x", cell]) == f"x,{text}\r\n"


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=2))
def test_text_comes_back_and_never_as_a_formula(cells: list[str]) -> None:
    (row,) = csv.reader([csv_line(cells)], strict=True)
    assert row == [f"'{cell}" if cell.startswith(tuple(STARTS)) else cell for cell in cells]
