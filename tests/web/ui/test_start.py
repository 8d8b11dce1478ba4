"""The first steps: what is ticked off, the key in the snippets, the wait for the first run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path
from threading import Thread

import playwright
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from costlens.config import Settings
from costlens.services.organizations import create_team, sign_in_link
from costlens.services.set_up import set_up_token
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from costlens.web.ui.snippets import first_run_snippets
from tests.web.caller import Caller
from tests.web.conftest import Shipped

RUN = {"provider": "anthropic", "model": "claude-sonnet-4.6", "inputTokens": 1840, "outputTokens": 412}
FORM = {"organization": "Umbrella", "email": "alice@example.com", "timezone": "Europe/Berlin"}


@pytest.fixture
def browser(app: Flask, store: Store, acme: Organization) -> FlaskClient:
    """alice, signed in, with an organization without runs."""
    client = app.test_client()
    client.get(f"/sign-in/{sign_in_link(store, 'alice@example.com')}")
    return client


def steps(page: str) -> list[bool]:
    """Which steps of the page are done."""
    part = page.split('<ol class="card steps', 1)[1].split("</ol>")[0]
    return ['class="done"' in tag for tag in re.findall(r"<li[^>]*>", part)]


def test_set_up_ends_on_the_first_steps_with_the_key(client: FlaskClient, settings: Settings) -> None:
    page = client.post(f"/set-up/{set_up_token(settings)}", data=FORM).text
    keys = set(re.findall(r"cl_[0-9a-f]{64}", page))
    assert len(keys) == 1
    assert steps(page) == [True, True, False, False, False]
    assert "2 of 5 done" in page
    assert "shown only now" in page
    later = client.get("/app/umbrella/start").text
    assert "cl_" not in later
    assert "$COSTLENS_API_KEY" in later
    assert Caller(client.application, keys.pop()).post("/integrations/run", RUN).status_code == 200


def test_the_first_page_of_an_organization_without_runs_is_that_of_the_first_steps(browser: FlaskClient) -> None:
    for path in ("/app/acme/repositories", "/app/acme/teams", "/app/acme/start"):
        page = browser.get(path).text
        assert "Get started</h1>" in page
        assert "Waiting for the first run" in page
        assert 'href="/app/acme/start"' in page


@pytest.mark.parametrize(("path", "said"), [("runs", "No runs yet"), ("pulls", "No pull requests yet")])
def test_a_page_without_rows_says_what_is_missing_and_what_comes_next(
    browser: FlaskClient, path: str, said: str
) -> None:
    page = browser.get(f"/app/acme/{path}").text
    assert said in page
    assert 'href="/app/acme/start"' in page
    assert 'class="filters"' not in page


def test_the_wait_ends_with_the_first_run(browser: FlaskClient, alice: Caller) -> None:
    waiting = browser.get("/app/acme/start/first-run", headers={"HX-Request": "true"})
    assert (waiting.status_code, waiting.data) == (204, b"")
    run = alice.post("/integrations/run", RUN).json["run"]["id"]
    part = browser.get("/app/acme/start/first-run", headers={"HX-Request": "true"})
    assert part.status_code == 200
    assert f'href="/app/acme/runs/{run}"' in part.text
    assert "claude-sonnet-4.6" in part.text
    assert "$0.01 ·" in part.text
    assert "hx-get" not in part.text
    assert 'href="/app/acme/repositories"' in part.text
    assert "3 of 5 done" in part.text
    assert "<html" not in part.text


def test_steps_are_ticked_off(browser: FlaskClient, store: Store, shipped: Shipped) -> None:
    page = browser.get("/app/acme/start").text
    assert steps(page) == [True] * 5
    assert "5 of 5 done" in page
    assert "Get started</a>" not in page  # it has runs: the navigation leads elsewhere
    assert "vendor/htmx" not in page


def test_a_team_is_a_step(browser: FlaskClient, store: Store, acme: Organization) -> None:
    create_team(store, acme.id, "Storefront")
    assert steps(browser.get("/app/acme/start").text) == [True, True, False, False, True]


def test_a_revoked_key_is_none(browser: FlaskClient, store: Store) -> None:
    with store.write() as tx:
        tx.exec_driver_sql("UPDATE api_keys SET revoked_at = created_at")
    page = browser.get("/app/acme/start").text
    assert steps(page) == [True, False, False, False, False]
    assert 'href="/app/acme/settings/keys/new"' in page


def test_a_page_that_waits_loads_anew_when_the_session_has_ended(browser: FlaskClient) -> None:
    browser.post("/sign-out")
    for path in ("start/first-run", "demo/progress"):
        response = browser.get(f"/app/acme/{path}", headers={"HX-Request": "true"})
        assert (response.status_code, response.headers["HX-Refresh"]) == (200, "true")
        assert response.data == b""


def test_only_an_owner_is_offered_the_demo(app: Flask, store: Store, browser: FlaskClient, bob_key: str) -> None:
    bob = app.test_client()
    bob.get(f"/sign-in/{sign_in_link(store, 'bob@example.com')}")
    assert "Load the demo organization" in browser.get("/app/acme/start").text
    assert "Load the demo organization" not in bob.get("/app/acme/start").text


# The snippets are run as they stand.

# In CI a missing curl is a failure, not a reason to be silent.
needs_curl = pytest.mark.skipif(
    shutil.which("curl") is None and "CI" not in os.environ, reason="no curl on this machine: apt-get install curl"
)


def command(name: str, text: str, folder: Path) -> list[str]:
    if name == "curl":
        return ["sh", "-c", text]
    file = folder / {"python": "run.py", "node": "run.js"}[name]
    file.write_text(text)
    # Playwright, which the browser tests need anyway, brings a Node.
    node = shutil.which("node") or str(Path(playwright.__file__).parent / "driver/node")
    return [sys.executable if name == "python" else node, str(file)]


@pytest.mark.parametrize("known", [True, False], ids=["key", "environment"])
@pytest.mark.parametrize("name", [pytest.param("curl", marks=needs_curl), "python", "node"])
def test_a_snippet_sends_the_run(
    app: Flask, alice: Caller, alice_key: str, tmp_path: Path, name: str, known: bool
) -> None:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        made = first_run_snippets(f"http://127.0.0.1:{server.server_port}", alice_key if known else None)
        text = next(each.text for each in made if each.name == name)
        done = subprocess.run(
            command(name, text, tmp_path),
            env=dict(os.environ) | {"COSTLENS_API_KEY": alice_key, "no_proxy": "*"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["success"] is True
    (run,) = alice.json("/runs")["runs"]
    assert (run["model"], run["promptId"], run["latency"]) == ("claude-sonnet-4.6", "first-run-v1", 1234)


def test_the_page_carries_the_snippets_for_copying(browser: FlaskClient, settings: Settings) -> None:
    page = browser.get("/app/acme/start").text
    copied = [unescape(text) for text in re.findall(r'data-copy="([^"]*)"', page)]
    for each in first_run_snippets(settings.base_url, None):
        assert each.text in copied
