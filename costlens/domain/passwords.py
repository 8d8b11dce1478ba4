"""Which passwords are good enough: long, and not what anybody would try first."""

from __future__ import annotations

from costlens.domain.errors import InvalidInput

SHORTEST, LONGEST = 12, 200
_COMMON = ("password", "passwort", "123456", "qwerty", "costlens", "letmein", "welcome", "iloveyou")


def check_password(password: str, email: str) -> None:
    """Raises InvalidInput (field `password`) for one that is too easy to guess for this account."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidInput(f"A password has {SHORTEST} to {LONGEST} characters", field="password")
    plain = password.casefold()
    left = plain
    for word in (*_COMMON, email.casefold(), email.partition("@")[0].casefold()):
        left = left.replace(word, "")
    if len(set(plain)) < 5 or len(left.strip("0123456789!?.,;:-_ ")) < 4:
        raise InvalidInput("This password is too easy to guess; a few random words are better", field="password")
