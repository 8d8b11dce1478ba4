"""The frame around the pages in a real browser: keyboard, phone, print, tabs and waiting, with JavaScript and without.

Served from fixtures (tests/web/pages_app.py), so no database is behind them, and no engine matters.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browsers import chromium, needs_chromium, open_page, served, until
from tests.web.pages_app import pages_app

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with served(pages_app()) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def focused(page: Page) -> str:
    text: str = page.evaluate("document.activeElement.innerText?.trim() || document.activeElement.id")
    return text


def test_the_keyboard_goes_from_skip_link_to_content_and_along_the_navigation(base: str, browser: Browser) -> None:
    page = open_page(browser, base + "/app/acme/runs")
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to content"
    assert page.get_by_text("Skip to content").bounding_box()["y"] >= 0  # type: ignore[index]
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused(page) == "Copy link"
    page.reload()
    order = []
    roi, usage = ["Overview", "Repositories", "Teams", "Pull requests", "Reports"], ["Runs", "Prompts", "Models"]
    for _ in range(14):
        page.keyboard.press("Tab")
        order.append(focused(page))
    assert order == ["Skip to content", "CostLens", "search", *roi, *usage, "GitHub", "Settings", "Theme: system"]
    page.context.close()


def test_a_question_mark_shows_the_keys_that_this_page_has(base: str, browser: Browser) -> None:
    page = open_page(browser, base + "/app/acme/runs")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_text("Search", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.goto(base + "/app/new/start")
    page.get_by_role("button", name="Keyboard").click()
    expect(dialog).to_be_visible()
    expect(dialog.get_by_text("Search", exact=True)).to_be_hidden()
    page.context.close()


def test_a_key_typed_into_a_field_is_text(base: str, browser: Browser) -> None:
    page = open_page(browser, base + "/app/acme/runs")
    page.keyboard.press("/")
    page.keyboard.type("a/b?")
    assert page.get_by_label("Search").input_value() == "a/b?"
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.context.close()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
@pytest.mark.parametrize("width", [1440, 390])
def test_another_organization_is_two_steps_away(base: str, browser: Browser, width: int, script: bool) -> None:
    page = open_page(browser, base + "/app/acme/repositories", width=width, script=script)
    if width < 800:
        expect(page.get_by_role("link", name="Pull requests")).to_be_hidden()
        page.locator("label[for=menu]").click()
        expect(page.get_by_role("link", name="Pull requests")).to_be_visible()
    page.get_by_text("Acme", exact=True).click()
    link = page.get_by_role("link", name="Umbrella")
    expect(link).to_be_visible()
    assert link.get_attribute("href") == "/app/umbrella/repositories"
    assert page.evaluate("document.documentElement.scrollWidth") <= width if script else True
    page.context.close()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_each_language_has_its_tab(base: str, browser: Browser, script: bool) -> None:
    page = open_page(browser, base + "/app/new/start", script=script)
    for chosen, text in (("Python", "urllib.request"), ("Node", "fetch("), ("curl", "curl -X POST")):
        page.get_by_role("radio", name=chosen).check(force=True)
        shown = [panel for panel in page.locator(".tabs .panel").all() if panel.is_visible()]
        assert len(shown) == 1
        assert text in shown[0].inner_text()
    waiting, again = page.get_by_text("Waiting for the first run"), page.get_by_role("link", name="Look again")
    expect(waiting if script else again).to_be_visible()
    expect(again if script else waiting).to_be_hidden()
    page.context.close()


def test_dates_are_chosen_with_their_own_button(base: str, browser: Browser) -> None:
    page = open_page(browser, base + "/app/acme/repositories")
    expect(page.get_by_label("From")).to_be_hidden()
    page.get_by_text("Dates", exact=True).click()
    page.get_by_label("From").fill("2026-11-02")
    page.get_by_label("To", exact=True).fill("2026-11-08")
    assert page.url == base + "/app/acme/repositories"
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/repositories?from=2026-11-02&to=2026-11-08")
    expect(page.get_by_label("From")).to_have_value("2026-11-02")
    page.get_by_label("Repository", exact=True).select_option("checkout-api")
    page.wait_for_url("**/repositories?from=2026-11-02&to=2026-11-08&repository=2")
    page.get_by_text("7 days", exact=True).click()
    page.wait_for_url("**/repositories?period=7d&repository=2")
    page.get_by_role("link", name="Remove the filter Repository").click()
    page.wait_for_url("**/repositories?period=7d")
    page.context.close()


def test_filters_work_without_javascript(base: str, browser: Browser) -> None:
    page = open_page(browser, base + "/app/acme/teams", script=False)
    page.get_by_text("Dates", exact=True).click()
    page.get_by_label("From").fill("2026-11-08")
    page.get_by_label("To", exact=True).fill("2026-11-02")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("alert")).to_contain_text("from must not be after to")
    page.get_by_role("link", name="Show without it").click()
    page.wait_for_url("**/teams")
    page.get_by_label("Team").select_option("Payments")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/teams?team=2")
    page.get_by_role("link", name="Clear all").click()
    page.wait_for_url("**/teams")
    page.context.close()


def test_on_paper_there_is_the_content_in_light_colours(base: str, browser: Browser) -> None:
    page = open_page(browser, base + "/app/acme/repositories", theme="dark")
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.reload()
    page.emulate_media(media="print", color_scheme="dark")
    for part in (".side", ".filters", ".actions"):
        expect(page.locator(part)).to_be_hidden()
    expect(page.get_by_role("rowheader", name="checkout-api")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(27, 29, 31)"
    page.context.close()


def test_the_chosen_theme_is_there_from_the_first_paint(base: str, browser: Browser) -> None:
    page = open_page(browser, base + "/app/acme/runs", theme="light")
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.add_init_script(
        """new PerformanceObserver((list) => {
             for (const entry of list.getEntries())
               if (entry.name === "first-paint") window.painted = document.documentElement.dataset.theme;
           }).observe({ type: "paint", buffered: true });"""
    )
    page.reload()
    until(page, "window.painted !== undefined")
    assert page.evaluate("window.painted") == "dark"
    page.context.close()


def test_without_javascript_the_theme_is_the_systems(base: str, browser: Browser) -> None:
    page = open_page(browser, base + "/app/acme/runs", theme="dark", script=False)
    expect(page.get_by_role("button", name="Theme")).to_be_hidden()
    page.context.close()
