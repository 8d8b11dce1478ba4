"""Routes of what an organization sets: teams, members, invitations, keys; what was done, and all of it as a file."""

from __future__ import annotations

from collections.abc import Mapping

from costlens.web.api import keys, members, teams
from costlens.web.openapi import parameters as of
from costlens.web.openapi.operation import Operation, Parameter, whole
from costlens.web.shapes import settings as settings_shapes
from costlens.web.shapes.base import ApiError, Done

KEEP = "Organization"

ORGANIZATION: Mapping[str, Operation] = {
    "teams.list_teams": Operation(KEEP, "Teams by name", settings_shapes.TeamList, params=of.ROWS),
    "teams.create": Operation(
        KEEP, "Make a team", settings_shapes.TeamAnswer, teams.TeamBody, scope="admin", held="keeper",
        example={"name": "Storefront", "hourlyCost": 95},
    ),
    "teams.get_team": Operation(
        KEEP, "A team with its members and repositories", settings_shapes.TeamAnswer, also={404: ApiError}
    ),
    "teams.change": Operation(
        KEEP, "Set a team's name and hourly cost", settings_shapes.TeamAnswer, teams.TeamBody,
        scope="admin", held="keeper", also={404: ApiError}, example={"name": "Storefront", "hourlyCost": None},
    ),
    "teams.delete": Operation(
        KEEP, "Delete a team; what its runs cost stays in every report", Done,
        scope="admin", held="keeper", also={404: ApiError},
    ),
    "teams.set_members": Operation(
        KEEP, "Make these members the team; one may be in several", settings_shapes.TeamAnswer, teams.TeamMembersBody,
        scope="admin", held="keeper", also={404: ApiError}, example={"members": [1]},
    ),
    "teams.set_repositories": Operation(
        KEEP, "Make these repositories the team's, taken from the team that had them", settings_shapes.TeamAnswer,
        teams.TeamRepositoriesBody, scope="admin", held="keeper", also={404: ApiError},
        example={"repositories": ["acme/web"]},
    ),
    "members.list_members": Operation(
        KEEP, "Members with role and teams, owners first", settings_shapes.MemberList, params=of.ROWS
    ),
    "members.change": Operation(
        KEEP, "Give a member another role", settings_shapes.MemberAnswer, members.RoleBody,
        scope="admin", held="keeper", also={404: ApiError}, example={"role": "admin"},
    ),
    "members.remove": Operation(
        KEEP, "Remove a member, or leave; the member's keys are revoked, the runs stay", Done,
        scope="admin", held="keeper", also={404: ApiError, 409: ApiError},
    ),
    "members.list_invitations": Operation(
        KEEP, "Invitations that wait, or are too old", settings_shapes.InvitationList, params=of.ROWS,
        scope="admin", held="keeper",
    ),
    "members.invite": Operation(
        KEEP, "Invite people, by e-mail where the server sends any; the links are told this once",
        settings_shapes.Invited, members.InvitationBody, scope="admin", held="keeper", also={404: ApiError},
        example={"emails": ["bob@example.com"], "role": "member", "days": 7},
    ),
    "members.renew": Operation(
        KEEP, "Let an invitation hold for a week from now, and send it again", settings_shapes.InvitationAnswer,
        scope="admin", held="keeper", also={404: ApiError, 409: ApiError},
    ),
    "members.revoke": Operation(
        KEEP, "Make an invitation worthless", Done, scope="admin", held="keeper",
        also={404: ApiError, 405: ApiError},  # 405: not a number, but like the link of an invitation, which is a page
    ),
    "issued_keys.list_keys": Operation(
        KEEP, "API keys: one's own, or all for owners and admins", settings_shapes.KeyList, params=of.ROWS,
        held="personal",
    ),
    "issued_keys.create": Operation(
        KEEP, "Make an API key; it is told this once", settings_shapes.KeyMade, keys.KeyBody,
        scope="admin", held="keeper", also={404: ApiError},
        example={"name": "CI", "shared": True, "purpose": "staging", "scopes": ["ingest"], "days": 90},
    ),
    "issued_keys.change": Operation(
        KEEP, "Pause a key, or let it work again", settings_shapes.KeyAnswer, keys.KeyChange,
        scope="admin", held="keeper", also={404: ApiError}, example={"paused": True},
    ),
    "issued_keys.revoke": Operation(
        KEEP, "End a key for good, at once", Done, scope="admin", held="keeper", also={404: ApiError, 409: ApiError}
    ),
    "issued_keys.rotate": Operation(
        KEEP, "A new key in an old one's place, which works on for a while; it is told this once",
        settings_shapes.KeyMade, keys.Rotation, scope="admin", held="keeper", also={404: ApiError},
        example={"overlapHours": 24},
    ),
    "audit_log.list_entries": Operation(
        KEEP, "Who changed what, the newest first", settings_shapes.AuditList, files=True,
        scope="admin", held="keeper",
        params=(
            Parameter("startDate", "First day, included; default: of the first entry", of.DATE),
            Parameter("endDate", "Last day, included; default: of the last entry", of.DATE),
            Parameter("actor", "Who did it"), Parameter("action", "What was done, as `team.created`"),
            whole("limit", "Entries of a page", 1, 1_000, 100),
            whole("cursor", "`nextCursor` of the page before", 1, 2**62),
        ),
    ),
    "whole.export": Operation(
        KEEP, "Everything of the organization as newline-delimited JSON, streamed", str,
        scope="admin", held="keeper", told_as="application/x-ndjson",
    ),
}  # fmt: skip
