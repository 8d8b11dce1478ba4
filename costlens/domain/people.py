"""Who may be one human: weak evidence, put to an owner as suggestions and never acted on by itself."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

from costlens.domain.names import Identity

# Mailboxes of roles and machines: that two people have one each says nothing.
_ROLES = frozenset(
    {
        "admin", "bot", "build", "ci", "code", "contact", "deploy", "dev", "developer", "email", "git", "github",
        "hello", "help", "hi", "home", "info", "it", "mail", "me", "name", "no-reply", "noreply", "office", "ops",
        "root", "security", "service", "support", "team", "test", "user", "web", "webmaster", "work",
    }
)  # fmt: skip
_SHORTEST = 3  # letters of a login or mailbox that can be told from another by chance
_MOST = 12  # people that share a name or mailbox; more is a word and no person
_UPDATER_LOGINS = frozenset({"dependabot", "dependabot-preview", "renovate", "renovate-bot"})
_UPDATER_EMAILS = frozenset({"bot@renovateapp.com", "renovate@whitesourcesoftware.com", "support@dependabot.com"})


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """A person with all that is known of who it is."""

    id: int
    identities: tuple[Identity, ...]
    names: tuple[str, ...] = ()  # as sources tell them
    bot: bool = False


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Two people who may be one, `first` the older one, and why, a sentence each."""

    first: int
    second: int
    evidence: tuple[str, ...]


def is_bot(identities: Iterable[Identity]) -> bool:
    """Whether these are a bot's: by GitHub's suffix, or as what dependabot and renovate write elsewhere."""
    known = tuple(identities)
    return is_updater(known) or any(one.kind == "login" and one.value.endswith("[bot]") for one in known)


def is_updater(identities: Iterable[Identity]) -> bool:
    """Whether these are dependabot's or renovate's, which raise versions and quote what others wrote of them."""
    return any(
        (one.kind == "login" and one.value.removesuffix("[bot]") in _UPDATER_LOGINS)
        or (one.kind == "email" and one.value in _UPDATER_EMAILS)
        for one in identities
    )


def label(names: Iterable[str], identities: Collection[Identity]) -> str:
    """What to call a person: by a name, else by e-mail address, login or GitHub's number."""
    for name in names:
        return name
    best = {"email": 0, "login": 1}
    found = min(identities, key=lambda one: (best.get(one.kind, 2), one.value), default=None)
    return found.value if found else "nobody"


def suggest(people: Iterable[KnownPerson], apart: Collection[tuple[int, int]]) -> list[Suggestion]:
    """Pairs that may be one human, those with the most evidence first.

    `apart` are pairs, the smaller id first, of whom a person said that they are not the same. Bots are left out.
    """
    known = {one.id: one for one in people if not one.bot}
    evidence: dict[tuple[int, int], list[str]] = defaultdict(list)
    for traces in (_named, _called):
        found: dict[str, dict[int, str]] = defaultdict(dict)
        for one in known.values():
            for key, shown in traces(one):
                found[key].setdefault(one.id, shown)
        for holders in found.values():
            if 1 < len(holders) <= _MOST:
                for first, second in combinations(sorted(holders), 2):
                    if (first, second) not in apart:
                        evidence[first, second].append(_sentence(holders[first], holders[second]))
    suggestions = [
        Suggestion(*pair, (*dict.fromkeys(said), *_against(known[pair[0]], known[pair[1]])))
        for pair, said in evidence.items()
    ]
    strength = {(one.first, one.second): len(evidence[one.first, one.second]) for one in suggestions}
    return sorted(suggestions, key=lambda one: (-strength[one.first, one.second], one.first, one.second))


def _named(one: KnownPerson) -> Iterator[tuple[str, str]]:
    """Display names of two words or more, in any case and with any accents."""
    for name in one.names:
        words = _plain(name)
        if " " in words:
            yield words, f"the name “{name}”"


def _called(one: KnownPerson) -> Iterator[tuple[str, str]]:
    """Logins, mailboxes, and names without spaces, as letters and digits alone."""
    for identity in one.identities:
        if identity.kind == "login":
            yield from _word(identity.value, f"the login {identity.value}")
        elif identity.kind == "email":
            mailbox = identity.value.partition("@")[0].partition("+")[0]
            yield from _word(mailbox, f"the address {identity.value}")
    for name in one.names:
        yield from _word(_plain(name), f"the name “{name}”")


def _word(text: str, shown: str) -> Iterator[tuple[str, str]]:
    word = re.sub(r"[^\w]|_", "", text.lower())
    if len(word) >= _SHORTEST and text.lower() not in _ROLES and not word.isdecimal():
        yield word, shown


def _plain(name: str) -> str:
    bare = "".join(letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    return " ".join(bare.casefold().split())


def _sentence(first: str, second: str) -> str:
    if first == second:
        return f"both have {first}"
    return f"{first} and {second} are alike"


def _against(first: KnownPerson, second: KnownPerson) -> Iterator[str]:
    numbers = [{one.value for one in person.identities if one.kind == "github_id"} for person in (first, second)]
    if all(numbers):
        yield "but each has a GitHub account of its own"
