"""What a database holds of GitHub, in words that do not depend on the order in which it came."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from costlens.store import tables as t
from costlens.store.engine import Store

HIDDEN = {"id", "organization_id", "repository_id", "person_id", "imported_at", "facts_version", "linked_version",
          "team_id"}  # fmt: skip


def facts(store: Store) -> dict[str, Any]:
    """Every repository, person, commit, pull request and mention."""
    with store.read() as tx:
        people: dict[int, list[str]] = {row.id: [str(row.bot)] for row in tx.execute(select(t.people))}
        for row in tx.execute(select(t.identities).order_by(t.identities.c.kind, t.identities.c.value)):
            people[row.person_id].append(f"{row.kind}:{row.value}")
        names = {row.id: row.name for row in tx.execute(select(t.repositories))}
        shas = {row.id: row.sha for row in tx.execute(select(t.commits))}
        members: dict[int, list[str]] = {}
        query = select(t.pull_request_commits).order_by(t.pull_request_commits.c.position)
        for row in tx.execute(query):
            members.setdefault(row.pull_request_id, []).append(shas[row.commit_id])

        def shown(row: Any) -> dict[str, Any]:
            told = {name: value for name, value in row._mapping.items() if name not in HIDDEN}
            if "person_id" in row._mapping:
                told["person"] = people.get(row.person_id)
            if "repository_id" in row._mapping:
                told["repository"] = names[row.repository_id]
            return told

        found: dict[str, Any] = {"people": sorted(people.values())}
        found["repositories"] = sorted(
            (without(shown(row), "created_at") for row in tx.execute(select(t.repositories))), key=repr
        )
        found["commits"] = sorted((shown(row) for row in tx.execute(select(t.commits))), key=repr)
        found["mentions"] = sorted((shown(row) for row in tx.execute(select(t.mentions))), key=repr)
        numbers = {row.id: f"{names[row.repository_id]}#{row.number}" for row in tx.execute(select(t.pull_requests))}
        found["reviews"] = sorted(
            (
                [numbers[row.pull_request_id], row.position, people.get(row.person_id), row.state, row.submitted_at]
                for row in tx.execute(select(t.pull_request_reviews))
            ),
            key=repr,
        )
        found["prompts"] = sorted(
            [numbers[row.pull_request_id], row.prompt_id] for row in tx.execute(select(t.pull_request_prompts))
        )
        found["pulls"] = sorted(
            (shown(row) | {"commits": members.get(row.id)} for row in tx.execute(select(t.pull_requests))), key=repr
        )
    return found


def without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}
