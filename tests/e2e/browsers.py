"""A real Chromium for tests, and pages for it to look at."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

from tests.e2e.servers import wait_until

ARTIFACTS = Path(__file__).parents[2] / "artifacts"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WATCH_SHIFTS = """
window.shift = 0;
window.shifted = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    window.shift += entry.value;
    window.shifted.push(...entry.sources.map((source) => source.node?.outerHTML?.slice(0, 200)));
  }
}).observe({ type: "layout-shift", buffered: true });
"""
# In CI a missing browser is a failure, not a reason to be silent.
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ, reason="no Chromium on this machine: apt-get install chromium"
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """The address of an application that is served as long as the block runs."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def open_page(browser: Browser, url: str, *, theme: str = "light", width: int = 1440, script: bool = True) -> Page:
    """A page in a fresh context, after everything is loaded and painted."""
    context = browser.new_context(
        color_scheme="dark" if theme == "dark" else "light",
        viewport={"width": width, "height": 900},
        device_scale_factor=1 if width > 800 else 2,
        java_script_enabled=script,
    )
    page = context.new_page()
    page.add_init_script(WATCH_SHIFTS)
    page.goto(url, wait_until="load" if url == "about:blank" else "networkidle")
    return page


def until(page: Page, expression: str) -> None:
    """Until this JavaScript is true. Playwright's own waiting evaluates text in the page, which its policy forbids."""
    wait_until(lambda: page.evaluate(expression), 15, expression)


def weight_of(browser: Browser, url: str) -> dict[str, int]:
    """Bytes of each answer that a first load of this page takes, heads included, as they come over the wire."""
    ARTIFACTS.mkdir(exist_ok=True)
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    addresses: dict[str, str] = {}
    sizes: dict[str, int] = {}
    wire.on("Network.responseReceived", lambda event: addresses.update({event["requestId"]: event["response"]["url"]}))
    wire.on(
        "Network.loadingFinished",
        lambda event: sizes.update({addresses[event["requestId"]]: int(event["encodedDataLength"])}),
    )
    page.goto(url, wait_until="load")
    page.wait_for_timeout(300)
    page.context.close()
    return sizes
