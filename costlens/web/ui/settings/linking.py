"""The rules by which runs are linked: how they prove themselves here, and new ones with what they would move."""

from __future__ import annotations

from flask import Blueprint
from werkzeug.wrappers import Response

from costlens.domain.errors import InvalidInput, NotFound
from costlens.domain.links import Stance
from costlens.domain.rulesets import FIXED, LEAST, MEANINGS, MOST
from costlens.services import rulesets
from costlens.web.access import current_member, needs, page_organization
from costlens.web.context import context
from costlens.web.ui.settings.frame import do, id_of, settings_page, text_of

SECONDS = 7_200  # the longest that a comparison may take


def blueprint() -> Blueprint:
    """The pages of the rules of linking."""
    routes = Blueprint("linking", __name__, url_prefix="/app/<slug>/settings/linking")
    routes.get("")(linking_page)
    routes.post("")(propose)
    routes.post("/use-again")(use_again)
    routes.post("/apply")(apply)
    routes.post("/discard")(discard)
    routes.post("/test")(test)
    return routes


@needs("see_reports")
def linking_page(slug: str) -> str:
    """The rules in force, what their tests came to, and the ruleset that is being made."""
    found = rulesets.linking_of(context().store, page_organization().id)
    return settings_page(
        "linking.html",
        "linking",
        found=found,
        stances=[str(stance) for stance in Stance],
        limits=(LEAST, MOST),
        difference=rulesets.difference_lines(found.draft) if found.draft else None,
        workers=context().queue.workers() if found.draft and not found.draft.compared_at else None,
    )


@needs("manage_linking")
def propose(slug: str) -> Response:
    """Keeps new rules, and has them compared with the links that hold."""

    def work() -> str:
        chosen = {rule: text_of(rule) for rule in MEANINGS if rule not in FIXED and text_of(rule)}
        return _proposed(_permille(text_of("threshold")), chosen)

    return do(work, "linking")


@needs("manage_linking")
def use_again(slug: str) -> Response:
    """Makes an older version the next one, by way of the same comparison."""

    def work() -> str:
        found = rulesets.linking_of(context().store, page_organization().id)
        if text_of("version") == "1":
            return _proposed(800, {})
        older = next((row for row in found.history if str(row.version) == text_of("version")), None)
        if older is None:
            raise NotFound("No such version")
        return _proposed(older.threshold, older.stances)

    return do(work, "linking")


def _proposed(threshold: int, stances: dict[str, str]) -> str:
    rulesets.propose(context().store, current_member(), threshold, stances)
    # Should the queue be away, the schedule asks for it within five minutes.
    context().queue.begin("workers.rulesets.compare", job_id=f"compare-{page_organization().id}", seconds=SECONDS)
    return "Kept. Nothing has changed yet: see below what it would move"


@needs("manage_linking")
def apply(slug: str) -> Response:
    """Puts the compared rules in force, and has everything linked anew."""

    def work() -> str:
        store, queue, member = context().store, context().queue, current_member()
        repositories = rulesets.apply(store, member, id_of("ruleset") or 0)
        for repository_id in repositories:
            queue.link_soon(member.organization_id, repository_id)
        return "The rules are in force; past links are being computed anew"

    return do(work, "linking")


@needs("manage_linking")
def discard(slug: str) -> Response:
    """Drops the rules that are not in force."""

    def work() -> str:
        return "Dropped" if rulesets.discard(context().store, current_member()) else "There was nothing to drop"

    return do(work, "linking")


@needs("manage_linking")
def test(slug: str) -> Response:
    """Has the rules tested now instead of in the night."""

    def work() -> str:
        asked = context().queue.run_soon("workers.rulesets.calibrate_one", page_organization().id)
        return "The rules are being tested; load this page again in a moment" if asked else "The queue is away"

    return do(work, "linking")


def _permille(text: str) -> int:
    """`0.8` in permille. Raises InvalidInput."""
    try:
        value = float(text.replace(",", "."))
    except ValueError as error:
        raise InvalidInput("The threshold is a number such as 0.80", field="threshold") from error
    if not 0 <= value <= 1:  # also what is no number, such as `nan`
        raise InvalidInput("The threshold is a number between 0 and 1", field="threshold")
    return round(value * 1000)
