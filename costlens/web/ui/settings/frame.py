"""What the settings pages share: the frame with its tabs, forms read, and the way back after a form."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from flask import flash, redirect, render_template, request
from werkzeug.wrappers import Response

from costlens.domain.errors import Conflict, InvalidInput, NotFound, Unavailable
from costlens.web.access import current_member, page_organization
from costlens.web.ui.frame import frame

PAGE = "settings/people"  # what the navigation calls the whole area

# Label, path below the organization, permission.
TABS = (
    ("People", "settings/people", "see_people"),
    ("Identities", "settings/identities", "see_people"),
    ("Teams", "settings/teams", "see_people"),
    ("API keys", "settings/keys", "use_keys"),
    ("My usage", "settings/usage", "see_own_usage"),
    ("Sign-in", "settings/sign-in", "manage_own_account"),
    ("Linking", "settings/linking", "see_reports"),
    ("Organization", "settings/organization", "manage_organization"),
    ("ROI assumptions", "settings/assumptions", "manage_organization"),
    ("Audit log", "settings/audit", "see_audit_log"),
)


def settings_page(template: str, tab: str, **values: object) -> str:
    """A settings page with the tabs that the member may open; `tab` is the last part of the open one's path."""
    member = current_member()
    return render_template(
        f"settings/{template}",
        nav=frame(page_organization().slug).nav,
        page=PAGE,
        areas=[(label, path) for label, path, permission in TABS if member.may(permission)],
        tab=f"settings/{tab}",
        member=member,
        organization=page_organization(),
        now=datetime.now(UTC),
        **values,
    )


def settings_url(path: str) -> str:
    """The address of a settings page of this organization."""
    return f"/app/{page_organization().slug}/settings/{path}"


def do(work: Callable[[], str], path: str) -> Response:
    """Does what a form asks, and goes to a settings page that says what came of it."""
    try:
        flash(work(), "done")
    except (InvalidInput, Conflict, NotFound, Unavailable) as error:
        flash(error.message, "error")
    return redirect(settings_url(path), 303)


def text_of(name: str) -> str:
    """What a form says under this name, without spaces around; '' for nothing."""
    return request.form.get(name, "").strip()


def id_of(name: str) -> int | None:
    """An id that a form gives. None: nothing is chosen."""
    text = text_of(name)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else None


def ids_of(name: str) -> list[int]:
    """The ids that a form gives under one name."""
    return [int(text) for text in request.form.getlist(name) if text.isascii() and text.isdecimal() and len(text) < 18]
