"""Teams: listed, made, changed and deleted, with their members and repositories."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, TypeVar

import msgspec
from flask import Blueprint, Response

from costlens.domain.errors import InvalidInput, NotFound
from costlens.domain.names import repository_name
from costlens.services import scopes, teams
from costlens.services.teams import TeamDetails, TeamLine
from costlens.web.answers import json_answer
from costlens.web.api.bodies import decode_stored
from costlens.web.api.callers import changing
from costlens.web.api.slices import page_of
from costlens.web.auth import require_key
from costlens.web.context import context
from costlens.web.payload import json_body
from costlens.web.shapes import settings as shape
from costlens.web.shapes.base import Done

T = TypeVar("T")
MOST = 10_000  # members or repositories of a team


def blueprint() -> Blueprint:
    """The routes of teams."""
    routes = Blueprint("teams", __name__)
    routes.get("/teams")(list_teams)
    routes.post("/teams")(create)
    routes.get("/teams/<int:team_id>")(get_team)
    routes.put("/teams/<int:team_id>")(change)
    routes.delete("/teams/<int:team_id>")(delete)
    routes.put("/teams/<int:team_id>/members")(set_members)
    routes.put("/teams/<int:team_id>/repositories")(set_repositories)
    return routes


class TeamBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A team as it shall be."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    hourly_cost: Annotated[
        Annotated[float, msgspec.Meta(ge=0, lt=1_000_000)] | None,
        msgspec.Meta(description="US dollars with whole cents; null: the organization's holds"),
    ] = None


class TeamMembersBody(msgspec.Struct, forbid_unknown_fields=True):
    """Who is in a team, by the ids of members."""

    members: Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]], msgspec.Meta(max_length=MOST)]


class TeamRepositoriesBody(msgspec.Struct, forbid_unknown_fields=True):
    """The repositories of a team, by owner/name."""

    repositories: Annotated[list[Annotated[str, msgspec.Meta(max_length=500)]], msgspec.Meta(max_length=MOST)]


def list_teams() -> Response:
    """Teams by name."""
    organization = require_key("read").organization
    rows, following = page_of(teams.list_teams(context().store, organization.id))
    return json_answer(shape.TeamList(teams=[team_shape(row) for row in rows], next_cursor=following))


def get_team(team_id: int) -> Response:
    """A team with its members and repositories."""
    return _answer(require_key("read").organization.id, team_id)


def create() -> Response:
    """Makes a team."""
    by = changing("manage_teams")
    body = decode_stored(json_body(), TeamBody)
    team_id = _named(lambda: teams.create_team(context().store, by, body.name, _amount(body.hourly_cost)))
    return _answer(by.organization_id, team_id)


def change(team_id: int) -> Response:
    """Sets a team's name and hourly cost."""
    by = changing("manage_teams")
    body = decode_stored(json_body(), TeamBody)
    _named(lambda: teams.change_team(context().store, by, team_id, body.name, _amount(body.hourly_cost)))
    return _answer(by.organization_id, team_id)


def delete(team_id: int) -> Response:
    """Deletes a team; what its runs cost stays in every report, what it told of seats goes."""
    teams.delete_team(context().store, changing("manage_teams"), team_id)
    return json_answer(Done(success=True))


def set_members(team_id: int) -> Response:
    """Makes these members the team; one may be in several."""
    by = changing("manage_teams")
    wanted = decode_stored(json_body(), TeamMembersBody).members
    known = {one.id for one in _details(by.organization_id, team_id).members}
    if unknown := set(wanted) - known:
        raise NotFound(f"No member {min(unknown)}", field="members")
    teams.set_members(context().store, by, team_id, wanted)
    return _answer(by.organization_id, team_id)


def set_repositories(team_id: int) -> Response:
    """Makes these repositories the team's, taken from the team that had them."""
    by = changing("manage_teams")
    wanted = decode_stored(json_body(), TeamRepositoriesBody).repositories
    known = scopes.repositories_named(context().store, by.organization_id, [repository_name(name) for name in wanted])
    teams.set_repositories(context().store, by, team_id, known)
    return _answer(by.organization_id, team_id)


def _named(work: Callable[[], T]) -> T:
    """What a service answers, with its field named as it is here. Raises what it raises."""
    try:
        return work()
    except InvalidInput as error:
        if error.field == "hourly_cost":
            raise InvalidInput(error.message, field="hourlyCost") from error
        raise


def _amount(dollars: float | None) -> str:
    """Dollars as a person writes them: repr is the shortest text of a float, so 87.5 stays 87.5."""
    return "" if dollars is None else f"{Decimal(repr(float(dollars))).normalize():f}"


def _details(organization_id: int, team_id: int) -> TeamDetails:
    return teams.team_details(context().store, organization_id, team_id)


def _answer(organization_id: int, team_id: int) -> Response:
    found = _details(organization_id, team_id)
    return json_answer(
        shape.TeamAnswer(
            team=team_shape(found.team),
            members=[
                # A choice is called by its name, with the address beside it; without a name, by its address.
                shape.TeamMember(id=one.id, email=one.note or one.name, name=one.name if one.note else None)
                for one in found.members
                if one.chosen
            ],
            repositories=[one.name for one in found.repositories if one.chosen],
        )
    )


def team_shape(one: TeamLine) -> shape.TeamShape:
    """A team as the API shows it."""
    return shape.TeamShape(
        id=one.id,
        name=one.name,
        hourly_cost=None if one.hourly_cost_cents is None else one.hourly_cost_cents / 100,
        members=one.members,
        repositories=one.repositories,
        keys=one.keys,
    )
