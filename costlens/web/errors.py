"""One shape of error for every route, and the HTTP status of each error, set here and nowhere else."""

from __future__ import annotations

import logging
import re
import secrets
from typing import Any

import msgspec
from flask import Flask, Response, g, render_template, request
from werkzeug.exceptions import HTTPException

from costlens.domain import errors
from costlens.domain.errors import CostLensError

STATUS: dict[type[CostLensError], int] = {
    errors.InvalidInput: 400,
    errors.Unauthorized: 401,
    errors.PaymentRequired: 402,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.RateLimited: 429,
    errors.Unavailable: 503,
}

# What Werkzeug itself refuses, in our words.
HTTP_CODES = {
    400: ("invalid_input", "The request cannot be read"),
    403: ("forbidden", "This is not allowed"),
    404: ("not_found", "No such page or route"),
    405: ("method_not_allowed", "This route does not take this method"),
    410: ("gone", "This is no longer there"),
    413: ("too_large", "The body is too large"),
    415: ("unsupported_media_type", "Send the body as application/json"),
    429: ("rate_limited", "Too many requests"),
    503: ("unavailable", "The server cannot answer now"),
}

# Title of a page and what to do next. None: the message says it.
_PAGES: dict[int, tuple[str, str | None]] = {
    400: ("This cannot be read", "Go back and correct it, or start again from a link."),
    403: ("Not allowed", "An owner of the organization can do this, or give you the role for it."),
    404: ("Nothing here", "The address is wrong, what it showed is gone, or it is not yours to see."),
    405: ("Not in this way", "This address takes forms, not links."),
    409: ("This is taken", None),
    410: ("No longer valid", None),
    413: ("Too large", "Send less at once."),
    429: ("Too many requests", None),
    500: ("Something failed", "It is in the server's log under the request id below."),
    503: ("Busy, try again in a moment", None),
}

_API_INVITATIONS = re.compile(r"/invitations(/[0-9]+|/.*/renew)?")

_log = logging.getLogger(__name__)


def error_body(error: CostLensError) -> dict[str, Any]:
    """The documented body; `field` and `retryAfter` only where they apply."""
    body: dict[str, Any] = {"error": error.message, "code": error.code, "requestId": request_id()}
    if error.field is not None:
        body["field"] = error.field
    if isinstance(error, errors.RateLimited | errors.Unavailable):
        body["retryAfter"] = error.retry_after
    return body


def request_id() -> str:
    """Id of this request, for the answer and the log."""
    if "request_id" not in g:
        g.request_id = f"req_{secrets.token_hex(8)}"
    return str(g.request_id)


def set_up_errors(app: Flask) -> None:
    """Makes every error of this application one of the documented shape."""
    app.register_error_handler(CostLensError, _ours)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def _ours(error: CostLensError) -> Response:
    return _answer(STATUS.get(type(error), 500), error_body(error))


def _http(error: HTTPException) -> Response | HTTPException:
    status = error.code or 500
    if status < 400:
        return error  # a redirect
    code, message = HTTP_CODES.get(status, ("error", error.description or error.name))
    if status == 413:
        limit = request.max_content_length
        message = f"The body is larger than the limit of {limit} bytes; nothing was stored"
    response = _answer(status, {"error": message, "code": code, "requestId": request_id()})
    if status == 405 and getattr(error, "valid_methods", None):
        response.headers["Allow"] = ", ".join(error.valid_methods)  # type: ignore[attr-defined]
    return response


def _unexpected(error: Exception) -> Response:
    _log.exception("request %s failed", request_id(), exc_info=error)
    body = {"error": "Something failed on our side", "code": "internal_error", "requestId": request_id()}
    return _answer(500, body)


def _answer(status: int, body: dict[str, Any]) -> Response:
    if is_page(request.path) or _is_lost_browser():
        title, advice = _PAGES.get(status, ("This did not work", None))
        page = render_template(
            "errors/error.html", status=status, title=title, advice=advice, body=body, nav=g.get("nav")
        )
        response = Response(page, status, mimetype="text/html")
    else:
        response = Response(msgspec.json.encode(body), status, mimetype="application/json")
        if status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
    if "retryAfter" in body:
        response.headers["Retry-After"] = str(body["retryAfter"])
    return response


def _is_lost_browser() -> bool:
    """Whether a person typed an address that no route has: programs do not ask for HTML."""
    return (
        request.url_rule is None
        and not request.path.startswith("/api/")
        and "text/html" in request.accept_mimetypes.values()
    )


def is_page(path: str) -> bool:
    """People on the pages get a page; callers of the API get JSON, whatever they accept.

    The API has invitations by number, the pages have them by link, and only the API takes them back.
    """
    if _API_INVITATIONS.fullmatch(path) or (path.startswith("/invitations") and request.method == "DELETE"):
        return False
    roots = ("/app", "/sign-in", "/sign-out", "/set-up", "/invitations", "/unsubscribe", "/styleguide", "/docs")
    return path == "/" or path.startswith(roots)
