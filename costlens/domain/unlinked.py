"""Why a run is linked to nothing, in words, and what changes that: the same on pages, in reports and in e-mails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from costlens.domain.links import UnlinkedReason


@dataclass(frozen=True, slots=True)
class Words:
    """A reason in words."""

    label: str
    why: str  # after "not linked:"
    fix: str


UNLINKED: Mapping[str, Words] = MappingProxyType(
    {
        UnlinkedReason.NO_REPO: Words(
            "No repository",
            "no repository is named",
            "Send repo (owner/name) and branch with each run, or bind the key to a repository.",
        ),
        UnlinkedReason.NO_PERSON: Words(
            "No person",
            "nobody is known who made it",
            "Use a personal key, or name the person of a shared key in actor.",
        ),
        UnlinkedReason.NO_CANDIDATE: Words(
            "No matching work",
            "no work matches it",
            "Send branch, sessionId or prNumber; read the repository from GitHub as far back as the runs; "
            "or link the run by hand.",
        ),
        UnlinkedReason.REJECTED: Words(
            "Rejected",
            "the link was rejected",
            "Somebody said that the link is wrong, or the branch is another person's: link it by hand, or leave it.",
        ),
    }
)


def words_of(reason: str) -> Words:
    """The words of a stored reason. Raises KeyError for one that there is not."""
    return UNLINKED[reason]
