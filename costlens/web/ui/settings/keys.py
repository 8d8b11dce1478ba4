"""API keys: the list, the form for a new one, and the page that shows a key once."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, request
from werkzeug.wrappers import Response

from costlens.domain.access import SCOPES, scopes_of
from costlens.domain.errors import CostLensError, Forbidden
from costlens.services import key_settings
from costlens.services.key_settings import WantedKey
from costlens.services.keys import PURPOSES
from costlens.services.shell import shell
from costlens.web.access import current_member, needs, page_organization
from costlens.web.context import context
from costlens.web.ui.settings.frame import do, id_of, settings_page, settings_url, text_of
from costlens.web.ui.snippets import first_run_snippets

_LIVES = {"": "Never", "30": "In 30 days", "90": "In 90 days", "365": "In a year"}
_OVERLAPS = {"0": "at once", "1": "in an hour", "24": "in a day", "168": "in a week"}


def blueprint() -> Blueprint:
    """The pages of API keys."""
    routes = Blueprint("keys", __name__, url_prefix="/app/<slug>/settings/keys")
    routes.get("")(keys_page)
    routes.get("/new")(new_key_page)
    routes.post("/new")(create)
    routes.post("/<int:key_id>/rotate")(rotate)
    routes.post("/<int:key_id>/pause")(pause)
    routes.post("/<int:key_id>/resume")(resume)
    routes.post("/<int:key_id>/revoke")(revoke)
    return routes


@needs("use_keys")
def keys_page(slug: str) -> str:
    """The keys that the member may see."""
    return settings_page(
        "keys.html",
        "keys",
        keys=key_settings.list_keys(context().store, current_member()),
        overlaps=_OVERLAPS,
    )


@needs("use_keys")
def new_key_page(slug: str) -> str:
    """The form for a new key."""
    return _form(WantedKey("", shared=False), None)


def _form(wanted: WantedKey, error: CostLensError | None) -> str:
    member = current_member()
    found = shell(context().store, page_organization().id)
    return settings_page(
        "new_key.html",
        "keys",
        wanted=wanted,
        error=error,
        teams=found.teams,
        repositories=found.repositories,
        purposes=PURPOSES,
        scopes=[(scope, SCOPES[scope]) for scope in SCOPES if scope in scopes_of(member.role)],
        lives=_LIVES,
    )


@needs("use_keys")
def create(slug: str) -> str | tuple[str, int]:
    """Makes a key and shows it, this once."""
    wanted = WantedKey(
        name=text_of("name"),
        shared=text_of("kind") == "shared",
        team_id=id_of("team"),
        repository_id=id_of("repository"),
        purpose=text_of("purpose"),
        scopes=tuple(request.form.getlist("scope")),
        days=text_of("days"),
    )
    try:
        text = key_settings.create_key(context().store, current_member(), wanted)
    except Forbidden:
        raise
    except CostLensError as error:
        return _form(wanted, error), 400
    return _shown(wanted.name, text, None)


def _shown(name: str, text: str, before: str | None) -> str:
    return settings_page(
        "created_key.html",
        "keys",
        name=name,
        key=text,
        before=before,
        snippets=first_run_snippets(context().settings.base_url, text),
    )


@needs("use_keys")
def rotate(slug: str, key_id: int) -> str | Response:
    """Makes the key that takes another's place and shows it, this once."""
    overlap = text_of("overlap")
    try:
        text = key_settings.rotate_key(context().store, current_member(), key_id, overlap)
    except Forbidden:
        raise
    except CostLensError as error:
        flash(error.message, "error")
        return redirect(settings_url("keys"), 303)
    return _shown("", text, _OVERLAPS[overlap])


@needs("use_keys")
def pause(slug: str, key_id: int) -> Response:
    """Makes a key be refused until it is resumed."""
    return do(lambda: f"{_pause(key_id, paused=True)} is paused: calls with it get 401", "keys")


@needs("use_keys")
def resume(slug: str, key_id: int) -> Response:
    """Lets a paused key work again."""
    return do(lambda: f"{_pause(key_id, paused=False)} works again", "keys")


def _pause(key_id: int, *, paused: bool) -> str:
    return key_settings.pause_key(context().store, current_member(), key_id, paused=paused)


@needs("use_keys")
def revoke(slug: str, key_id: int) -> Response:
    """Ends a key for good."""

    def work() -> str:
        return f"{key_settings.revoke_key(context().store, current_member(), key_id)} is revoked"

    return do(work, "keys")
