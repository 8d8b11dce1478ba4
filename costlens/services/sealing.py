"""Secrets that have to be read back, encrypted with the server's own secret before they are stored."""

from __future__ import annotations

import base64
import hashlib


def seal(secret_key: str, purpose: str, text: str) -> bytes:
    """The encrypted text. One purpose's seals cannot be opened for another."""
    from cryptography.fernet import Fernet

    return Fernet(_key(secret_key, purpose)).encrypt(text.encode())


def unseal(secret_key: str, purpose: str, sealed: bytes) -> str:
    """The text again. Raises ValueError when the server's secret is another one now."""
    from cryptography.fernet import Fernet, InvalidToken

    try:
        return Fernet(_key(secret_key, purpose)).decrypt(sealed).decode()
    except InvalidToken as error:
        raise ValueError("sealed with another secret") from error


def _key(secret_key: str, purpose: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(f"{purpose}\0{secret_key}".encode()).digest())
