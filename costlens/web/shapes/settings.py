"""Shapes of teams, members, invitations, API keys and the audit log."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from costlens.web.shapes.base import Count, Instant, Shape

Role = Literal["owner", "admin", "member"]
Scope = Literal["ingest", "read", "admin"]
Purpose = Literal["development", "staging", "production"]
HourlyCost = Annotated[float | None, msgspec.Meta(description="US dollars; null: the organization's holds")]


class TeamShape(Shape):
    id: int
    name: str
    hourly_cost: HourlyCost
    members: Count
    repositories: Count
    keys: Annotated[int, msgspec.Meta(ge=0, description="API keys that are bound to it")]


class TeamList(Shape):
    teams: list[TeamShape]
    next_cursor: str | None


class TeamMember(Shape):
    id: Annotated[int, msgspec.Meta(description="Of the member")]
    email: str
    name: str | None


class TeamAnswer(Shape):
    team: TeamShape
    members: list[TeamMember]
    repositories: Annotated[list[str], msgspec.Meta(description="owner/name")]


class MemberShape(Shape):
    id: int
    email: str
    name: str | None
    github_login: str | None
    role: Role
    teams: list[str]
    joined_at: Instant
    seen_at: Annotated[Instant | None, msgspec.Meta(description="Last use of a session that has not ended")]


class MemberList(Shape):
    members: list[MemberShape]
    next_cursor: str | None


class MemberAnswer(Shape):
    success: Literal[True]
    member: MemberShape


class InvitationShape(Shape):
    id: int
    email: str
    role: Role
    team: str | None
    invited_by: str
    created_at: Instant
    expires_at: Instant
    sent_at: Annotated[Instant | None, msgspec.Meta(description="null: no e-mail went out")]
    send_error: Annotated[str | None, msgspec.Meta(description="Why the last e-mail did not go out")]
    state: Literal["open", "expired", "accepted", "revoked"]


class InvitationList(Shape):
    invitations: list[InvitationShape]
    next_cursor: str | None


class InvitationMade(InvitationShape):
    url: Annotated[
        str | None, msgspec.Meta(description="The link that accepts it; null in an answer that is given again")
    ]


class Invited(Shape):
    success: Literal[True]
    invitations: list[InvitationMade]
    members: Annotated[list[str], msgspec.Meta(description="Addresses of who is a member already")]


class InvitationAnswer(Shape):
    success: Literal[True]
    invitation: InvitationMade


class KeyShape(Shape):
    id: int
    name: str
    shown: Annotated[str, msgspec.Meta(description="How it begins and ends")]
    member: Annotated[str | None, msgspec.Meta(description="E-mail address; null: a shared key")]
    team: str | None
    repo: str | None
    purpose: Purpose
    scopes: list[Scope]
    created_at: Instant
    created_by: Annotated[str | None, msgspec.Meta(description="null: on the console")]
    last_used_at: Instant | None
    expires_at: Instant | None
    state: Literal["active", "paused", "expired", "revoked"]
    rotated: Annotated[bool, msgspec.Meta(description="Another key takes its place")]


class KeyList(Shape):
    api_keys: list[KeyShape]
    next_cursor: str | None


class KeyAnswer(Shape):
    success: Literal[True]
    key: KeyShape


class KeyMade(KeyAnswer):
    api_key: Annotated[
        str | None, msgspec.Meta(description="The key itself, this once; null in an answer that is given again")
    ]


class AuditEntry(Shape):
    id: int
    at: Instant
    actor: Annotated[str, msgspec.Meta(description="E-mail address, `console`, or what did it")]
    action: str
    subject: str
    details: dict[str, Any]


class AuditList(Shape):
    entries: list[AuditEntry]
    next_cursor: str | None
