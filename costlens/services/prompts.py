"""Prompts by their stable name, with their versions side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from costlens.domain.errors import NotFound
from costlens.domain.periods import FIRST_DAY, LAST_DAY, bounds
from costlens.domain.roi import Window
from costlens.store import analytics, usage
from costlens.store.analytics import Amounts, Where
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from costlens.store.rollups import provider_and_model
from costlens.store.usage import PromptModelSums, Shipped

_VERSION = re.compile(r"-(v\d+)$")
_EVERYTHING = Where()


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


@dataclass(frozen=True, slots=True)
class PromptReport:
    """All runs of a window are in one of the prompts or in `none`, so these add up to the total."""

    window: Window
    prompts: list[Prompt]  # dearest first
    none: Amounts | None  # runs that name no prompt. None: there are none
    total: Amounts


@dataclass(frozen=True, slots=True)
class PromptDetails:
    window: Window
    prompt: Prompt
    models: Mapping[str, Sequence[PromptModelSums]]  # of each version by promptId, dearest first
    shipped: Mapping[str | None, Sequence[Shipped]]  # of each version by promptId, and of all under None


def base_name(prompt_id: str) -> str:
    """`review` of `review-v2`."""
    return _VERSION.sub("", prompt_id)


def prompts(store: Store, organization: Organization, window: Window, where: Where = _EVERYTHING) -> PromptReport:
    """The prompts of a window in the organization's own zone."""
    span = (organization.id, "prompt", window.start, window.end)
    with store.read() as tx:
        if where == _EVERYTHING:
            rows = analytics.sums_by_dimension(tx, *span)
        else:
            rows = analytics.sums_by_dimension_where(tx, *span, where)
    rows = [row for row in rows if row.runs]
    by_name: dict[str, dict[str, Amounts]] = {}
    for row in rows:
        if row.value:
            by_name.setdefault(base_name(row.value), {})[row.value] = row
    found = sorted((_prompt(name, own) for name, own in by_name.items()), key=lambda p: (-p.sums.cost_nanos, p.name))
    return PromptReport(window, found, next((row for row in rows if not row.value), None), _total(rows))


def prompt(
    store: Store, organization: Organization, window: Window, prompt_id: str, where: Where = _EVERYTHING
) -> PromptDetails:
    """One prompt with all its versions, each by model and by what it shipped.

    A pull request is counted for the runs of the window, whenever it was merged. Raises NotFound.
    """
    name = base_name(prompt_id)
    since, until = bounds(window)
    with store.read() as tx:
        span = (window.start, window.end)
        names = analytics.names_in_several(tx, organization.id, ("prompt", "call"), *span)
        calls = [provider_and_model(call) for call in names["call"]]
        ids = [each for each in names["prompt"] if each and base_name(each) == name]
        rows = usage.sums_of_prompts(tx, organization.id, ids, calls, *span, where) if ids else []
        if not rows:
            raise NotFound(f"No run of this period names the prompt {name[:100]!r}", field="promptId")
        shipped = usage.shipped_by_prompt(tx, organization.id, ids, since, until, where)
    models: dict[str, list[PromptModelSums]] = {}
    for row in sorted(rows, key=lambda row: (-row.cost_nanos, row.model)):
        models.setdefault(row.prompt_id, []).append(row)
    return PromptDetails(window, _prompt(name, {each: _total(own) for each, own in models.items()}), models, shipped)


def is_known(store: Store, organization: Organization, prompt_id: str) -> bool:
    """Whether a run of any time names a version of this prompt."""
    name = base_name(prompt_id)
    with store.read() as tx:
        names = analytics.names_in(tx, organization.id, "prompt", FIRST_DAY, LAST_DAY)
    return any(each and base_name(each) == name for each in names)


def _prompt(name: str, versions: Mapping[str, Amounts]) -> Prompt:
    found = []
    for prompt_id, sums in versions.items():
        match = _VERSION.search(prompt_id)
        found.append(PromptVersion(prompt_id, match[1] if match else None, sums))
    found.sort(key=lambda one: (int(one.version[1:]) if one.version else -1, one.prompt_id))
    return Prompt(name, tuple(found), _total(versions.values()))


def _total(rows: Iterable[Amounts]) -> Amounts:
    every = list(rows)
    return Amounts(*(sum(getattr(row, each.name) for row in every) for each in fields(Amounts)))
