"""A pull request, a repository and a run in a real browser: access, steadiness, and links corrected without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from costlens.factory import create_app
from tests.e2e.browsers import ARTIFACTS, WATCH_SHIFTS, chromium, needs_chromium
from tests.e2e.people_server import Running, running
from tests.web.caller import Caller
from tests.web.worked import DATES, WEB, Worked, worked

pytestmark = needs_chromium
PULL = f"/app/acme/pulls/{WEB}/1"
REPOSITORY = f"/app/acme/repositories/{WEB}?{DATES}"


@dataclass(frozen=True, slots=True)
class Site:
    server: Running
    made: Worked


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(Path(tmp_path_factory.mktemp("data"))) as server:
        app = create_app(server.settings)
        made = worked(server.store, server.organization, Caller(app, server.api_key))
        app.extensions["costlens"].store.close()
        yield Site(server, made)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def visit(browser: Browser, site: Site, *, theme: str = "light", width: int = 1440, script: bool = True) -> Page:
    """alice's browser, signed in."""
    context = browser.new_context(
        color_scheme="dark" if theme == "dark" else "light",
        viewport={"width": width, "height": 900},
        java_script_enabled=script,
    )
    page = context.new_page()
    page.add_init_script(WATCH_SHIFTS)
    page.goto(site.server.link("alice@example.com"))
    return page


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390), ("dark", 1440), ("light", 390)])
def test_pages_are_accessible_and_steady(site: Site, browser: Browser, theme: str, width: int) -> None:
    page = visit(browser, site, theme=theme, width=width)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    ARTIFACTS.mkdir(exist_ok=True)
    for name, path in {
        "pull": PULL,
        "repository": f"{REPOSITORY}&open=1",
        "repository-unlinked": f"{REPOSITORY}&tab=unlinked",
        "run-links": f"/app/acme/runs/{site.made.ids['stray']}",
        "unlinked": f"/app/acme/unlinked?{DATES}",
    }.items():
        page.goto(site.server.url + path, wait_until="networkidle")
        assert page.evaluate("window.shift") == 0, (name, page.evaluate("window.shifted"))
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        page.screenshot(path=ARTIFACTS / f"{name}-{theme}-{width}.png", full_page=True)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    assert problems == []
    page.context.close()


def test_a_link_is_corrected_and_undone_without_scripts(site: Site, browser: Browser) -> None:
    page = visit(browser, site, script=False)
    page.goto(site.server.url + PULL)
    row = page.get_by_role("row").filter(has_text="11 Jan, 08:00")
    row.get_by_text("Move…").click()
    row.get_by_label("It belongs to pull request").fill("2")
    row.get_by_role("button", name="Move", exact=True).click()
    assert page.get_by_role("status").inner_text() == "Moved to #2"
    assert page.locator(".figure .value").first.inner_text() == "$3.75"
    page.goto(f"{site.server.url}/app/acme/pulls/{WEB}/2")
    row = page.get_by_role("row").filter(has_text="11 Jan, 08:00")
    assert "confirmed by alice@example.com" in row.inner_text()
    row.get_by_role("button", name="Undo").click()
    assert page.locator(".figure .value").first.inner_text() == "$3.00"
    page.goto(site.server.url + PULL)
    assert page.locator(".figure .value").first.inner_text() == "$4.50"
    page.context.close()
