"""Headers and checks that hold for every answer."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, current_app, request

from costlens.domain.errors import Forbidden
from costlens.web.context import context
from costlens.web.errors import is_page

POLICY = (
    "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
    "object-src 'none'"
)


def set_up_headers(app: Flask) -> None:
    """Refuses foreign writes and sets the security headers on every answer."""
    app.before_request(_same_origin)
    app.after_request(_headers)


def _same_origin() -> None:
    """Refuses a form that another site sends, with our cookie or to a page. Every browser says where a form comes from.

    A page's forms are refused without a cookie too: nobody shall be signed in to an account that is not theirs. The API
    takes keys, which no browser sends by itself.
    """
    if request.method in ("GET", "HEAD", "OPTIONS") or "Authorization" in request.headers:
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    foreign_site = site not in (None, "same-origin", "none")
    own = {request.host, urlsplit(context().settings.base_url).netloc}
    foreign_origin = origin is not None and urlsplit(origin).netloc not in own
    if (request.cookies or is_page(request.path)) and (foreign_site or foreign_origin):
        raise Forbidden("This form came from another site", code="cross_site")


def _headers(response: Response) -> Response:
    headers = response.headers
    headers.add("X-Content-Type-Options", "nosniff")
    headers.add("Referrer-Policy", "same-origin")
    if current_app.config["SESSION_COOKIE_SECURE"]:  # the base URL is https: browsers shall not come by http again
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if response.mimetype == "text/html":
        headers.setdefault("Content-Security-Policy", POLICY)
        headers.setdefault("Cache-Control", "no-store")
    return response
