"""From one button to a row: an App is created on the emulated GitHub, its repository is read, a webhook brings news.

In a real browser, with a whole server, on GitHub as npm `emulate` plays it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import func, select

from costlens.store import tables as t
from tests.e2e.browsers import ARTIFACTS, chromium, needs_chromium
from tests.e2e.github_crash import WHOLE
from tests.e2e.servers import Server, a_run, serving, wait_until
from tests.github.emulator import REPOSITORY, SECRET, Emulator, emulating

PULLS = 60
pytestmark = needs_chromium


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
    with chromium() as started:
        yield started


def looks_right(page: Page, name: str, engine: str) -> None:
    """No violation of axe, no sideways scroll, in both themes on both widths; once, as no engine changes a page."""
    if engine != "sqlite":
        return
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


def test_from_one_button_to_a_row_that_a_webhook_brought(
    server: Server, emulator: Emulator, browser: Browser, engine: str
) -> None:
    key = server.organization()
    link = server.run("sign-in-link", "alice@example.com").stdout.strip().splitlines()[-1].split()[-1]
    page = browser.new_page()
    page.goto(link)
    page.get_by_role("link", name="GitHub", exact=True).click()
    looks_right(page, "github-connect", engine)
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
    # The App may only read, as GitHub's list of its installations says: that is told before anything is tried.
    page.get_by_label("Comment on pull requests of Acme").check()
    page.get_by_role("group", name="In these repositories").get_by_label(REPOSITORY).check()
    page.get_by_role("button", name="Save comments").click()
    expect(page.get_by_text("GitHub does not let CostLens comment")).to_be_visible()
    looks_right(page, "github-connected", engine)

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

    # The page follows the job that deletes, without a reload.
    page.get_by_label("Type Acme to confirm").fill("Acme")
    page.get_by_role("button", name="Disconnect and delete").click()
    expect(page.get_by_role("button", name="Create the GitHub App")).to_be_visible(timeout=40_000)
    assert pulls_stored(server) == 0
    page.context.close()
