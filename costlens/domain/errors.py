"""Every error that CostLens raises on purpose.

CostLensError
├── InvalidInput       400  what came from outside cannot be used; names the field
├── Unauthorized       401  no key, an unknown key, or one that is revoked or expired
├── PaymentRequired    402  a limited plan's monthly runs are used up
├── Forbidden          403  known, but not allowed
├── NotFound           404  absent, or another organization's
├── Conflict           409  the same identity with different content
├── TooLarge           413  past a size limit; names the limit
├── UnsupportedMedia   415  the body is not of a type we read
├── RateLimited        429  past a limit per minute; carries seconds to wait
└── Unavailable        503  the store is locked or away: nothing was stored, send it again

The HTTP status of each is set once, in `costlens/web/errors.py`.
"""

from __future__ import annotations


class CostLensError(Exception):
    """Base of all errors below; `code` is the machine-readable name in the API."""

    code = "error"

    def __init__(self, message: str, *, code: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.field = field  # None: the error is not about one field


class InvalidInput(CostLensError):
    code = "invalid_input"


class Unauthorized(CostLensError):
    code = "unauthorized"


class PaymentRequired(CostLensError):
    code = "payment_required"


class Forbidden(CostLensError):
    code = "forbidden"


class NotFound(CostLensError):
    code = "not_found"


class Conflict(CostLensError):
    code = "conflict"


class TooLarge(CostLensError):
    code = "too_large"


class UnsupportedMedia(CostLensError):
    code = "unsupported_media_type"


class RateLimited(CostLensError):
    code = "rate_limited"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(CostLensError):
    code = "unavailable"

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after
