"""GET /healthz (alive) and GET /readyz (able to work)."""

from __future__ import annotations

from flask import Blueprint, Response

from costlens.domain.errors import Unavailable
from costlens.services import health
from costlens.store.migrate import at_head
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
    """200 when runs can be stored; the queue may be away, then `queue` says so and links come later.

    `rollups.drift` is how many rows of sums were wrong at the last check; it does not make the server unready.
    """
    found = context()
    try:
        database, migrations = True, at_head(found.store)
    except Unavailable:
        database = migrations = False
    ready = database and migrations
    body = {
        "status": "ready" if ready else "not ready",
        "checks": {
            "database": database,
            "migrations": migrations,
            "queue": found.queue.ping(),
            "rollups": health.rollups(found.store) if ready else None,
            "prices": health.prices(),
        },
    }
    return json_answer(body, 200 if ready else 503)
