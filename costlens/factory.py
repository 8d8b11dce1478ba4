"""The composition root: settings become store, queue and the Flask application. The only file that sees every layer."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from flask import Blueprint, Flask, Response, g
from werkzeug.middleware.proxy_fix import ProxyFix

from costlens.config import Settings, load_settings
from costlens.queue import JobQueue
from costlens.store.engine import Store
from costlens.web import errors, security, webhooks
from costlens.web.api import analytics, health, integrations, roi, runs
from costlens.web.auth import set_up_sessions
from costlens.web.context import Context
from costlens.web.templating import set_up_templates
from costlens.web.ui import accounts, github, pages

# Inside the package in a wheel, beside it in a checkout.
_TEMPLATES = (Path(__file__).parent / "_data" / "templates", Path(__file__).parents[1] / "templates")


def create_app(settings: Settings | None = None) -> Flask:
    """The WSGI application. Opens no connection: the first request does. Raises SettingsError."""
    settings = settings or load_settings()
    folder = next(place for place in _TEMPLATES if place.exists())
    app = Flask("costlens", template_folder=str(folder), static_folder=str(Path(__file__).parent / "static"))
    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=settings.max_body_bytes,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SECURE=settings.base_url.startswith("https:"),
        PERMANENT_SESSION_LIFETIME=timedelta(days=30),
        SEND_FILE_MAX_AGE_DEFAULT=timedelta(hours=1),
    )
    app.extensions["costlens"] = Context(settings, Store(settings.database_url), JobQueue(settings.queue_url))
    if settings.base_url.startswith("https:"):
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]
    errors.set_up_errors(app)
    set_up_sessions(app)
    set_up_templates(app)
    security.set_up_headers(app)
    for prefix in ("", "/api"):
        for module in (integrations, analytics, runs, roi, health):
            routes: Blueprint = module.blueprint()
            routes.name = f"api{prefix.replace('/', '_')}_{routes.name}"
            app.register_blueprint(routes, url_prefix=prefix or None)
    app.register_blueprint(webhooks.blueprint())
    app.register_blueprint(accounts.blueprint())
    app.register_blueprint(pages.blueprint())
    app.register_blueprint(pages.roi_pages())
    app.register_blueprint(github.blueprint())
    app.after_request(_request_id)
    return app


def _request_id(response: Response) -> Response:
    if "request_id" in g:
        response.headers["X-Request-Id"] = g.request_id
    return response
