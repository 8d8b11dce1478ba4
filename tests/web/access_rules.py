"""Who may call each route: the one table that tests/web/test_access.py tries on everything in the URL map.

A new route needs one line here, in API, PAGES or OPEN; a test fails until it has it. Names are those of Flask's
endpoints, without the prefix that tells `/x` from `/api/x`.
"""

from __future__ import annotations

from dataclasses import dataclass

# The scopes that each route of the API asks for.
API: dict[str, set[str]] = {
    "integrations.track_run": {"ingest"},
    "integrations.track_batch": {"ingest"},
    "analytics.get_overview": {"read"},
    "analytics.get_usage": {"read"},
    "runs.list_runs": {"read"},
    "runs.get_run": {"read"},
    "runs.decide": {"read", "ingest"},
    "runs.list_links": {"read"},
    "roi.get_repositories": {"read"},
    "roi.get_teams": {"read"},
    "roi.get_pull_requests": {"read"},
}


@dataclass(frozen=True, slots=True)
class Page:
    """A page below an organization: who may see it, and what it answers them.

    Another organization's people get 404 and nobody at all is sent to sign in, whatever stands here.
    """

    roles: tuple[str, ...] = ("owner", "admin", "member")  # the others of the organization get 403
    status: int = 200
    form: tuple[tuple[str, str], ...] = ()  # what a POST needs to get as far as that status


OWNER = ("owner",)
# A queue that is away answers forms that need it with 503, and only after the check of the role.
PAGES: dict[str, Page] = {
    "roi.repositories": Page(),
    "roi.teams": Page(),
    "pages.runs_page": Page(),
    "pages.run_page": Page(),
    "pages.pulls_page": Page(),
    "start.first_page": Page(),
    "start.first_run": Page(),
    "demo.show": Page(OWNER),
    "demo.progress": Page(OWNER),
    "demo.load": Page(OWNER, 503),
    "demo.remove": Page(OWNER, 404, (("confirm", "yes"),)),  # there is no demo organization to remove
}

# Routes outside any organization, each with the reason why it is open to anybody.
OPEN: dict[str, str] = {
    "static": "the pages' own files",
    "health.get_health": "says only that the process is alive",
    "health.get_ready": "says only whether runs can be stored",
    "accounts.home": "redirects to sign-in",
    "accounts.sign_in": "where signing in begins",
    "accounts.use_link": "the token is the secret",
    "accounts.sign_out": "ends the caller's own session",
    "accounts.set_up_form": "the token is the secret",
    "accounts.set_up": "the token is the secret",
}

# Routes outside any organization for whoever is signed in.
SIGNED_IN = {"styleguide.styleguide_page"}
