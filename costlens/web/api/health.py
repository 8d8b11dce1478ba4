"""GET /healthz (alive) and GET /readyz (able to work)."""

from __future__ import annotations

from flask import Blueprint, Response

from costlens.services.health import health
from costlens.web.answers import json_answer
from costlens.web.context import context


def blueprint() -> Blueprint:
    """The routes that say whether the server lives and can work."""
    routes = Blueprint("health", __name__)
    routes.get("/healthz")(get_health)
    routes.get("/readyz")(get_ready)
    return routes


def get_health() -> Response:
    """200 while the process answers at all."""
    return json_answer({"status": "ok"})


def get_ready() -> Response:
    """200 when runs can be stored; `checks` says what else works."""
    found = health(context().store, context().queue)
    body = {"status": "ready" if found.ready else "not ready", "checks": found.checks}
    return json_answer(body, 200 if found.ready else 503)
