"""Members of an organization, and invitations to it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from flask import Blueprint, Response

from costlens.domain.addresses import MOST, address
from costlens.domain.errors import InvalidInput, NotFound
from costlens.domain.shown import instant, moment
from costlens.services import invitations, members
from costlens.services.invitations import Invitation
from costlens.services.members import MemberLine
from costlens.services.scopes import find_bound
from costlens.web.answers import json_answer
from costlens.web.api.bodies import decode_stored
from costlens.web.api.callers import changing
from costlens.web.api.slices import page_of
from costlens.web.auth import require_key
from costlens.web.context import context
from costlens.web.idempotency import told_once
from costlens.web.payload import json_body
from costlens.web.shapes import settings as shape
from costlens.web.shapes.base import Done


def blueprint() -> Blueprint:
    """The routes of members and invitations."""
    routes = Blueprint("members", __name__)
    routes.get("/members")(list_members)
    routes.put("/members/<int:member_id>")(change)
    routes.delete("/members/<int:member_id>")(remove)
    routes.get("/invitations")(list_invitations)
    routes.post("/invitations")(invite)
    routes.post("/invitations/<int:invitation_id>/renew")(renew)
    routes.delete("/invitations/<int:invitation_id>")(revoke)
    return routes


class RoleBody(msgspec.Struct, forbid_unknown_fields=True):
    """What a member may do."""

    role: shape.Role


class InvitationBody(msgspec.Struct, forbid_unknown_fields=True):
    """Who is invited, as what, and for how many days the invitation holds."""

    emails: Annotated[
        list[Annotated[str, msgspec.Meta(min_length=3, max_length=254)]], msgspec.Meta(min_length=1, max_length=MOST)
    ]
    role: shape.Role = "member"
    team: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    days: Literal[1, 7, 30] = 7


def list_members() -> Response:
    """Members, owners first, each with the teams."""
    organization = require_key("read").organization
    rows, following = page_of(members.list_members(context().store, organization.id))
    return json_answer(shape.MemberList(members=[member_shape(row) for row in rows], next_cursor=following))


def change(member_id: int) -> Response:
    """Gives a member another role, from the next request on."""
    by = changing("manage_people")
    role = decode_stored(json_body(), RoleBody).role
    members.change_role(context().store, by, member_id, role)
    every = members.list_members(context().store, by.organization_id)
    found = next((one for one in every if one.id == member_id), None)
    if found is None:
        raise NotFound(f"No member {member_id}")
    return json_answer(shape.MemberAnswer(success=True, member=member_shape(found)))


def remove(member_id: int) -> Response:
    """Removes a member, or lets the caller leave, and revokes the member's keys; runs keep the person."""
    members.remove_member(context().store, changing("leave"), member_id)
    return json_answer(Done(success=True))


def list_invitations() -> Response:
    """The invitations that wait, and those that are too old, by address."""
    by = changing("manage_people")
    rows, following = page_of(invitations.list_invitations(context().store, context().settings, by.organization_id))
    return json_answer(shape.InvitationList(invitations=[invitation_shape(row) for row in rows], next_cursor=following))


def invite() -> Response:
    """Invites addresses, with an e-mail to each where there is a mail server. One that is wrong: none is invited."""
    by = changing("manage_people")
    body = decode_stored(json_body(), InvitationBody)
    try:
        emails = [address(one) for one in body.emails]
    except InvalidInput as error:
        raise InvalidInput(error.message, field="emails") from error
    team_id, _ = find_bound(context().store, by.organization_id, team=body.team, repository=None)
    done = invitations.invite(
        context().store,
        context().settings,
        by,
        "\n".join(emails),
        role=body.role,
        team_id=team_id,
        days=str(body.days),
    )

    def answer(*, told: bool) -> shape.Invited:
        made = [_made(one, told=told) for one in done.made]
        return shape.Invited(success=True, invitations=made, members=list(done.members))

    return told_once(answer(told=True), answer(told=False))


def renew(invitation_id: int) -> Response:
    """An invitation that holds for a week from now, its e-mail sent once more."""
    done = invitations.renew(context().store, context().settings, changing("manage_people"), invitation_id)
    told, kept = (shape.InvitationAnswer(success=True, invitation=_made(done, told=told)) for told in (True, False))
    return told_once(told, kept)


def revoke(invitation_id: int) -> Response:
    """Makes an invitation worthless."""
    invitations.revoke(context().store, changing("manage_people"), invitation_id)
    return json_answer(Done(success=True))


def member_shape(one: MemberLine) -> shape.MemberShape:
    """A member as the API shows it."""
    return shape.MemberShape(
        id=one.id,
        email=one.email,
        name=one.name,
        github_login=one.github_login,
        role=one.role,  # type: ignore[arg-type]
        teams=list(one.teams),
        joined_at=moment(one.joined_at),
        seen_at=instant(one.seen_at),
    )


def invitation_shape(one: Invitation) -> shape.InvitationShape:
    """An invitation as the API shows it, without its link."""
    return shape.InvitationShape(
        id=one.id,
        email=one.email,
        role=one.role,  # type: ignore[arg-type]
        team=one.team,
        invited_by=one.invited_by,
        created_at=moment(one.created_at),
        expires_at=moment(one.expires_at),
        sent_at=instant(one.sent_at),
        send_error=one.send_error,
        state=one.state,  # type: ignore[arg-type]
    )


def _made(one: Invitation, *, told: bool) -> shape.InvitationMade:
    plain = invitation_shape(one)
    fields = {name: getattr(plain, name) for name in plain.__struct_fields__}
    return shape.InvitationMade(**fields, url=one.url if told else None)
