"""Jobs for people's accounts."""

from __future__ import annotations

from costlens.config import load_settings
from costlens.services import joining
from workers.context import opened


def send_reset(email: str) -> bool:
    """Sends the link for a new password to an address that has an account; answers whether it has."""
    with opened() as (store, _):
        return joining.send_reset(store, load_settings(), email)
