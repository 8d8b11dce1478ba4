"""Branches that are no pull request's, and the commits on them that belong to none."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Select, bindparam, select

from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.types import one_of


def known_branches(tx: Tx, organization_id: int, repository_id: int, names: Collection[str]) -> set[str]:
    """Those of the branches that are the head of a pull request, or hold a commit that belongs to none."""
    pull = t.pull_requests.c
    mine = (pull.organization_id == organization_id, pull.repository_id == repository_id)
    found = set(tx.scalars(select(pull.head_ref).where(*mine, one_of(pull.head_ref, names)).distinct()))
    return found | _stray_commits(tx, organization_id, repository_id, {*names} - found).keys()


def _stray_commits(tx: Tx, organization_id: int, repository_id: int, branches: Collection[str]) -> dict[str, int]:
    """For each branch that has one, a commit on it that no pull request holds or owns."""
    mention = t.mentions.c
    mine = (mention.organization_id == organization_id, mention.repository_id == repository_id)
    if not branches:
        return {}
    query = select(mention.value).where(*mine, mention.kind == "branch", one_of(mention.value, branches))
    return strays(tx, organization_id, repository_id, tx.scalars(query.distinct()).all())


def strays(tx: Tx, organization_id: int, repository_id: int, branches: Iterable[str]) -> dict[str, int]:
    """Of branches that hold commits, for each that has one, a commit on it that no pull request holds or owns."""
    given = {"organization": organization_id, "repository": repository_id}
    found = {name: tx.scalar(_stray_query(), given | {"branch": name}) for name in branches}
    return {name: number for name, number in found.items() if number is not None}


@functools.cache
def _stray_query() -> Select[Any]:
    """Asked for one branch after the other, so built once."""
    mention, commit, member, pull = t.mentions.c, t.commits.c, t.pull_request_commits, t.pull_requests.c
    repository: Any = bindparam("repository")
    twin = t.commits.alias()
    held = select(member.c.commit_id).where(member.c.commit_id == commit.id)
    former = select(t.former_commits.c.commit_id).where(t.former_commits.c.commit_id == commit.id)
    merged = select(pull.id).where(pull.repository_id == repository, pull.merge_commit_sha == commit.sha)
    same = (twin.c.person_id == commit.person_id, twin.c.authored_at == commit.authored_at)
    copied = (
        select(twin.c.id).join(member, member.c.commit_id == twin.c.id).where(twin.c.repository_id == repository, *same)
    )
    return (
        select(commit.id)
        .join(t.mentions, (mention.repository_id == commit.repository_id) & (mention.source == commit.sha))
        .where(
            mention.organization_id == bindparam("organization"),
            mention.repository_id == repository,
            mention.kind == "branch",
            mention.value == bindparam("branch"),
            ~held.exists(),
            ~former.exists(),
            ~merged.exists(),
            ~copied.exists(),
        )
        .limit(1)
    )
