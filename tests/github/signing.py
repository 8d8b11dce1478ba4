"""Deliveries as GitHub sends them."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode


def signature_of(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def signed(secret: str, event: str, payload: Any, *, guid: str, form: bool = False) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a delivery, as JSON or as a form."""
    text = json.dumps(payload)
    body = urlencode({"payload": text}).encode() if form else text.encode()
    return body, {
        "Content-Type": "application/x-www-form-urlencoded" if form else "application/json",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": guid,
        "X-Hub-Signature-256": signature_of(secret, body),
    }
