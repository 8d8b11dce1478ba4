"""The whole application behind a real socket, with alice's organization in it, for browsers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from werkzeug.serving import make_server

from costlens.config import Settings, load_settings
from costlens.factory import create_app
from costlens.services.organizations import create_organization, sign_in_link
from costlens.store.engine import Store
from costlens.store.migrate import upgrade
from costlens.store.organizations import Organization
from tests.e2e.servers import free_port


@dataclass(frozen=True, slots=True)
class Running:
    """A server with an organization."""

    url: str
    settings: Settings
    store: Store
    organization: Organization
    api_key: str

    def link(self, email: str) -> str:
        """An address that signs in."""
        return f"{self.url}/sign-in/{sign_in_link(self.store, email)}"


@contextmanager
def running(data: Path, **environment: str) -> Iterator[Running]:
    """The application on a free port; gone afterwards."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = load_settings({"COSTLENS_DATA": str(data), "COSTLENS_BASE_URL": url} | environment)
    store = Store(settings.database_url, folder=settings.data)
    upgrade(store)
    made = create_organization(store, "Acme", "alice@example.com", plan="self-hosted", hourly_cost_cents=9_500)
    app = create_app(settings)
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Running(url, settings, store, made.organization, made.api_key)
    finally:
        server.shutdown()
        thread.join()
        app.extensions["costlens"].store.close()
        store.close()
