"""Names from outside made comparable: repositories, people's identities, slugs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from costlens.domain.errors import InvalidInput

_REMOTE = re.compile(
    r"""^(?:
        (?:https?|(?:git\+)?ssh|git)://(?:[^@/\s]+@)?[^/\s:]+(?::\d+)?/   # https://host/, ssh://git@host:22/
      | [^@/\s]+@[^:/\s]+:                                                # git@host:
      | github\.com[/:]                                                   # as people write it
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_OWNER_NAME = re.compile(r"^(?:(?!\.{1,2}/)[\w.-]+/)+(?!\.{1,2}$)[\w.-]+$")  # no part is `.` or `..`
_NOREPLY = re.compile(r"^(?:(\d+)\+)?([a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\[bot\])?)@users\.noreply\.[a-z0-9.-]+$")


@lru_cache(maxsize=4096)  # a few repositories see most runs
def repository_name(text: str) -> str:
    """`owner/name` of a name or of any remote URL. Raises InvalidInput (field `repo`)."""
    name = _REMOTE.sub("", text.strip()).strip("/").removesuffix(".git")
    if len(name) > 200 or not _OWNER_NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
        raise InvalidInput(f"repo must be owner/name or a remote URL, not {text[:80]!r}", field="repo")
    return name


IDENTITY_KINDS = ("login", "email", "github_id")


# Whom many commit as: beside other identities such an address says nothing, or all who have it would be one person.
_OF_MANY = frozenset({"noreply@github.com", "action@github.com", "actions@github.com", "root@localhost"})


class Identity(NamedTuple):
    kind: str  # one of IDENTITY_KINDS
    value: str  # lower case


def identities_of(
    *, login: str | None = None, email: str | None = None, github_id: int | None = None
) -> tuple[Identity, ...]:
    """Every identity that these name. GitHub's no-reply address holds the login and mostly the id as well."""
    found: list[Identity] = []
    if github_id is not None:
        found.append(Identity("github_id", str(github_id)))
    if login:
        found.append(Identity("login", login.strip().lower()))
    if email and "@" in email:
        address = " ".join(email.split()).lower()
        found.append(Identity("email", address))
        if match := _NOREPLY.match(address):
            if match[1]:
                found.append(Identity("github_id", match[1]))
            found.append(Identity("login", match[2]))
    return tuple(dict.fromkeys(identity for identity in found if identity.value))


def without_shared(identities: Sequence[Identity]) -> tuple[Identity, ...]:
    """The identities that are one person's; all of them where there are no others."""
    return tuple(one for one in identities if one.value not in _OF_MANY) or tuple(identities)


def write_identities(identities: Iterable[Identity]) -> str | None:
    """Identities as one text, a line each (`email:alice@example.com`). None: there are none."""
    return "\n".join(f"{one.kind}:{one.value}" for one in identities) or None


def read_identities(text: str) -> tuple[Identity, ...]:
    """The identities that `write_identities` wrote."""
    return tuple(Identity(kind, value) for kind, _, value in (line.partition(":") for line in text.split("\n")))


@lru_cache(maxsize=4096)  # a few people make most runs
def actor_identities(actor: str) -> tuple[Identity, ...]:
    """An actor is a login or an e-mail address."""
    return identities_of(email=actor) if "@" in actor.strip()[1:] else identities_of(login=actor.strip().lstrip("@"))


def slug(name: str) -> str:
    """`Acme Tools` → `acme-tools`. Raises InvalidInput (field `name`) when nothing is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    text = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].rstrip("-")
    if not text:
        raise InvalidInput("a name needs at least one letter or digit", field="name")
    return text
