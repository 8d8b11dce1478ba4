"""What a plan allows, read from the text of one TOML file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from typing import Any

DEFAULT_BATCH = 1_000  # of a plan that the file no longer names
WARN_FROM = 80.0  # percent of a month's runs


@dataclass(frozen=True, slots=True)
class Plan:
    """What a plan allows; None: no limit."""

    name: str
    batch_size: int
    runs_per_month: int | None = None
    requests_per_minute: int | None = None
    batches_per_minute: int | None = None


def read_plans(text: str) -> dict[str, Plan]:
    """Plans by name. Raises ValueError that says what cannot be used."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"it is not TOML: {error}") from error
    plans = {name: _plan(name, table) for name, table in tables.items()}
    if not plans:
        raise ValueError("it names no plan")
    return plans


def _plan(name: str, table: Any) -> Plan:
    if not isinstance(table, dict):
        raise ValueError(f"{name} is not a plan such as [{name}]")
    known = {field.name for field in fields(Plan)} - {"name"}
    if unknown := sorted(set(table) - known):
        raise ValueError(f"[{name}] {unknown[0]} is none of {', '.join(sorted(known))}")
    for field, value in table.items():
        if type(value) is not int or value < 1:
            raise ValueError(f"[{name}] {field} must be a whole number from 1 on; leave it out for no limit")
    if "batch_size" not in table:
        raise ValueError(f"[{name}] needs batch_size")
    return Plan(name, **table)
