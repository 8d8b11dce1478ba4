"""GET /export: everything of an organization as one file of newline-delimited JSON, streamed.

The first line says whose it is, the last how many lines of each type came: a file without it is not complete. Money,
time and names are as everywhere in the API. Secrets are not in it: no text or hash of a key, no link of an invitation,
no password, no credentials of GitHub or providers. docs/export.md lists the types.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
from flask import Blueprint, Response

from costlens import __version__
from costlens.config import Settings
from costlens.domain.access import Member
from costlens.domain.runs import show_id
from costlens.domain.shown import instant, moment
from costlens.services import audit, invitations, key_settings, members, teams, whole
from costlens.services import prices as price_service
from costlens.services import runs as run_service
from costlens.services.exports import every_link, every_run
from costlens.services.team_reports import every_head
from costlens.services.whole import Human
from costlens.store.audit import AuditFilter
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from costlens.store.runs import RunFilter
from costlens.web.api.audit import entry_object
from costlens.web.api.callers import changing
from costlens.web.api.exports import export_answer
from costlens.web.api.keys import key_shape
from costlens.web.api.members import invitation_shape, member_shape
from costlens.web.api.prices import own_price
from costlens.web.api.reports import head_object
from costlens.web.api.runs import link_object, run_object
from costlens.web.api.teams import team_shape
from costlens.web.auth import require_key
from costlens.web.context import context

FORMAT = 1  # counted up when a line changes so that who reads it has to know

Lines = Iterable[Mapping[str, Any]]


def blueprint() -> Blueprint:
    """The route of the export."""
    routes = Blueprint("whole", __name__)
    routes.get("/export")(export)
    return routes


def export() -> Response:
    """Everything of the organization; that it was taken is in the audit log."""
    by = changing("export_organization")
    organization = require_key("admin").organization
    store, settings = context().store, context().settings  # lines are made when there is no request any more
    lines = _taken(store, by, _counted(_parts(store, settings, organization, by), organization))
    return export_answer("ndjson", f"{organization.slug}-export", (), lines)


def _taken(store: Store, by: Member, lines: Iterator[Lines]) -> Iterator[Lines]:
    """The lines; the log says that they were taken once the first goes out, not when there was no place for them."""
    whole.begin_export(store, by)
    yield from lines


def _counted(parts: Iterable[tuple[str, Iterator[Lines]]], organization: Organization) -> Iterator[Lines]:
    """The pages of all parts, each line with its type, between a first and a last line."""
    yield [{"type": "export", "format": FORMAT, "at": moment(datetime.now(UTC)), "version": __version__,
            "organization": {"name": organization.name, "slug": organization.slug, "plan": organization.plan,
                             "timezone": organization.timezone,
                             "hourlyCost": _dollars_of_cents(organization.hourly_cost_cents)}}]  # fmt: skip
    counts: Counter[str] = Counter()
    for kind, pages in parts:
        counts[kind] = 0
        for page in pages:
            lines = [{"type": kind, **line} for line in page]
            counts[kind] += len(lines)
            yield lines
    yield [{"type": "end", "counts": dict(counts)}]


def _parts(
    store: Store, settings: Settings, organization: Organization, by: Member
) -> Iterator[tuple[str, Iterator[Lines]]]:
    owned = organization.id
    yield "team", _once(map(_plain, map(team_shape, teams.list_teams(store, owned))))
    yield "member", _once(map(_plain, map(member_shape, members.list_members(store, owned))))
    waiting = invitations.list_invitations(store, settings, owned)
    yield "invitation", _once(map(_plain, map(invitation_shape, waiting)))
    yield "apiKey", _once(map(_plain, map(key_shape, key_settings.list_keys(store, by))))
    yield "price", _once(map(_plain, map(own_price, price_service.list_prices(store, owned))))
    yield "assumptions", (map(_assumptions, rows) for rows in whole.every_assumption(store, owned))
    yield "repository", _once(map(_repository, whole.repositories(store, owned)))
    yield "person", (map(_person, rows) for rows in whole.every_person(store, owned))
    yield "pullRequest", (map(_pull, rows) for rows in whole.every_pull(store, owned))
    yield "commit", (map(_commit, rows) for rows in whole.every_commit(store, owned))
    runs = partial(run_service.page_of_runs, store, organization, RunFilter())
    yield "run", (map(run_object, rows) for rows in every_run(runs, limit=None))
    links = partial(run_service.page_of_links, store, owned)
    yield "link", (map(link_object, rows) for rows in every_link(links, limit=None))
    yield "decision", (map(_decision, rows) for rows in whole.every_decision(store, owned))
    yield "report", (map(head_object, heads) for heads in every_head(store, owned))
    yield "auditEntry", (map(entry_object, rows) for rows in audit.every_entry(store, owned, AuditFilter()))


def _once(lines: Lines) -> Iterator[Lines]:
    yield lines


def _plain(one: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(one)
    return found


def _dollars_of_cents(cents: int | None) -> float | None:
    return None if cents is None else cents / 100


def _assumptions(row: Any) -> dict[str, Any]:
    return {
        "team": row.team,
        "since": row.since.isoformat(),
        "assumed": row.given,
        "setBy": row.set_by,
        "setAt": moment(row.set_at),
    }


def _repository(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "githubId": row.github_id,
        "defaultBranch": row.default_branch,
        "teamId": row.team_id,
        "importedAt": instant(row.imported_at),
    }


def _person(one: Human) -> dict[str, Any]:
    return {
        "id": one.person.id,
        "name": one.person.name,
        "bot": one.person.bot,
        "identities": [{"kind": each.kind, "value": each.value, "name": each.name} for each in one.identities],
    }


def _pull(row: Any) -> dict[str, Any]:
    return {
        "repo": row.repository,
        "number": row.number,
        "title": row.title,
        "body": row.body,
        "personId": row.person_id,
        "headRef": row.head_ref,
        "headSha": row.head_sha,
        "baseRef": row.base_ref,
        "outcome": row.outcome,
        "createdAt": moment(row.created_at),
        "mergedAt": instant(row.merged_at),
        "closedAt": instant(row.closed_at),
        "revertedAt": instant(row.reverted_at),
        "firstCommitAt": instant(row.first_commit_at),
        "mergeCommitSha": row.merge_commit_sha,
        "additions": row.additions,
        "deletions": row.deletions,
        "changedFiles": row.changed_files,
        "labels": row.labels,
        "aiSignal": row.ai_signal,
        "aiMark": row.ai_mark,
    }


def _commit(row: Any) -> dict[str, Any]:
    return {
        "repo": row.repository,
        "sha": row.sha,
        "personId": row.person_id,
        "authoredAt": moment(row.authored_at),
        "committedAt": moment(row.committed_at),
        "message": row.message,
        "files": row.files,
        "branches": row.branches,
    }


def _decision(row: Any) -> dict[str, Any]:
    return {
        "run": show_id("run", row.run_id),
        "repo": row.repository,
        "pullRequest": row.number,
        "confirmed": row.confirmed,
        "decidedBy": row.decided_by,
        "decidedAt": moment(row.decided_at),
    }
