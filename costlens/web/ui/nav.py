"""The frame around a page: who is looking, at which organization, and the pages that exist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from costlens.domain.access import may


@dataclass(frozen=True, slots=True)
class Nav:
    """What the frame and the filter bar show."""

    organization: str  # its name
    slug: str
    base_url: str  # of this server, as a caller of the API writes it; no slash at the end
    others: tuple[tuple[str, str], ...] = ()  # slug and name of the user's other organizations
    teams: tuple[tuple[int, str], ...] = ()  # id and name, for the filter
    repositories: tuple[tuple[int, str], ...] = ()  # id and name, for the filter
    providers: tuple[str, ...] = ()  # as seen in the runs, for the filter
    timezone: str = "UTC"  # in which its days are cut
    started: bool = True  # it has runs; without any, the first steps are in the navigation
    demo: bool = False  # the demo organization, which its owner can remove
    role: str | None = None  # owner, admin or member. None: nobody to show
    user: str | None = None  # e-mail of who is signed in. None: nobody to show
    sign_out_url: str | None = None  # a POST there ends the session. None: not offered


# Label, path below the organization, icon.
PAGES: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "ROI",
        (
            ("Overview", "overview", "layout-dashboard"),
            ("Repositories", "repositories", "book-marked"),
            ("Teams", "teams", "users"),
            ("Pull requests", "pulls", "git-pull-request"),
            ("Reports", "reports", "file-text"),
        ),
    ),
    ("Usage", (("Runs", "runs", "rows-3"), ("Prompts", "prompts", "message-square-code"), ("Models", "models", "box"))),
    ("Organization", (("GitHub", "github", "link"), ("Settings", "settings/people", "settings"))),
)


def page_url(nav: Nav, page: str, query: Mapping[str, object] | None = None) -> str:
    """The path of a page of this organization with the query values that are set."""
    text = urlencode({key: value for key, value in (query or {}).items() if value not in (None, "")})
    return f"/app/{nav.slug}/{page}" + (f"?{text}" if text else "")


def seats_url(nav: Nav, team_id: int | None) -> str | None:
    """Where the seats of a team (None: of the organization) are set. None: who looks may not set them."""
    if nav.role is None or not may(nav.role, "manage_organization"):
        return None
    return page_url(nav, "settings/assumptions", {"team": team_id or None})


def organization_url(slug: str) -> str:
    """The first page of an organization."""
    return f"/app/{slug}/repositories"
