"""The OpenAPI 3.1 document, made of the routes of the application and the types that bodies are validated with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from werkzeug.routing import Map, Rule

from costlens import __version__
from costlens.web.openapi.catalogue import ABOUT, OPERATIONS
from costlens.web.openapi.operation import Operation, Parameter
from costlens.web.openapi.samples import samples
from costlens.web.shapes.base import ApiError

_REF = "#/components/schemas/{name}"
_WORDS = {
    200: "Done", 202: "A job does it", 207: "Some or all items were refused; the others are stored",
    400: "It cannot be used; `field` says what", 401: "No key, or not a valid one", 402: "The month's runs are used up",
    403: "The key may not do this", 404: "There is none",
    405: "This route does not take this method", 409: "The same identity with other content",
    413: "Past a size limit; nothing was stored", 415: "Not a JSON body", 429: "Past a limit by the minute",
    503: "Busy or away; nothing was stored, send it again",
}  # fmt: skip
_PATH_SCHEMAS: Mapping[str, dict[str, Any]] = {
    "run_id": {"type": "string", "example": "run_0amq02qa28100"},
    "prompt_id": {"type": "string"},
    "price_id": {"type": "integer", "minimum": 1},
    "number": {"type": "integer", "minimum": 1},
    "person_id": {"type": "integer", "minimum": 1},
    "report_id": {"type": "integer", "minimum": 1},
    "team_id": {"type": "integer", "minimum": 1},
    "member_id": {"type": "integer", "minimum": 1},
    "invitation_id": {"type": "integer", "minimum": 1},
    "key_id": {"type": "integer", "minimum": 1},
    "owner": {"type": "string"},
    "repo": {"type": "string"},
}
_HELD = {
    "any": "",
    "personal": " and must be the personal key of a member",
    "keeper": " and must be the personal key of a member who may do this, bound to no team, repository or purpose",
}
_FILES = (Parameter("format", "As a file with all rows", {"type": "string", "enum": ["json", "csv", "ndjson"]}),)


def routes(url_map: Map) -> list[tuple[str, str, str]]:
    """(endpoint without prefix, method, path) of every route of the API, each once, in the order of the catalogue."""
    order = {name: place for place, name in enumerate(OPERATIONS)}
    found = {
        (name_of(rule), method, _path(rule))
        for rule in url_map.iter_rules()
        if rule.endpoint.startswith("api_") and not rule.rule.startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    return sorted(found, key=lambda route: (order.get(route[0], len(order)), route[1]))


def name_of(rule: Rule) -> str:
    """The endpoint without the prefix that tells `/x` from `/api/x`."""
    return re.sub(r"^api(_api)?_", "", rule.endpoint)


def _path(rule: Rule) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


def document(url_map: Map, base_url: str) -> dict[str, Any]:
    """The whole document; `base_url` is this server as its reader sees it. Raises KeyError for an unknown route."""
    described = [(OPERATIONS[name], name, method, path) for name, method, path in routes(url_map)]
    schemas, components = _schemas([operation for operation, *_ in described])
    paths: dict[str, dict[str, Any]] = {}
    for operation, name, method, path in described:
        paths.setdefault(path, {})[method.lower()] = _operation(operation, name, method, path, schemas, base_url)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "CostLens API",
            "version": __version__,
            "description": (
                "What did AI cost us, and what did it ship? Every route answers under `/x` and `/api/x`. "
                "Send your key as `Authorization: Bearer cl_…`. Errors have one shape; their codes: /docs/errors."
            ),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": base_url}],
        "tags": [{"name": name, "description": about} for name, about in ABOUT.items()],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "cl_ + 64 hex digits"}},
        },
    }


def _schemas(operations: Iterable[Operation]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """The schema of each type that is spoken of, and those that others refer to by name."""
    types: list[Any] = [ApiError]
    for operation in operations:
        types += [operation.answers, *operation.also.values()]
        if operation.body is not None:
            types.append(operation.body)
    unique = list(dict.fromkeys(one for kind in types for one in (kind if isinstance(kind, tuple) else (kind,))))
    found, components = msgspec.json.schema_components(unique, ref_template=_REF)
    schemas: dict[Any, Any] = dict(zip(unique, found, strict=True))
    choices = {kind: {"anyOf": [schemas[one] for one in kind]} for kind in types if isinstance(kind, tuple)}
    return schemas | choices, components


def _operation(
    operation: Operation, name: str, method: str, path: str, schemas: Mapping[Any, Any], base_url: str
) -> dict[str, Any]:
    params = [*operation.params, *(_FILES if operation.files else ())]
    described: dict[str, Any] = {
        "operationId": name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [
            *(
                {"name": part, "in": "path", "required": True, "schema": _PATH_SCHEMAS[part]}
                for part in re.findall(r"\{(\w+)\}", path)
            ),
            *({"name": p.name, "in": "query", "description": p.about, "schema": dict(p.schema)} for p in params),
        ],
        "responses": _responses(operation, schemas),
        "x-codeSamples": samples(
            method, path, operation.example, base_url, keyed=operation.scope is not None, media=operation.media
        ),
    }
    if method == "POST":
        described["parameters"].append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "The same key and request get the first answer, for a day",
                "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,200}$"},
            }
        )
    if operation.scope is not None:
        described["security"] = [{"key": []}]
        described["description"] = f"The key needs the scope `{operation.scope}`{_HELD[operation.held]}."
    if operation.body is not None:
        content: dict[str, Any] = {"schema": schemas[operation.body]}
        if operation.example is not None:
            content["example"] = operation.example
        media = {"application/json": content}
        if operation.media != "application/json":  # lines of it
            media[operation.media] = {"schema": {"type": "string", "description": "One JSON object a line"}}
        described["requestBody"] = {"required": True, "content": media}
    return described


def _responses(operation: Operation, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    statuses = {200: operation.answers, **operation.errors, **operation.also}
    found: dict[str, Any] = {}
    for status, kind in sorted(statuses.items()):
        content = {operation.told_as if status == 200 else "application/json": {"schema": schemas[kind]}}
        if status == 200 and operation.files:
            content |= {kind: {"schema": {"type": "string"}} for kind in ("text/csv", "application/x-ndjson")}
        if status == 200 and any(p.name == "format" for p in operation.params):
            content["text/csv"] = {"schema": {"type": "string"}}
        found[str(status)] = {"description": _WORDS[status], "content": content}
        if status in (429, 503) and kind is ApiError:
            about = "Seconds to wait"
            found[str(status)]["headers"] = {"Retry-After": {"description": about, "schema": {"type": "integer"}}}
    if operation.links:
        found["200"]["links"] = {name: dict(link) for name, link in operation.links.items()}
    return found
