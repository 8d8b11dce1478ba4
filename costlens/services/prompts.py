"""Prompts by their stable name, with their versions side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields

from costlens.domain.errors import NotFound
from costlens.domain.roi import Window
from costlens.store import analytics
from costlens.store.analytics import Amounts, GroupSums, Where
from costlens.store.engine import Store
from costlens.store.organizations import Organization

_VERSION = re.compile(r"-(v\d+)$")


@dataclass(frozen=True, slots=True)
class PromptVersion:
    prompt_id: str  # as callers name it
    version: str | None  # None: the name has no version
    sums: Amounts


@dataclass(frozen=True, slots=True)
class Prompt:
    name: str  # without the version
    versions: tuple[PromptVersion, ...]  # v1, v2, v10; the one without a version first
    sums: Amounts


def base_name(prompt_id: str) -> str:
    """`review` of `review-v2`."""
    return _VERSION.sub("", prompt_id)


def prompts(store: Store, organization: Organization, window: Window) -> list[Prompt]:
    """The prompts of a window in the organization's own zone, the dearest first."""
    with store.read() as tx:
        rows = analytics.sums_by_dimension(tx, organization.id, "prompt", window.start, window.end)
    found = [_prompt(name, group) for name, group in _by_name(rows).items()]
    return sorted(found, key=lambda one: (-one.sums.cost_nanos, one.name))


def prompt(
    store: Store, organization: Organization, window: Window, prompt_id: str
) -> tuple[Prompt, list[tuple[str, GroupSums]]]:
    """One prompt with all its versions, and its sums by version and model. Raises NotFound."""
    name = base_name(prompt_id)
    with store.read() as tx:
        rows = analytics.sums_by_dimension(tx, organization.id, "prompt", window.start, window.end)
        own = _by_name(rows).get(name)
        if own is None:
            raise NotFound(f"No run of this period names the prompt {name[:100]!r}", field="promptId")
        models = [
            (row.value, model)
            for row in own
            for model in analytics.sums_by_dimension_where(
                tx, organization.id, "model", window.start, window.end, Where(prompt_id=row.value)
            )
            if model.runs
        ]
    models.sort(key=lambda item: (item[0], -item[1].cost_nanos, item[1].value))
    return _prompt(name, own), models


def _by_name(rows: Sequence[GroupSums]) -> dict[str, list[GroupSums]]:
    found: dict[str, list[GroupSums]] = {}
    for row in rows:
        if row.value and row.runs:
            found.setdefault(base_name(row.value), []).append(row)
    return found


def _prompt(name: str, rows: Sequence[GroupSums]) -> Prompt:
    versions = []
    for row in rows:
        match = _VERSION.search(row.value)
        versions.append(PromptVersion(row.value, match[1] if match else None, row))
    versions.sort(key=lambda one: (int(one.version[1:]) if one.version else -1, one.prompt_id))
    total = Amounts(*(sum(getattr(row, item.name) for row in rows) for item in fields(Amounts)))
    return Prompt(name, tuple(versions), total)
