"""Secrets at rest: sealed with a key that is made from the server's own secret, and sealed anew when that changes."""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import cache, cached_property
from typing import TYPE_CHECKING

from costlens.config import Settings
from costlens.domain.errors import Unavailable
from costlens.store import sealed as sealed_store
from costlens.store.engine import Store

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet


class Box:
    """Seals with the newest secret and opens what any of them has sealed."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = secrets

    def seal(self, text: str) -> str:
        """The text, unreadable without the server's secret."""
        return self._keys.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """What was sealed. Raises Unavailable when it was with a secret that is not known."""
        from cryptography.fernet import InvalidToken

        try:
            return self._keys.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise Unavailable(
                "A stored secret cannot be read: COSTLENS_SECRET_KEY has changed; "
                "name the earlier one in COSTLENS_OLD_SECRET_KEYS, or enter the secret anew",
                retry_after=3600,
            ) from error

    def reseal(self, sealed: str) -> str:
        """The same under the newest secret. Raises Unavailable as `open` does."""
        return self.seal(self.open(sealed))

    @cached_property
    def _keys(self) -> MultiFernet:
        # Slow to load, and a process that only serves pages opens nothing.
        from cryptography.fernet import Fernet, MultiFernet

        return MultiFernet([Fernet(_key(secret)) for secret in self._secrets])


def box(settings: Settings) -> Box:
    """The box of a server."""
    return _box((settings.secret_key, *settings.old_secret_keys))


@cache
def _box(secrets: tuple[str, ...]) -> Box:
    """Made once: a storm of webhooks needs the same keys every time."""
    return Box(secrets)


def reseal(store: Store, box: Box) -> int:
    """Seals every stored secret with the newest key; answers how many."""
    with store.write() as tx:
        rows = sealed_store.sealed_rows(tx)
        for table, key, sealed in rows:
            if sealed:
                values = {name: box.reseal(value) for name, value in sealed.items()}
                sealed_store.change_sealed(tx, table, key, values)
    return sum(len(sealed) for _, _, sealed in rows)


def _key(secret: str) -> bytes:
    """A key of its own: the secret itself signs sessions."""
    return base64.urlsafe_b64encode(hmac.digest(secret.encode(), b"costlens sealing 1", hashlib.sha256))
