"""Signing in with GitHub or a GitHub Enterprise Server: OAuth with state and S256 PKCE. No token of it is kept.

The same OAuth App can give a token that repositories are read with, where an owner asks for one.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from costlens.config import Settings
from costlens.domain.errors import Forbidden, Unavailable

TIMEOUT_SECONDS = 10
SYNC_SCOPE = "repo"
MOST_ORGANIZATIONS = 300  # of one person


@dataclass(frozen=True, slots=True)
class Authorization:
    """A visit to GitHub that begins; state and verifier must come back from the same browser."""

    url: str
    state: str
    verifier: str


@dataclass(frozen=True, slots=True)
class GithubPerson:
    """Who has signed in, by GitHub's word."""

    id: int
    login: str
    name: str | None  # None: not told
    emails: tuple[str, ...]  # verified ones in small letters, the primary first
    organizations: tuple[tuple[str, int], ...]  # login in small letters and id; none where they were not asked for


def authorization(settings: Settings, *, organizations: bool) -> Authorization:
    """Where to send a browser; `organizations`: also ask which GitHub organizations the person is in."""
    return _authorization(settings, _scope(organizations))


def sync_authorization(settings: Settings) -> Authorization:
    """Where to send a browser for a token that repositories can be read with. GitHub has no scope that only reads."""
    return _authorization(settings, SYNC_SCOPE)


def can_sync(settings: Settings) -> bool:
    """Whether sign-in is by an OAuth App: tokens that a GitHub App gives for a person end after hours."""
    return settings.github_client_id is not None and not settings.github_client_id.startswith("Iv")


def _authorization(settings: Settings, scope: str) -> Authorization:
    verifier = secrets.token_urlsafe(48)
    with _client(settings, scope) as client:
        url, state = client.create_authorization_url(
            f"{settings.github_url}/login/oauth/authorize", code_verifier=verifier
        )
    return Authorization(url, state, verifier)


def sync_token(settings: Settings, code: str, verifier: str) -> str:
    """The token that a code from GitHub stands for. Raises Forbidden for a code that GitHub refuses, Unavailable."""
    from authlib.common.errors import AuthlibBaseError
    from requests import RequestException

    try:
        with _client(settings, SYNC_SCOPE) as client:
            token = _fetch(client, settings, code, verifier)
    except AuthlibBaseError as error:
        raise Forbidden(f"GitHub refused: {error.description or error.error}") from error
    except (RequestException, ValueError) as error:
        raise Unavailable("GitHub does not answer as it should; try again in a moment", retry_after=30) from error
    if "repo" not in str(token.get("scope", "")).split(","):
        raise Forbidden("The authorization does not let CostLens read repositories; grant what GitHub asks for")
    return str(token["access_token"])


def _fetch(client: Any, settings: Settings, code: str, verifier: str) -> Any:
    return client.fetch_token(
        f"{settings.github_url}/login/oauth/access_token",
        code=code,
        code_verifier=verifier,
        headers={"Accept": "application/json"},
    )


def person(settings: Settings, code: str, verifier: str, *, organizations: bool) -> GithubPerson:
    """Who a code from GitHub stands for. Raises Forbidden for a code that GitHub refuses, Unavailable."""
    # Slow to load, and only those who sign in need them.
    from authlib.common.errors import AuthlibBaseError
    from requests import RequestException

    try:
        with _client(settings, _scope(organizations)) as client:
            _fetch(client, settings, code, verifier)
            user = _get(client, settings, "/user")
            emails = _get(client, settings, "/user/emails")
            found = _organizations(client, settings) if organizations else []
    except AuthlibBaseError as error:
        raise Forbidden(f"GitHub refused the sign-in: {error.description or error.error}") from error
    except (RequestException, ValueError) as error:
        raise Unavailable("GitHub does not answer as it should; try again in a moment", retry_after=30) from error
    try:
        verified = sorted((one for one in emails if one["verified"]), key=lambda one: not one["primary"])
        return GithubPerson(
            id=int(user["id"]),
            login=str(user["login"]),
            name=user.get("name") or None,
            emails=tuple(str(one["email"]).lower() for one in verified),
            organizations=tuple((str(one["login"]).lower(), int(one["id"])) for one in found),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unavailable("GitHub does not answer as it should; try again in a moment", retry_after=30) from error


def _organizations(client: Any, settings: Settings) -> list[Any]:
    found: list[Any] = []
    for page in range(1, MOST_ORGANIZATIONS // 100 + 1):
        some = _get(client, settings, f"/user/orgs?per_page=100&page={page}")
        found += some
        if len(some) < 100:
            break
    return found


def _get(client: Any, settings: Settings, path: str) -> Any:
    response = client.get(f"{settings.github_api_url}{path}", headers={"Accept": "application/vnd.github+json"})
    response.raise_for_status()
    return response.json()


def _scope(organizations: bool) -> str:
    return "read:user user:email read:org" if organizations else "read:user user:email"


def _client(settings: Settings, scope: str) -> Any:
    from authlib.integrations.requests_client import OAuth2Session

    return OAuth2Session(
        settings.github_client_id,
        settings.github_client_secret,
        scope=scope,
        redirect_uri=f"{settings.base_url}/sign-in/github/callback",
        token_endpoint_auth_method="client_secret_post",
        code_challenge_method="S256",
        default_timeout=TIMEOUT_SECONDS,
    )
