"""From one button to a row: an App is created on the emulated GitHub, its repository is read, a webhook brings news.

In a real browser, with a whole server, on GitHub as npm `emulate` plays it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import func, select

from costlens.store import tables as t
from tests.e2e.github_crash import WHOLE
from tests.e2e.servers import Server, a_run, serving, wait_until
from tests.github.emulator import REPOSITORY, SECRET, Emulator, emulating

PULLS = 60
ARTIFACTS = Path(__file__).parents[2] / "artifacts"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip
# In CI a missing browser is a failure, not a reason to be silent.
pytestmark = pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ, reason="no Chromium on this machine: apt-get install chromium"
)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulating(tmp_path_factory.mktemp("emulator")) as started:
        for _ in range(PULLS):
            started.open_pull()
        for number in range(1, PULLS, 3):
            started.api("PUT", f"/repos/{REPOSITORY}/pulls/{number}/merge", {})
        yield started


@pytest.fixture(scope="module")
def server(database: dict[str, str], emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    ours = {"GITHUB_URL": emulator.url, "GITHUB_API_URL": emulator.url, "COSTLENS_GITHUB_SOURCE": "rest"}
    with serving(tmp_path_factory.mktemp("connect") / "data", **ours, **WHOLE, **database) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


def looks_right(page: Page, name: str) -> None:
    """No violation of axe, no sideways scroll, in both themes on both widths."""
    ARTIFACTS.mkdir(exist_ok=True)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.screenshot(path=ARTIFACTS / f"{name}-{theme}-{width}.png", full_page=True)
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1440, "height": 900})


def pulls_stored(server: Server) -> int:
    with server.store() as store, store.read() as tx:
        return int(tx.scalar(select(func.count()).select_from(t.pull_requests)) or 0)


def test_from_one_button_to_a_row_that_a_webhook_brought(server: Server, emulator: Emulator, browser: Browser) -> None:
    key = server.organization()
    link = server.run("sign-in-link", "alice@example.com").stdout.strip().splitlines()[-1].split()[-1]
    page = browser.new_page()
    page.goto(link)
    page.get_by_role("link", name="GitHub", exact=True).click()
    looks_right(page, "github-connect")
    page.get_by_label("GitHub organization").fill("acme")
    page.get_by_role("button", name="Create the GitHub App").click()
    page.get_by_role("link", name="Create GitHub App").click()  # on GitHub
    page.get_by_role("link", name="Install").click()
    page.wait_for_url(f"{server.url}/app/acme/github")

    # The list of repositories comes by a job.
    def offered() -> bool:
        page.reload()
        return page.get_by_label(REPOSITORY, exact=True).count() > 0

    wait_until(offered, 30, lambda: server.log)
    page.get_by_label(REPOSITORY, exact=True).check()
    page.get_by_role("button", name="Read these").click()
    expect(page.get_by_text("up to date")).to_be_visible(timeout=40_000)  # without a reload
    assert pulls_stored(server) == emulator.opened
    looks_right(page, "github-connected")

    # The repository's webhook of the emulator, with the App's secret.
    address = page.locator("code", has_text="/webhooks/github/").inner_text()
    hook = {"config": {"url": address, "secret": SECRET, "content_type": "json"}, "events": ["*"], "active": True}
    emulator.api("POST", f"/repos/{REPOSITORY}/hooks", hook)
    number = emulator.opened + 1
    with server.client(key) as client:
        run = a_run(number, metadata={"repo": REPOSITORY, "prNumber": number})
        assert client.post("/integrations/run", json=run).status_code == 200
    assert emulator.open_pull() == number

    def on_screen() -> bool:
        page.goto(f"{server.url}/app/acme/pulls")
        return page.get_by_role("rowheader", name=f"Change number {number}").count() > 0

    wait_until(on_screen, 30, lambda: server.log)
    page.goto(f"{server.url}/app/acme/github")
    expect(page.get_by_text("events come in")).to_be_visible()
    page.context.close()
