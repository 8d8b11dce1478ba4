"""The pages' own files, kept by browsers because their address names the content, and compression of files and pages.

An answer of the API is not compressed: who sends runs reads little, and the time is the server's.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, request

KEPT = "public, max-age=31536000, immutable"  # an address that names its content never means another one
SMALLEST = 500  # bytes; a shorter page fits in one packet anyway
_TEXT = {"text/html", "text/css", "text/javascript", "image/svg+xml"}


def set_up_static_files(app: Flask) -> None:
    """Addresses of `url_for('static', …)` that name the content, long caching for them, and compression."""
    app.url_defaults(_add_version)
    app.after_request(_compress)
    app.after_request(_keep)  # before `_compress`: Flask goes from the last to the first


def _add_version(endpoint: str, values: dict[str, Any]) -> None:
    if endpoint == "static" and "filename" in values and (version := _version(values["filename"])):
        values.setdefault("v", version)


def _version(filename: str) -> str | None:
    """What names the content of a static file. None: there is no such file."""
    folder = current_app.static_folder
    return _digest(Path(folder) / filename) if folder else None


@cache
def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else None


def _keep(response: Response) -> Response:
    if request.endpoint == "static" and response.status_code == 200 and (asked := request.args.get("v")):
        filename = (request.view_args or {}).get("filename", "")
        if asked == _version(filename):
            response.headers["Cache-Control"] = KEPT
    return response


def _compress(response: Response) -> Response:
    if response.mimetype not in _TEXT:
        return response
    response.vary.add("Accept-Encoding")
    length = response.content_length
    if (
        response.status_code in (206, 304)
        or request.method == "HEAD"
        or "Content-Encoding" in response.headers
        or not request.accept_encodings["gzip"]
        or (length is not None and length < SMALLEST)
    ):
        return response
    response.direct_passthrough = False
    response.set_data(gzip.compress(response.get_data(), 6, mtime=0))
    response.headers["Content-Encoding"] = "gzip"
    if etag := response.get_etag()[0]:
        response.set_etag(etag, weak=True)  # the same content in other bytes
    return response
