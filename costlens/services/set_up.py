"""The link by which the first owner is made: whoever reads the console may use it, until there is an owner."""

from __future__ import annotations

from itsdangerous import BadSignature, URLSafeSerializer

from costlens.config import Settings


def set_up_token(settings: Settings) -> str:
    """What the link carries; it opens nothing once an owner exists."""
    return str(_signer(settings).dumps("first owner"))


def set_up_url(settings: Settings) -> str:
    """The link itself."""
    return f"{settings.base_url}/set-up/{set_up_token(settings)}"


def is_set_up_token(settings: Settings, token: str) -> bool:
    """Whether this server's secret signed it."""
    try:
        _signer(settings).loads(token)
    except BadSignature:
        return False
    return True


def _signer(settings: Settings) -> URLSafeSerializer:
    return URLSafeSerializer(settings.secret_key, salt="set-up")
