"""How a route is described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from costlens.web.shapes.base import ApiError


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter."""

    name: str
    about: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string", "maxLength": 500})


def one_of(name: str, about: str, *words: str) -> Parameter:
    """A parameter that takes one of some words."""
    return Parameter(name, about, {"type": "string", "enum": list(words)})


def whole(name: str, about: str, low: int, high: int, default: int | None = None) -> Parameter:
    """A parameter that takes a whole number."""
    schema: dict[str, Any] = {"type": "integer", "minimum": low, "maximum": high}
    return Parameter(name, about, schema if default is None else schema | {"default": default})


@dataclass(frozen=True, slots=True)
class Operation:
    """What a route takes and answers, beside what all have in common."""

    tag: str
    summary: str
    answers: Any  # the type of a 200; a tuple: one of these
    body: Any = None  # the type of the JSON body, a tuple: one of these. None: it takes none
    params: Sequence[Parameter] = ()
    also: Mapping[int, Any] = field(default_factory=dict)  # further statuses with their types
    scope: str | None = "read"  # None: no key is needed
    held: str = "any"  # whose key: any, personal, or keeper: personal and bound to nothing
    files: bool = False  # `format=csv` and `format=ndjson` too
    media: str = "application/json"  # of the body
    told_as: str = "application/json"  # media type of a 200
    example: Mapping[str, Any] | Sequence[Any] | None = None  # of the body
    links: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # OpenAPI links of the 200

    @property
    def errors(self) -> dict[int, Any]:
        """The errors that the route may answer."""
        found = [400, 503]
        if self.scope is not None:
            found += [401, 403, 429]
        if {"team", "repo"} & {param.name for param in self.params}:
            found.append(404)  # a name that is not known
        if self.body is not None:
            found += [409, 413, 415]
        return dict.fromkeys(sorted(found), ApiError)
