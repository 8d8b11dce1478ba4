"""The documentation of the API in a real browser: the viewer works under the pages' own policy, and can be used.

It is served without a database, so no engine matters.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from werkzeug.serving import make_server

from costlens.config import load_settings
from costlens.factory import create_app
from tests.e2e.browsers import ARTIFACTS, chromium


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    app = create_app(load_settings({"COSTLENS_DATA": str(tmp_path_factory.mktemp("data"))}))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_viewer_lists_every_route(url: str, browser: Browser, scheme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{url}/docs")
    page.wait_for_selector(".opblock-summary-path")
    shown = page.locator(".opblock-summary-path").count()
    assert shown > 40
    page.locator(".opblock-summary-path", has_text="/integrations/run").first.click()
    page.wait_for_selector(".opblock-body >> text=Try it out")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    Path(ARTIFACTS).mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"docs-{scheme}-{width}.png")
    assert [text for text in said if "Content Security Policy" in text or "Refused" in text] == []
    assert {address.split("/")[2] for address in asked if not address.startswith("data:")} == {url.split("/")[2]}
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_our_parts_are_accessible(url: str, browser: Browser, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    for path in ("/docs", "/docs/errors"):
        page.goto(url + path)
        page.wait_for_load_state("networkidle")
        page.evaluate("document.getElementById('viewer')?.remove()")  # another project's part
        results = Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
    context.close()
