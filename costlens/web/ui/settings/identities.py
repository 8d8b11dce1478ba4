"""People and their identities: suggestions, spend of nobody, and each person with what names each identity."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, request
from werkzeug.wrappers import Response

from costlens.domain.names import read_identities, write_identities
from costlens.services import people
from costlens.web.access import current_member, needs, page_organization
from costlens.web.context import context
from costlens.web.formats import number_of
from costlens.web.ui.settings.frame import do, id_of, settings_page

ROWS = 100  # of a page


def blueprint() -> Blueprint:
    """The pages of people and their identities."""
    routes = Blueprint("identity_settings", __name__, url_prefix="/app/<slug>/settings/identities")
    routes.get("")(people_page)
    routes.get("/<int:person_id>")(person_page)
    routes.post("/merge")(merge)
    routes.post("/dismiss")(dismiss)
    routes.post("/<int:person_id>/split")(split)
    return routes


@needs("see_people")
def people_page(slug: str) -> str:
    """Everybody who is behind runs and commits, with what an owner can put right on top."""
    found = people.people(context().store, page_organization().id)
    query = request.args.get("q", "").strip()
    lines = people.matching(found.lines, query) if query else list(found.lines)
    text = request.args.get("from", "")
    start = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    more = start + ROWS < len(lines)
    return settings_page(
        "identities.html",
        "identities",
        people=found,
        authors=found.authors(),
        lines=lines[start : start + ROWS],
        total=len(lines),
        query=query,
        next_query={"q": query or None, "from": start + ROWS} if more else None,
    )


@needs("see_people")
def person_page(slug: str, person_id: int) -> str:
    """One person. Raises NotFound."""
    details = people.person(context().store, page_organization().id, person_id)
    texts = {one.identity: write_identities([one.identity]) for one in details.identities}
    others = [one for one in people.authors(context().store, page_organization().id) if one.id != person_id]
    return settings_page("identity.html", "identities", details=details, texts=texts, others=others)


@needs("manage_people")
def merge(slug: str) -> Response:
    """Makes two people one."""

    def work(organization_id: int) -> str:
        first, second = id_of("first") or 0, id_of("second") or 0
        name = people.merge(context().store, organization_id, current_member(), first, second)
        people.link_soon(context().store, context().queue, organization_id)
        return f"They are one person, {name}; the links follow in a moment"

    return _do(work)


@needs("manage_people")
def dismiss(slug: str) -> Response:
    """Keeps that two people are not the same."""

    def work(organization_id: int) -> str:
        first, second = id_of("first") or 0, id_of("second") or 0
        one, other = people.dismiss(context().store, organization_id, current_member(), first, second)
        return f"{one} and {other} stay two people"

    return _do(work)


@needs("manage_people")
def split(slug: str, person_id: int) -> Response:
    """Makes some identities of a person a person of their own."""

    def work(organization_id: int) -> str:
        chosen = [one for text in request.form.getlist("identity") for one in read_identities(text)]
        done = people.split(context().store, organization_id, current_member(), person_id, chosen)
        people.link_soon(context().store, context().queue, organization_id)
        moved = f"{number_of(done.runs, 'run')} and {number_of(done.commits, 'commit')}"
        return f"A person of their own, with {moved}; the links follow in a moment"

    return _do(work)


def _do(work: Callable[[int], str]) -> Response:
    return do(lambda: work(page_organization().id), "identities")
