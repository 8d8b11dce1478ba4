"""Every code that an error of the API may carry, with its status and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from costlens.web.errors import HTTP_CODES, STATUS

# By code: when it comes, and what helps.
_ABOUT = {
    "invalid_input": "A field or parameter cannot be used; `field` names it.",
    "malformed_json": "The body is not JSON.",
    "unauthorized": "No key, or one that is unknown, revoked, paused or expired. Make one in Settings → API keys.",
    "payment_required": "The runs of this month are used up on a limited plan. None are stored until the next month of "
    "UTC, or on another plan.",
    "bad_signature": "A webhook is not signed with the secret that its address has.",
    "forbidden": "The key lacks the scope that the route needs.",
    "cross_site": "A form came from another site with this site's cookie.",
    "not_invited": "On the pages: this account has no invitation to the organization.",
    "wrong_account": "On the pages: the invitation is for another account than the one that is signed in.",
    "not_found": "There is no such route, or no such thing in this organization.",
    "method_not_allowed": "The route does not take this method; `Allow` lists those it takes.",
    "gone": "It was there once, as a link that has been used, and is no more.",
    "conflict": "The same id, requestId or Idempotency-Key was sent before with other content.",
    "in_progress": "The first request with this Idempotency-Key is under way; ask again in a moment.",
    "too_large": "Past a size limit, which the message names. Nothing was stored.",
    "batch_too_large": "More runs than the plan's batch size. Nothing was stored: send smaller batches.",
    "unsupported_media_type": "The body is not of a type that the route reads; send application/json.",
    "rate_limited": "Past the plan's requests or batches by the minute; wait `retryAfter` seconds.",
    "internal_error": "Something failed on the server; its log has the `requestId`.",
    "unavailable": "The database, or what the route needs, is busy or away. Nothing was stored: wait `retryAfter` "
    "seconds and send it again.",
}
_OTHER = {
    "malformed_json": 400, "bad_signature": 401, "cross_site": 403, "not_invited": 403, "wrong_account": 403,
    "in_progress": 409, "batch_too_large": 413, "internal_error": 500,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ErrorCode:
    code: str
    status: int
    about: str


def error_codes() -> list[ErrorCode]:
    """All of them by status. Raises KeyError for one that is not told of here."""
    statuses = {kind.code: status for kind, status in STATUS.items()}
    statuses |= {code: status for status, (code, _) in HTTP_CODES.items()} | _OTHER
    found = [ErrorCode(code, status, _ABOUT[code]) for code, status in statuses.items()]
    return sorted(found, key=lambda one: (one.status, one.code))
