"""What GitHub's webhooks send: whether it is GitHub's own, and what it hints at."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

import msgspec

from costlens.domain.errors import InvalidInput, UnsupportedMedia

MAX_BODY = 25 * 1024 * 1024  # what GitHub itself sends at most
MAX_NAME = 200


class _Repository(msgspec.Struct):
    id: int


class _Payload(msgspec.Struct):
    action: str | None = None
    repository: _Repository | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A delivery, as far as it is heeded."""

    guid: str
    event: str
    action: str | None  # None: the event has none
    github_id: int | None  # of the repository. None: it names none


def is_signed(body: bytes, signature: str | None, secrets: Sequence[str]) -> bool:
    """Whether one of the secrets has signed exactly these bytes (`X-Hub-Signature-256`)."""
    given = (signature or "").encode()
    valid = False
    for secret in secrets:
        expected = b"sha256=" + hmac.digest(secret.encode(), body, hashlib.sha256).hex().encode()
        valid |= hmac.compare_digest(expected, given)
    return valid


def read_event(body: bytes, content_type: str, event: str, guid: str) -> Event:
    """The event of a signed body, JSON or a form. Raises InvalidInput or UnsupportedMedia."""
    if not event or not guid or len(event) > MAX_NAME or len(guid) > MAX_NAME:
        raise InvalidInput("X-GitHub-Event and X-GitHub-Delivery must be given", field="X-GitHub-Delivery")
    if content_type == "application/x-www-form-urlencoded":
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
        body = fields.get("payload", [""])[0].encode()
    elif content_type != "application/json":
        raise UnsupportedMedia("Send the webhook as application/json or as a form")
    try:
        payload = msgspec.json.decode(body, type=_Payload)
    except msgspec.ValidationError:
        # Signed, but of a shape that is not ours to read: an event that hints at nothing.
        payload = _Payload()
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidInput(f"The body cannot be read as JSON: {error}") from error
    action = payload.action[:MAX_NAME] if payload.action else None
    found = payload.repository.id if payload.repository else None
    return Event(guid, event, action, found if found is not None and 0 < found < 1 << 63 else None)
