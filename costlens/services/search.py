"""Search: by a run's id or its callers' names of it, session, promptId, model, pull request number and repository."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from costlens.domain.runs import read_id
from costlens.services.prompts import base_name
from costlens.store import search as search_store
from costlens.store.engine import Store
from costlens.store.identity import repositories_of
from costlens.store.organizations import Organization
from costlens.store.runs import get_runs
from costlens.store.search import FEW, FoundPull

LONGEST = 300
_PULL = re.compile(r"^(?:(?P<repository>[^#\s]*?)(?:#|/pull/)|)(?P<number>\d{1,9})$")


@dataclass(frozen=True, slots=True)
class Found:
    """What a text may mean, each a few at most."""

    text: str
    runs: tuple[Mapping[str, Any], ...]  # whole rows, newest first
    session: str | None  # the text is the name of a session with several runs
    pulls: tuple[FoundPull, ...]
    prompts: tuple[str, ...]  # without their versions
    models: tuple[str, ...]
    repositories: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many things were found."""
        parts = (self.runs, self.pulls, self.prompts, self.models, self.repositories)
        return sum(map(len, parts))


def search(store: Store, organization: Organization, text: str) -> Found:
    """What this text names in an organization; nothing for an empty one."""
    text = " ".join(text.replace("\0", "").split())[:LONGEST]
    if not text:
        return Found("", (), None, (), (), (), ())
    number = read_id("run", text)
    asked = _PULL.match(text)
    with store.read() as tx:
        repositories = repositories_of(tx, organization.id)
        ids = [number] if number is not None else []
        ids += search_store.runs_of_key(tx, organization.id, text)
        of_session = search_store.runs_named(tx, organization.id, "session_id", text)
        ids += of_session + search_store.runs_named(tx, organization.id, "correlation_id", text)
        pulls: list[FoundPull] = []
        if asked:
            named = (asked["repository"] or "").lower().rstrip("/")
            of = [row.id for row in repositories if _is_named(row.name.lower(), named)] if named else None
            pulls = search_store.pulls_numbered(tx, organization.id, int(asked["number"]), of)
        prompts = search_store.names_like(tx, organization.id, "prompt", text)
        models = search_store.names_like(tx, organization.id, "model", text)
        runs = get_runs(tx, organization.id, ids).values()
    return Found(
        text=text,
        runs=tuple(sorted(runs, key=lambda run: run["occurred_at"], reverse=True)),
        session=text if len(of_session) > 1 else None,
        pulls=tuple(pulls),
        prompts=tuple(dict.fromkeys(map(base_name, prompts))),
        models=tuple(models),
        repositories=tuple(row.name for row in repositories if text.lower() in row.name.lower())[:FEW],
    )


def _is_named(repository: str, text: str) -> bool:
    """Whether owner/name, name alone, or an address that ends with them names a repository."""
    return text in (repository, repository.rpartition("/")[2]) or text.endswith(f"/{repository}")
