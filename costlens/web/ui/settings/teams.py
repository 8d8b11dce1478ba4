"""Teams with their members, repositories and hourly cost."""

from __future__ import annotations

from flask import Blueprint
from werkzeug.wrappers import Response

from costlens.services import teams
from costlens.web.access import current_member, needs, page_organization
from costlens.web.context import context
from costlens.web.ui.settings.frame import do, ids_of, settings_page, text_of


def blueprint() -> Blueprint:
    """The pages of an organization's teams."""
    routes = Blueprint("team_settings", __name__, url_prefix="/app/<slug>/settings/teams")
    routes.get("")(teams_page)
    routes.post("")(create)
    routes.get("/<int:team_id>")(team_page)
    routes.post("/<int:team_id>")(change)
    routes.post("/<int:team_id>/members")(set_members)
    routes.post("/<int:team_id>/repositories")(set_repositories)
    routes.post("/<int:team_id>/delete")(delete)
    return routes


@needs("see_people")
def teams_page(slug: str) -> str:
    """All teams."""
    return settings_page("teams.html", "teams", teams=teams.list_teams(context().store, page_organization().id))


@needs("see_people")
def team_page(slug: str, team_id: int) -> str:
    """One team. Raises NotFound."""
    return settings_page(
        "team.html", "teams", details=teams.team_details(context().store, page_organization().id, team_id)
    )


@needs("manage_teams")
def create(slug: str) -> Response:
    """Makes a team."""

    def work() -> str:
        teams.create_team(context().store, current_member(), text_of("name"), text_of("hourly_cost"))
        return f"{text_of('name')} is there: give it members and repositories"

    return do(work, "teams")


@needs("manage_teams")
def change(slug: str, team_id: int) -> Response:
    """Renames a team and sets its hourly cost."""

    def work() -> str:
        teams.change_team(context().store, current_member(), team_id, text_of("name"), text_of("hourly_cost"))
        return "Saved"

    return do(work, f"teams/{team_id}")


@needs("manage_teams")
def set_members(slug: str, team_id: int) -> Response:
    """Makes the chosen ones the members of a team."""

    def work() -> str:
        teams.set_members(context().store, current_member(), team_id, ids_of("member"))
        return "Members saved"

    return do(work, f"teams/{team_id}")


@needs("manage_teams")
def set_repositories(slug: str, team_id: int) -> Response:
    """Makes the chosen ones the repositories of a team."""

    def work() -> str:
        teams.set_repositories(context().store, current_member(), team_id, ids_of("repository"))
        return "Repositories saved"

    return do(work, f"teams/{team_id}")


@needs("manage_teams")
def delete(slug: str, team_id: int) -> Response:
    """Deletes a team."""

    def work() -> str:
        return f"{teams.delete_team(context().store, current_member(), team_id)} was deleted"

    return do(work, "teams")
