"""The composition root: settings become store, queue and the Flask application. The only file that sees every layer."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from flask import Blueprint, Flask, Response, g
from werkzeug.middleware.proxy_fix import ProxyFix

from costlens.config import Settings, load_settings
from costlens.queue import JobQueue
from costlens.rate_limits import RateLimits
from costlens.response_cache import ResponseCache
from costlens.store.engine import Store
from costlens.web import access, errors, security, webhooks
from costlens.web.api import (
    analytics,
    audit,
    cache,
    docs,
    health,
    insights,
    integrations,
    keys,
    linking,
    members,
    metrics,
    otlp,
    people,
    prices,
    prompts,
    providers,
    reports,
    roi,
    routing,
    runs,
    teams,
    whole,
)
from costlens.web.application import Application
from costlens.web.auth import set_up_sessions
from costlens.web.context import Context
from costlens.web.converters import set_up_converters
from costlens.web.idempotency import set_up_idempotency
from costlens.web.limits import set_up_limits
from costlens.web.payload import set_up_packing
from costlens.web.static_files import set_up_static_files
from costlens.web.templating import set_up_templates
from costlens.web.ui import (
    accounts,
    corrections,
    demo,
    github,
    invitations,
    model_pages,
    overview,
    pages,
    price_pages,
    prompt_pages,
    pull_list,
    pulls,
    repository,
    returns,
    run_pages,
    sign_in,
    start,
    styleguide,
    team_reports,
)
from costlens.web.ui.settings import SETTINGS

# Inside the package in a wheel, beside it in a checkout.
_TEMPLATES = (Path(__file__).parent / "_data" / "templates", Path(__file__).parents[1] / "templates")


API = (
    *(integrations, otlp, analytics, insights, routing, providers, cache),
    *(prompts, prices, runs, linking, people, roi, reports),
    *(teams, members, keys, audit, whole, health, metrics),
)


def create_app(settings: Settings | None = None) -> Flask:
    """The WSGI application. Opens no connection: the first request does. Raises SettingsError."""
    settings = settings or load_settings()
    folder = next(place for place in _TEMPLATES if place.exists())
    app = Application("costlens", template_folder=str(folder), static_folder=str(Path(__file__).parent / "static"))
    equip(app, settings)
    if settings.base_url.startswith("https:"):
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]
    set_up_converters(app)
    errors.set_up_errors(app)
    set_up_sessions(app)
    set_up_limits(app)
    set_up_templates(app)
    set_up_static_files(app)
    security.set_up_headers(app)
    access.set_up_access(app)
    set_up_idempotency(app)
    set_up_packing(app)
    for prefix in ("", "/api"):
        for module in API:
            routes: Blueprint = module.blueprint()
            routes.name = f"api{prefix.replace('/', '_')}_{routes.name}"
            app.register_blueprint(routes, url_prefix=prefix or None)
    app.register_blueprint(docs.blueprint())
    app.register_blueprint(webhooks.blueprint())
    for outside in (accounts, sign_in, invitations):
        app.register_blueprint(outside.blueprint())
    app.register_blueprint(pages.roi_pages())
    for module in (overview, pull_list, pulls, corrections, repository):
        app.register_blueprint(module.blueprint())
    for usage in (run_pages, prompt_pages, price_pages, model_pages):
        app.register_blueprint(usage.blueprint())
    for report in (returns, team_reports):
        app.register_blueprint(report.blueprint())
    app.register_blueprint(team_reports.unsubscribe_routes())
    app.register_blueprint(start.blueprint())
    app.register_blueprint(github.blueprint())
    app.register_blueprint(demo.blueprint())
    app.register_blueprint(styleguide.blueprint())
    for area in SETTINGS:
        app.register_blueprint(area.blueprint())
    app.after_request(_request_id)
    return app


def equip(app: Flask, settings: Settings) -> None:
    """Gives an application its settings, and the store and queue that they name."""
    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=settings.max_body_bytes,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SECURE=settings.base_url.startswith("https:"),
        PERMANENT_SESSION_LIFETIME=timedelta(days=30),
        SEND_FILE_MAX_AGE_DEFAULT=timedelta(hours=1),
    )
    redis = settings.queue_url
    app.extensions["costlens"] = Context(
        settings,
        Store(settings.database_url, folder=settings.data),
        JobQueue(redis),
        RateLimits(redis),
        ResponseCache(redis),
    )


def _request_id(response: Response) -> Response:
    if "request_id" in g:
        response.headers["X-Request-Id"] = g.request_id
    return response
