"""`Idempotency-Key` on any POST of the API: the same key and request get the first answer, for a day."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
from flask import Flask, Response, g, request

from costlens.domain.errors import InvalidInput, Unavailable
from costlens.services import idempotency
from costlens.services.idempotency import Answer
from costlens.web.answers import json_answer
from costlens.web.auth import require_key
from costlens.web.context import context
from costlens.web.errors import is_page

HEADER = "Idempotency-Key"
LARGEST_ANSWER = 1 << 20
# What a caller may mend without changing the request: sent again, it is done.
_NOT_KEPT = frozenset({401, 402, 403, 413, 415, 429})
_FORM = re.compile(r"[\x21-\x7e]{1,200}")


def set_up_idempotency(app: Flask) -> None:
    """Answers repeated requests of this application with their first answer."""
    app.before_request(_begin)
    app.after_request(_end)


def given_key() -> str | None:
    """The key of this request. None: it has none. Raises InvalidInput."""
    text = request.headers.get(HEADER)
    if text is None or request.method != "POST" or is_page(request.path):
        return None
    if not _FORM.fullmatch(text):
        raise InvalidInput("Idempotency-Key takes 1 to 200 printable characters without spaces", field=HEADER)
    return text


def identity() -> str | None:
    """What a run of this request is known by beside its place in it. None: it has no Idempotency-Key."""
    found: str | None = g.get("idempotent_identity")
    return found


def told_once(told: Any, kept: Any) -> Response:
    """An answer with a secret, which no cache keeps; `kept` is the same without it, for when the key comes again."""
    g.kept_body = msgspec.json.encode(kept)
    response = json_answer(told)
    response.headers["Cache-Control"] = "no-store"
    return response


def _begin() -> Response | None:
    text = given_key()
    if text is None or request.url_rule is None:
        return None
    key = require_key(None)
    path = request.path.removeprefix("/api")
    digest = hashlib.sha256(f"{key.id} {path}?{request.query_string!r}\n".encode() + request.get_data()).digest()
    first = idempotency.begin(context().store, key.organization.id, text, digest, datetime.now(UTC))
    if first is None:
        g.idempotency = (key.organization.id, text)
        g.idempotent_identity = f"Idempotency-Key {text} {digest.hex()[:16]}"
        return None
    response = Response(first.body, first.status, content_type=first.content_type)
    response.headers["Idempotency-Replayed"] = "true"
    return response


def _end(response: Response) -> Response:
    claimed: tuple[int, str] | None = g.pop("idempotency", None)
    if claimed is None:
        return response
    organization_id, text = claimed
    store, status = context().store, response.status_code
    kept = status < 500 and status not in _NOT_KEPT and not response.is_streamed
    body = g.pop("kept_body", None) or (response.data if kept else b"")
    if kept and len(body) <= LARGEST_ANSWER:
        answer = Answer(status, response.content_type or "application/json", body)
        with suppress(Unavailable):  # the work is done; the claim is taken over when the key comes again
            idempotency.finish(store, organization_id, text, answer)
    else:
        with suppress(Unavailable):
            idempotency.release(store, organization_id, text)
    return response
