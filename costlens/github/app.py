"""The GitHub App and what may be asked in its name: installations, tokens, repositories, webhook settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from costlens.github.client import Client
from costlens.github.pages_rest import moment

EVENTS = ("push", "pull_request", "pull_request_review", "repository")
PERMISSIONS = {"metadata": "read", "pull_requests": "read", "contents": "read"}
MAX_PAGES = 100  # of 100 repositories or deliveries


@dataclass(frozen=True, slots=True)
class App:
    """What GitHub hands over once, when an App was created."""

    app_id: int
    slug: str
    url: str
    private_key: str
    webhook_secret: str
    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True)
class Installation:
    installation_id: int
    account: str  # login
    suspended: bool
    may_comment: bool | None = None  # on pull requests. None: not told


@dataclass(frozen=True, slots=True)
class Offered:
    """A repository that an installation or a token may read."""

    github_id: int
    name: str  # owner/name
    private: bool
    archived: bool
    default_branch: str | None  # None: not told


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt of GitHub to deliver an event."""

    delivery_id: int
    guid: str
    delivered_at: datetime
    ok: bool


def manifest(*, name: str, base_url: str, slug: str, hook_url: str, public: bool) -> str:
    """The App Manifest that GitHub's form is sent: read-only, with the addresses of this server.

    Without a public address GitHub would refuse the webhook, so it is left off; reading every 15 minutes is enough.
    """
    pages = f"{base_url}/app/{quote(slug)}/github"
    body: dict[str, Any] = {
        "name": name,
        "url": base_url,
        "redirect_url": f"{pages}/created",
        "setup_url": f"{pages}/installed",
        "setup_on_update": True,
        "callback_urls": [f"{base_url}/sign-in/github/callback"],
        "public": False,
        "default_permissions": PERMISSIONS | {"emails": "read"},
        "default_events": list(EVENTS),
    }
    if public:
        body["hook_attributes"] = {"url": hook_url, "active": True}
    return json.dumps(body)


def token_client(api_url: str, token: str) -> Client:
    """Calls in the name of a token."""
    from github.Auth import Token

    return Client(api_url, Token(token))


def app_client(api_url: str, app_id: int, private_key: str) -> Client:
    """Calls in the name of an App."""
    from github.Auth import AppAuth

    return Client(api_url, AppAuth(app_id, private_key))


def convert_manifest(api_url: str, code: str) -> App:
    """The App that was created by the manifest form, once for each code. Raises GitHubTrouble."""
    client = Client(api_url, None)
    try:
        body = client.send("POST", f"/app-manifests/{quote(code, safe='')}/conversions").body
    finally:
        client.close()
    return App(
        app_id=body["id"],
        slug=body["slug"],
        url=body["html_url"],
        private_key=body["pem"],
        webhook_secret=body.get("webhook_secret") or "",
        client_id=body["client_id"],
        client_secret=body["client_secret"],
    )


def installations(client: Client) -> list[Installation]:
    """Where an App is installed."""
    return [
        Installation(
            row["id"],
            (row.get("account") or {}).get("login") or "unknown",
            bool(row.get("suspended_at")),
            _may_comment(row.get("permissions")),
        )
        for row in _listed(client, "/app/installations")
    ]


def _may_comment(permissions: Mapping[str, str] | None) -> bool | None:
    if permissions is None:
        return None
    return "write" in (permissions.get("pull_requests"), permissions.get("issues"))  # GitHub takes either


def mint(client: Client, installation_id: int) -> tuple[str, datetime]:
    """A token of an installation, and when it expires."""
    body = client.send("POST", f"/app/installations/{installation_id}/access_tokens").body
    return body["token"], moment(body["expires_at"])


def installation_repositories(client: Client) -> list[Offered]:
    """What an installation's token may read."""
    return [_offered(row) for row in _listed(client, "/installation/repositories", key="repositories")]


def token_repositories(client: Client) -> tuple[str, list[Offered]]:
    """Whose token it is, and what it may read."""
    login = str(client.get("/user").body["login"])
    return login, [_offered(row) for row in _listed(client, "/user/repos")]


def set_webhook_secret(client: Client, secret: str) -> None:
    """Gives the App's webhook another secret."""
    client.send("PATCH", "/app/hook/config", {"secret": secret})


def deliveries(client: Client, since: datetime) -> Iterator[Delivery]:
    """What GitHub tried to deliver since then, the latest first."""
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        answer = client.get("/app/hook/deliveries", {"per_page": 100} | ({"cursor": cursor} if cursor else {}))
        for row in answer.body:
            at = moment(row["delivered_at"])
            if at < since:
                return
            yield Delivery(row["id"], row["guid"], at, 200 <= int(row["status_code"]) < 300)
        cursor = _next_cursor(answer.headers)
        if cursor is None:
            return


def redeliver(client: Client, delivery_id: int) -> None:
    """Asks GitHub to deliver an event once more."""
    client.send("POST", f"/app/hook/deliveries/{delivery_id}/attempts")


def _next_cursor(headers: Mapping[str, str]) -> str | None:
    for link in headers.get("link", "").split(","):
        if 'rel="next"' in link and "cursor=" in link:
            return link.partition("cursor=")[2].partition(">")[0].partition("&")[0]
    return None


def _listed(client: Client, path: str, key: str | None = None) -> Iterator[Mapping[str, Any]]:
    for page in range(1, MAX_PAGES + 1):
        answer = client.get(path, {"per_page": 100, "page": page})
        rows = answer.body[key] if key else answer.body
        yield from rows
        if not answer.next_page:
            return


def _offered(row: Mapping[str, Any]) -> Offered:
    return Offered(
        row["id"], row["full_name"], bool(row["private"]), bool(row.get("archived")), row.get("default_branch")
    )
