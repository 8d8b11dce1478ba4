"""The ROI pages and the lists behind them in a real browser: look, access, weight and steadiness.

They are served from fixtures (tests/web/pages_app.py), so no database is behind them, and no engine matters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.e2e.browsers import ARTIFACTS, chromium, needs_chromium, open_page, served, until, weight_of
from tests.web.pages_app import pages_app

PAGES = {
    "roi-by-repository": "/app/acme/repositories",
    "roi-by-team": "/app/acme/teams",
    "roi-warnings": "/app/poor/repositories",
    "roi-one-team": "/app/acme/teams?team=2&from=2026-11-01&to=2026-11-14&sort=merged",
    "runs": "/app/acme/runs",
    "runs-empty": "/app/new/runs",
    "run": "/app/acme/runs/run_01kak3x7v9",
    "pulls": "/app/acme/pulls",
    "pulls-empty": "/app/new/pulls",
    "sign-in": "/sign-in",
    "sign-in-expired": "/sign-in/expired",
    "not-found": "/app/nobody/repositories",
    "first-steps": "/app/new/start",
    "first-steps-done": "/app/acme/start",
    "no-run-matches": "/app/acme/nothing",
    "filter-problem": "/app/acme/repositories?period=forever&team=2",
    "error": "/app/acme/errors/403",
    "demo": "/app/acme/demo",
    "demo-loading": "/app/poor/demo",
    "demo-failed": "/app/new/demo",
    "styleguide": "/styleguide",
    "report": "/app/acme/reports/2",
}
pytestmark = needs_chromium


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with served(pages_app()) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_page_is_accessible_and_steady(base: str, browser: Browser, name: str, theme: str, width: int) -> None:
    page = open_page(browser, "about:blank", theme=theme, width=width)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(base + PAGES[name], wait_until="networkidle")
    assert page.evaluate("window.shift") == 0, page.evaluate("window.shifted")
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}-{theme}-{width}.png", full_page=True)

    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # The browser itself reports the status.
    expected = {"not-found": ["404"], "filter-problem": ["400"], "error": ["403"]}.get(name, [])
    assert [text for text in problems if not any(each in text for each in expected)] == []
    page.context.close()


def test_policy_would_report_an_inline_style(base: str, browser: Browser) -> None:
    """The check for console errors above can fail: the policy really blocks what is inline."""
    page = open_page(browser, base + PAGES["roi-by-repository"])
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<i style=\"color: red\">x</i>')")
    page.wait_for_timeout(100)
    assert any("Content Security Policy" in text for text in problems)
    page.context.close()


def test_chart_is_drawn_in_the_colours_of_the_theme(base: str, browser: Browser) -> None:
    drawn = """() => {
      const chart = Chart.getChart(document.querySelector("canvas"));
      return chart.data.datasets.map((set, at) => {
        const bars = chart.getDatasetMeta(at).data;
        return [set.name, bars.length, bars[0].options.backgroundColor];
      });
    }"""
    light = open_page(browser, base + PAGES["roi-by-repository"])
    before = light.evaluate(drawn)
    assert [(name, bars) for name, bars, _ in before] == [
        ("merged", 28),
        ("open", 28),
        ("abandoned", 28),
        ("not_linked", 28),
        ("previous", 28),
    ]
    light.emulate_media(color_scheme="dark")
    legend = light.locator("[data-series=merged]").evaluate("key => getComputedStyle(key).backgroundColor")
    until(light, f"({drawn})()[0][2] === '{legend}'")
    after = light.evaluate(drawn)
    assert all(first[2] != second[2] for first, second in zip(before, after, strict=True))
    light.context.close()


@pytest.mark.parametrize(
    ("name", "limit"), [("roi-by-repository", 130), ("runs", 40), ("first-steps", 40), ("demo-loading", 40)]
)
def test_first_load_weighs_little(base: str, browser: Browser, name: str, limit: int) -> None:
    """In kilobytes as they are sent."""
    sizes = weight_of(browser, base + PAGES[name])
    weight = sum(sizes.values())
    lines = [*(f"{size:7} {url}" for url, size in sizes.items()), f"{weight:7} sum"]
    (ARTIFACTS / f"weight-{name}.txt").write_text("\n".join(lines) + "\n")
    assert len(sizes) >= 4
    assert weight <= limit * 1024


def test_filter_submits_on_change_and_keeps_the_url_short(base: str, browser: Browser) -> None:
    page = open_page(browser, base + PAGES["roi-by-repository"])
    page.get_by_text("7 days", exact=True).click()
    page.wait_for_url("**/repositories?period=7d")
    page.get_by_label("Team").select_option("Payments")
    page.wait_for_url("**/repositories?period=7d&team=2")
    page.get_by_text("28 days", exact=True).first.click()
    page.wait_for_url("**/repositories?team=2")
    page.context.close()


def test_page_works_without_javascript(base: str, browser: Browser) -> None:
    page = open_page(browser, base + PAGES["roi-by-repository"], script=False)
    page.get_by_label("Provider").select_option("openai")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/repositories?provider=openai")
    assert not page.get_by_role("button", name="Copy link").is_visible()
    page.get_by_text("Figures of the chart").click()
    assert page.get_by_role("rowheader", name="27 Oct").is_visible()
    page.get_by_role("link", name="Linked").click()
    page.wait_for_url("**/repositories?provider=openai&sort=linked")
    assert page.locator("th[aria-sort=descending]").inner_text() == "Linked"
    page.context.close()


def test_theme_switch_outlives_the_page(base: str, browser: Browser) -> None:
    page = open_page(browser, base + PAGES["runs"])
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("button", name="Theme: light").click()
    assert page.evaluate(background) != light
    page.reload()
    assert page.get_by_role("button", name="Theme: dark").is_visible()
    assert page.evaluate(background) != light
    page.context.close()


def test_slash_focuses_the_search(base: str, browser: Browser) -> None:
    page = open_page(browser, base + PAGES["runs"])
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.context.close()


def test_a_report_fits_two_sheets_of_paper(base: str, browser: Browser) -> None:
    """One with long names and every table full; the file is kept beside the pictures."""
    page = open_page(browser, base + PAGES["report"])
    ARTIFACTS.mkdir(exist_ok=True)
    sheets = page.pdf(path=ARTIFACTS / "report.pdf", prefer_css_page_size=True)
    assert re.findall(rb"/MediaBox \[0 0 (\d+)[.\d]* (\d+)", sheets)[0] == (b"594", b"841")  # A4
    assert len(re.findall(rb"/Type\s*/Page\b", sheets)) == 2
    page.context.close()
