"""E-mail addresses, one or many, as people type and paste them."""

from __future__ import annotations

import re

from costlens.domain.errors import InvalidInput

MOST = 100  # addresses of one paste
_ADDRESS = re.compile(r"^[^@\s<>,;\"]+@[^@\s.<>,;\"]+(\.[^@\s.<>,;\"]+)+$")
_INSIDE = re.compile(r"<([^<>]*)>")  # of `Bob Example <bob@example.com>`


def is_address(text: str) -> bool:
    """Whether a text is an e-mail address; whether mail arrives there, only mail tells."""
    return len(text) <= 254 and text.isprintable() and _ADDRESS.match(text) is not None


def address(text: str) -> str:
    """An address in small letters. Raises InvalidInput (field `email`)."""
    found = text.strip().lower()
    if not is_address(found):
        raise InvalidInput(f"{text[:80]!r} is not an e-mail address", field="email")
    return found


def addresses(text: str) -> tuple[list[str], list[str]]:
    """(addresses in small letters, each once; what is none) of a paste: by line, comma, semicolon or space.

    `Name <address>` is its address. Raises InvalidInput (field `emails`) for none, or for more than MOST.
    """
    found: dict[str, None] = {}
    wrong: dict[str, None] = {}
    for part in re.split(r"[,;\r\n]+", text):
        inside = _INSIDE.findall(part)
        for word in inside or part.split():
            plain = word.strip().lower()
            (found if is_address(plain) else wrong)[plain] = None
    if not found and not wrong:
        raise InvalidInput("Give at least one e-mail address", field="emails")
    if len(found) > MOST:
        raise InvalidInput(f"At most {MOST} addresses at once; these are {len(found)}", field="emails")
    return list(found), list(wrong)
