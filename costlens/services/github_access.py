"""Page sources in the name of an organization's App or token: minted, kept sealed, and shared by every worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from costlens.config import Settings
from costlens.domain.sync import BadCredentials, PageSource
from costlens.github.app import app_client, mint, token_client
from costlens.github.client import Client
from costlens.github.pages_graphql import GraphqlPages
from costlens.github.pages_rest import RestPages
from costlens.services.sealing import Box, box
from costlens.store import connections
from costlens.store import sync as sync_store
from costlens.store.engine import Store

TOKEN_LEFT = timedelta(minutes=5)  # a token that ends sooner is not begun with
OF_TOKEN = 0  # the installation number of a connection by token


@dataclass(frozen=True, slots=True)
class GitHub:
    """What this server knows of GitHub by its settings."""

    api_url: str
    source: str  # graphql, rest
    horizon: timedelta
    box: Box


def github_of(settings: Settings) -> GitHub:
    """GitHub by the settings."""
    horizon = timedelta(days=settings.github_horizon_days)
    return GitHub(settings.github_api_url, settings.github_source, horizon, box(settings))


@contextmanager
def installation_client(
    store: Store, github: GitHub, organization_id: int, installation_id: int, now: datetime
) -> Iterator[Client]:
    """Calls in the name of an installation. Raises GitHubTrouble."""
    client = token_client(github.api_url, _token(store, github, organization_id, installation_id, now))
    try:
        yield client
    finally:
        client.close()


@contextmanager
def pages_of(
    store: Store, github: GitHub, organization_id: int, installation_id: int, now: datetime
) -> Iterator[PageSource]:
    """The page source of an installation's repositories. Raises GitHubTrouble."""
    with installation_client(store, github, organization_id, installation_id, now) as client:
        yield GraphqlPages(client) if github.source == "graphql" else RestPages(client)


@contextmanager
def app_of(store: Store, github: GitHub, organization_id: int) -> Iterator[Client | None]:
    """Calls in the name of the organization's App. None: it is not connected by one."""
    with store.read() as tx:
        row = connections.get_connection(tx, organization_id)
    if row is None or row.kind != "app":
        yield None
        return
    client = app_client(github.api_url, row.app_id, github.box.open(row.private_key))
    try:
        yield client
    finally:
        client.close()


def forget_token(store: Store, organization_id: int, installation_id: int) -> None:
    """The next call mints a token anew."""
    with store.write() as tx:
        sync_store.change_installation(tx, organization_id, installation_id, {"token": None, "token_until": None})


def _token(store: Store, github: GitHub, organization_id: int, installation_id: int, now: datetime) -> str:
    with store.read() as tx:
        connection = connections.get_connection(tx, organization_id)
        installation = sync_store.get_installation(tx, organization_id, installation_id)
    if connection is None:
        raise BadCredentials("GitHub is not connected")
    if connection.kind != "app":
        return github.box.open(connection.token)
    if installation is not None and installation.token and installation.token_until - TOKEN_LEFT > now:
        return github.box.open(installation.token)
    client = app_client(github.api_url, connection.app_id, github.box.open(connection.private_key))
    try:
        token, until = mint(client, installation_id)
    finally:
        client.close()
    with store.write() as tx:
        values = {"token": github.box.seal(token), "token_until": until}
        sync_store.change_installation(tx, organization_id, installation_id, values)
    return token
