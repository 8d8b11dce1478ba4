"""From an empty server to the first run on screen, in a real browser against a real `costlens up`; then the demo."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.e2e.browsers import chromium, needs_chromium, open_page
from tests.e2e.servers import PLAIN, Server, a_run, serving

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def server(database: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("owner") / "data", **database) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def test_first_owner_organization_key_first_run_demo(server: Server, browser: Browser) -> None:
    found = re.search(r"http://\S+/set-up/\S+", server.log)
    assert found is not None, server.log
    page = open_page(browser, found[0])
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.get_by_label("Organization").fill("Umbrella")
    page.get_by_label("Your e-mail address").fill("alice@example.com")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="Get started")).to_be_visible()
    expect(page.get_by_text("2 of 5 done")).to_be_visible()
    expect(page.get_by_text("Waiting for the first run…")).to_be_visible()
    snippet = page.get_by_role("region", name="curl").inner_text()
    key = re.search(r"cl_[0-9a-f]{64}", snippet)
    assert key is not None
    assert f"{server.url}/integrations/run" in snippet

    page.evaluate("window.sameDocument = true")
    with server.client(key[0]) as client:
        assert client.post("/integrations/run", json=a_run(promptId="first-run-v1")).status_code == 200
    expect(page.get_by_role("link", name="See what it cost")).to_be_visible(timeout=15_000)
    expect(page.get_by_text("3 of 5 done")).to_be_visible()
    expect(page.get_by_text("Waiting for the first run…")).to_have_count(0)
    assert page.evaluate("window.sameDocument") is True
    assert page.evaluate("window.shift") == 0, page.evaluate("window.shifted")
    assert Axe().run(page).violations_count == 0
    page.get_by_role("link", name="See what it cost").click()
    page.wait_for_url("**/app/umbrella/repositories")
    expect(page.get_by_role("link", name="Get started")).to_have_count(0)

    page.goto(f"{server.url}/app/umbrella/demo")
    page.get_by_label("How much").select_option("14")
    page.get_by_role("button", name="Load the demo organization").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^\s*Runs: [\d,]+ of [\d,]+"))).to_be_visible(timeout=120_000)
    page.get_by_role("link", name="Open it").click(timeout=240_000)
    page.wait_for_url("**/app/acme/repositories")
    expect(page.get_by_text("Demo data")).to_be_visible()
    expect(page.get_by_role("rowheader", name="checkout-api")).to_be_visible()

    page.get_by_role("link", name="remove").click()
    page.get_by_label("Delete everything in Acme").check()
    page.get_by_role("button", name="Remove the demo organization").click()
    expect(page.get_by_role("button", name="Load the demo organization")).to_be_visible(timeout=120_000)
    assert page.url == f"{server.url}/app/umbrella/demo"
    assert problems == []
    page.context.close()
    assert server.run("db", "check").returncode == 0
    with httpx.Client(**PLAIN) as client:
        assert client.get(found[0]).status_code == 404  # an owner exists: the link opens nothing more
