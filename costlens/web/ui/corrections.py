"""The forms that correct links and signs, wherever they stand: each leads back to the page that it stands on."""

from __future__ import annotations

import re

from flask import Blueprint, flash, redirect, request
from werkzeug.wrappers import Response

from costlens.domain.errors import CostLensError, InvalidInput, NotFound, Unavailable
from costlens.domain.runs import read_id
from costlens.services import corrections
from costlens.services.pulls import LARGEST, find
from costlens.web.access import current_member, needs, page_organization
from costlens.web.context import context
from costlens.web.ui.frame import signed_in

_NUMBERS = re.compile(r"[#\s,;]+")
_DONE = {
    "confirm": "Confirmed: the run counts for this pull request, whatever the rules say",
    "reject": "Unlinked: the run will not be linked to this pull request again",
    "move": "Moved to #{to}",
    "split": "Split equally over {all}",
    "undo": "Undone: the rules decide again",
    "not_code": "Marked as not code: it is outside code spend now",
    "code": "Marked as code: it is being linked",
}
_MARKED = {
    "ai": "Marked as made with AI",
    "manual": "Marked as made by hand",
    "": "The signs of AI count again",
}


def blueprint() -> Blueprint:
    """Two forms: about a run, and about a pull request."""
    routes = Blueprint("corrections", __name__, url_prefix="/app/<slug>")
    routes.before_request(signed_in)
    routes.post("/runs/<run_id>/decide")(decide)
    routes.post("/pulls/<path:repository>/<int:number>/mark")(mark)
    return routes


@needs("correct_links")
def decide(slug: str, run_id: str) -> Response:
    """Confirms, rejects, moves or splits a run's link, undoes that, or says whether the run is code."""
    form = request.form
    try:
        text = _decide(run_id, form.get("action", ""), form.get("repo") or None)
        flash(text, "done")
    except Unavailable:
        flash("Saved; the run is being linked", "done")
    except CostLensError as error:
        if isinstance(error, NotFound) and "pull request" not in error.message:
            raise
        flash(f"{error.message}. Nothing was changed.", "error")
    return _back(slug, f"runs/{run_id}")


def _decide(run_id: str, action: str, repository: str | None) -> str:
    store, organization, by = context().store, page_organization(), current_member().email
    run = read_id("run", run_id)
    if run is None:
        raise NotFound("No such run")
    if action in ("not_code", "code"):
        corrections.set_code(
            store, organization, run, code=action == "code", by=by, ask_linking=context().queue.link_soon
        )
        return _DONE[action]
    start = _numbers(request.form.get("from_number", ""))
    numbers = _numbers(request.form.get("number", "")) if action == "move" else start
    if action == "move" and len(numbers) > 1:
        action = "split"
    elif action == "move" and not start:
        action = "confirm"  # it is linked to none yet
    if action not in ("confirm", "reject", "move", "split", "undo"):
        raise InvalidInput("That is nothing that can be done with a run")
    if not numbers and action != "undo":
        raise InvalidInput("Give the number of the pull request that it belongs to")
    corrections.decide(
        store,
        organization,
        run,
        action=action,  # type: ignore[arg-type]  # one of the words above
        repository=repository,
        numbers=numbers,
        from_number=start[0] if start else None,
        by=by,
    )
    return _DONE[action].format(to=numbers[0] if numbers else "", all=", ".join(f"#{number}" for number in numbers))


def _numbers(text: str) -> list[int]:
    """The numbers of pull requests as people write them: `482`, `#482, #479`. Raises InvalidInput."""
    parts = [part for part in _NUMBERS.split(text) if part]
    if not all(part.isascii() and part.isdecimal() and len(part) < 11 and 0 < int(part) <= LARGEST for part in parts):
        raise InvalidInput(f"“{text[:40]}” is not the number of a pull request")
    return list(dict.fromkeys(map(int, parts)))


@needs("correct_links")
def mark(slug: str, repository: str, number: int) -> Response:
    """Says that a pull request was made with AI, or by hand. Raises NotFound."""
    said = request.form.get("said", "")
    store, organization = context().store, page_organization()
    with store.read() as tx:
        pull_id = find(tx, organization.id, repository, min(number, LARGEST))
    if said in _MARKED:
        corrections.mark(store, organization.id, pull_id, said=said or None, by=current_member().email)  # type: ignore[arg-type]
        flash(_MARKED[said], "done")
    return _back(slug, f"pulls/{repository}/{number}")


def _back(slug: str, otherwise: str) -> Response:
    """To the page of this organization that the form stands on; a form may not lead elsewhere."""
    own, back = f"/app/{slug}/", request.form.get("back", "")
    safe = back.startswith(own) and "\\" not in back and back.isprintable() and "/../" not in back
    return redirect(back if safe else own + otherwise, 303)
