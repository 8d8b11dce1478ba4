"""Inviting people, and letting the members of GitHub organizations in: the forms of the people page."""

from __future__ import annotations

from flask import Blueprint
from werkzeug.wrappers import Response

from costlens.services import invitations
from costlens.services.invitations import Invited
from costlens.web.access import current_member, needs
from costlens.web.context import context
from costlens.web.formats import number_of
from costlens.web.ui.settings.frame import do, id_of, text_of


def blueprint() -> Blueprint:
    """The forms that invite."""
    routes = Blueprint("inviting", __name__, url_prefix="/app/<slug>/settings/people")
    routes.post("/invite")(invite)
    routes.post("/invitations/<int:invitation_id>/renew")(renew)
    routes.post("/invitations/<int:invitation_id>/revoke")(revoke)
    routes.post("/github-organizations")(allow)
    routes.post("/github-organizations/remove")(disallow)
    return routes


@needs("manage_people")
def invite(slug: str) -> Response:
    """Invites every address of a paste."""

    def work() -> str:
        done = invitations.invite(
            context().store,
            context().settings,
            current_member(),
            text_of("emails"),
            role=text_of("role"),
            team_id=id_of("team"),
            days=text_of("days"),
        )
        return _told(done, mail=context().settings.mail is not None)

    return do(work, "people#invitations")


def _told(done: Invited, *, mail: bool) -> str:
    """What became of a paste, in words."""
    failed = sum(one.send_error is not None for one in done.made)
    said = [f"{number_of(len(done.made), 'invitation')} made" + ("" if mail or not done.made else ": copy the links")]
    if failed:
        said.append(f"{number_of(failed, 'e-mail')} did not go out, see below")
    if done.members:
        said.append(f"already here: {', '.join(done.members)}")
    if done.wrong:
        said.append(f"not an address: {', '.join(done.wrong)[:300]}")
    return "; ".join(said)


@needs("manage_people")
def renew(slug: str, invitation_id: int) -> Response:
    """Lets an invitation hold for longer, and sends it again."""

    def work() -> str:
        one = invitations.renew(context().store, context().settings, current_member(), invitation_id)
        if one.send_error:
            return f"The link holds for a week; the e-mail did not go out: {one.send_error}"
        return f"Sent to {one.email} again" if context().settings.mail else f"The link of {one.email} holds for a week"

    return do(work, "people#invitations")


@needs("manage_people")
def revoke(slug: str, invitation_id: int) -> Response:
    """Makes an invitation worthless."""

    def work() -> str:
        return f"The invitation of {invitations.revoke(context().store, current_member(), invitation_id)} is revoked"

    return do(work, "people#invitations")


@needs("manage_sign_in")
def allow(slug: str) -> Response:
    """Lets the members of a GitHub organization in."""

    def work() -> str:
        login = invitations.allow_github(context().store, current_member(), text_of("login"))
        return f"Members of {login} on GitHub may come in"

    return do(work, "people")


@needs("manage_sign_in")
def disallow(slug: str) -> Response:
    """Lets them in no longer."""

    def work() -> str:
        login = invitations.disallow_github(context().store, current_member(), text_of("login"))
        return f"Members of {login} come in no longer; who is a member stays"

    return do(work, "people")
