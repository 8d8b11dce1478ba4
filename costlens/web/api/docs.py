"""GET /openapi.json, and the pages that explain the API: /docs and /docs/errors."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response, current_app, render_template, request

from costlens.web.openapi.catalogue import OPERATIONS
from costlens.web.openapi.document import document, routes
from costlens.web.openapi.error_codes import error_codes
from costlens.web.openapi.samples import samples

_BASE = "https://base.invalid"  # stands for the reader's host in the document that is kept
# The calls that most readers begin with.
_FIRST = ("integrations.track_run", "integrations.track_batch", "analytics.get_overview", "runs.get_run")


def blueprint() -> Blueprint:
    """The document and its pages; none of them says anything of an organization."""
    made = Blueprint("docs", __name__)
    made.get("/openapi.json")(get_document)
    made.get("/docs")(docs_page)
    made.get("/docs/errors")(errors_page)
    return made


def base_url() -> str:
    """This server as the reader sees it."""
    return request.url_root.rstrip("/")


def get_document() -> Response:
    """The OpenAPI document with the reader's host."""
    kept: dict[str, bytes] = current_app.extensions.setdefault("costlens.openapi", {})
    if "document" not in kept:
        kept["document"] = msgspec.json.encode(document(current_app.url_map, _BASE))
    shown = msgspec.json.encode(base_url())[1:-1]  # as it stands within a JSON text
    return Response(kept["document"].replace(_BASE.encode(), shown), mimetype="application/json")


def docs_page() -> str:
    """How to begin, and every route."""
    host = base_url()
    first: list[dict[str, Any]] = []
    for name, method, path in routes(current_app.url_map):
        if name in _FIRST:
            operation = OPERATIONS[name]
            code = samples(method, path, operation.example, host, keyed=True)
            first.append({"name": name, "title": operation.summary, "method": method, "path": path, "samples": code})
    return render_template("docs/index.html", nav=None, page=None, host=host, first=first)


def errors_page() -> str:
    """Every error code."""
    return render_template("docs/errors.html", nav=None, page=None, codes=error_codes())
