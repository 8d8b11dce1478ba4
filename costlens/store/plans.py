"""Help for SQLite's planner, which knows no numbers of rows and takes ten for all that one organization has."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement


def checked(column: Any, value: int) -> ColumnElement[bool]:
    """`column == value` of rows that another condition finds: no index is asked for it.

    Without it a list of ids is looked for among all rows of the organization.
    """
    condition: ColumnElement[bool] = column + 0 == value
    return condition
