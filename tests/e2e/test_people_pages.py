"""The pages of people in a real browser, in both themes, wide and on a phone: access, width and steadiness.

How they look does not depend on the engine, so they are served from SQLite.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Response

from costlens.domain.calibration import Tally
from costlens.domain.names import identities_of
from costlens.services import passwords
from costlens.services.keys import create_key
from costlens.services.organizations import create_team
from costlens.services.sync import import_records
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.organizations import find_user
from costlens.store.rulesets import set_calibration
from tests.e2e.browsers import ARTIFACTS, WATCH_SHIFTS, chromium, needs_chromium
from tests.e2e.people_server import Running, running
from tests.e2e.servers import PLAIN, a_run
from tests.services.ledger import NOW, a_commit
from tests.web.people import add_member

SETTINGS = "/app/acme/settings"
PAGES = {
    "people": f"{SETTINGS}/people",
    "identities": f"{SETTINGS}/identities",
    "identity": f"{SETTINGS}/identities/1",
    "teams": f"{SETTINGS}/teams",
    "team": f"{SETTINGS}/teams/1",
    "keys": f"{SETTINGS}/keys",
    "new-key": f"{SETTINGS}/keys/new",
    "own-usage": f"{SETTINGS}/usage",
    "own-account": f"{SETTINGS}/sign-in",
    "linking": f"{SETTINGS}/linking",
    "organization": f"{SETTINGS}/organization",
    "audit-log": f"{SETTINGS}/audit",
    "invitation-wrong-account": "invitation",
    "runs": "/app/acme/runs",
    "prompts": "/app/acme/prompts",
    "prompt": "/app/acme/prompts/review",
    "models": "/app/acme/models",
    "prices": "/app/acme/models/prices",
    "price-preview": "/app/acme/models/prices/preview?provider=openai&model=house&input=3&output=12",
    "search": "/app/acme/search?q=review",
}
OUTSIDE = {
    "sign-in": "/sign-in",
    "sign-in-wrong": "/sign-in",
    "forgotten": "/sign-in/forgotten",
    "new-password": "reset",
    "no-reset": "/sign-in/new-password/x",
    "invitation": "invitation",
    "no-invitation": "/invitations/x",
}
pytestmark = needs_chromium


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Acme with people, teams, keys of every state, runs and an invitation."""
    with running(tmp_path_factory.mktemp("data"), SMTP_URL="smtp://127.0.0.1:9") as made:
        store, organization = made.store, made.organization
        for name, role in (("bob", "member"), ("dora", "admin"), ("somebody.with.a.rather.long.name", "member")):
            add_member(store, organization, f"{name}@example.com", role)
        for name in ("Payments", "Storefront"):
            create_team(store, organization.id, name)
        create_key(store, "Acme", "CI", team="Payments", purpose="production")
        create_key(store, "Acme", "bob's laptop", member="bob@example.com")
        for email in ("alice@example.com", "ali@home.example"):
            author = identities_of(login=email.partition("@")[0], email=email)
            commit = replace(a_commit(author[0].value, NOW), author=author, author_name="Alice Jones")
            import_records(store, organization.id, [commit], now=NOW)
        with httpx.Client(headers={"Authorization": f"Bearer {made.api_key}"}, **PLAIN) as client:
            for number in range(12):
                body = a_run(number, repo=f"acme/service-{number % 3}", promptId=f"review-v{number}")
                assert client.post(f"{made.url}/integrations/run", json=body).status_code == 200
        add_rules(store, organization.id)
        yield made


def add_rules(store: Store, organization_id: int) -> None:
    """A ruleset in force, a compared one that is not, and what the tests of the rules came to."""
    row = {"organization_id": organization_id, "threshold": 800, "created_by": "alice@example.com", "created_at": NOW}
    moves = [{"from": "suggested", "to": "counted", "runs": 812, "costNanos": 41_300_000_000},
             {"from": "counted", "to": "another target", "runs": 3, "costNanos": 9_120_000}]  # fmt: skip
    applied = {"version": 2, "applied_by": "alice@example.com", "applied_at": NOW, "stances": {"T1": "suggested"}}
    difference = [{"repository": "acme/service-1", "moves": moves}]
    draft = {"stances": {"B1": "suggested", "T2": "counted"}, "difference": difference, "compared_at": NOW}
    tallies = {"B1": Tally(5732, 4300), "C1": Tally(1157, 1075), "T1": Tally(434, 369), "T2": Tally(80, 79)}
    with store.write() as tx:
        tx.execute(t.link_rulesets.insert(), row | applied)
        tx.execute(t.link_rulesets.insert(), row | draft | {"runs_done": 12_034, "runs_total": 12_034})
        set_calibration(tx, organization_id, tallies, NOW)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def alice(browser: Browser, server: Running) -> Iterator[Page]:
    """alice's browser; there is one invitation, whose e-mail could not be sent."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.add_init_script(WATCH_SHIFTS)
    page.goto(server.link("alice@example.com"))
    page.goto(f"{server.url}{SETTINGS}/people")
    page.get_by_label("E-mail addresses").fill("erin@example.com, junk")
    page.get_by_role("button", name="Invite").click()
    assert "1 e-mail did not go out" in page.locator(".notice").inner_text()
    yield page
    context.close()


@pytest.fixture(scope="module")
def invitation(alice: Page, server: Running) -> str:
    alice.goto(f"{server.url}{SETTINGS}/people")
    return str(alice.locator("input.copied").get_attribute("value")).removeprefix(server.url)


def check(page: Page, name: str, problems: list[str], expected: tuple[str, ...] = ()) -> None:
    """Access, width and steadiness of the open page in both themes and widths, with what unfolds unfolded."""
    assert page.evaluate("window.shift") == 0, page.evaluate("window.shifted")
    ARTIFACTS.mkdir(exist_ok=True)
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            page.screenshot(path=ARTIFACTS / f"people-{name}-{theme}-{width}.png", full_page=True)
            page.evaluate("document.querySelectorAll('.confirm, .program').forEach(one => { one.open = true; })")
            found = Axe().run(page)
            assert found.violations_count == 0, (width, theme, found.generate_report())
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (width, theme)
            page.evaluate("document.querySelectorAll('.confirm').forEach(one => { one.open = false; })")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.emulate_media(color_scheme="light")
    assert [text for text in problems if not any(each in text for each in expected)] == []


@pytest.mark.parametrize("name", PAGES)
def test_page_of_alice(server: Running, alice: Page, invitation: str, name: str) -> None:
    problems: list[str] = []
    alice.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    path = invitation if PAGES[name] == "invitation" else PAGES[name]
    alice.goto(server.url + path, wait_until="networkidle")
    check(alice, name, problems, ("409",) if name == "invitation-wrong-account" else ())


def test_page_of_a_new_key(server: Running, alice: Page) -> None:
    alice.goto(f"{server.url}{SETTINGS}/keys/new")
    alice.get_by_label("Name").fill("laptop")
    alice.get_by_role("button", name="Create key").click()
    check(alice, "created-key", [])


def test_page_of_a_password_link(server: Running, alice: Page) -> None:
    alice.goto(f"{server.url}{SETTINGS}/people")
    row = alice.get_by_role("row", name="bob@example.com")
    row.locator("summary").click()
    row.get_by_role("button", name="Make a password link").click()
    check(alice, "password-link", [])


@pytest.mark.parametrize("name", OUTSIDE)
def test_page_of_a_stranger(server: Running, browser: Browser, invitation: str, name: str) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.add_init_script(WATCH_SHIFTS)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    path = OUTSIDE[name]
    if path == "reset":
        with server.store.read() as tx:
            bob = find_user(tx, "bob@example.com")
        assert bob is not None
        path = f"/sign-in/new-password/{passwords.reset_token(server.store, bob.id)}"
    page.goto(server.url + (invitation if path == "invitation" else path), wait_until="networkidle")
    if name == "sign-in-wrong":
        page.get_by_label("E-mail address").fill("alice@example.com")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
    check(page, name, problems, ("401", "404", "410"))
    context.close()


def test_pages_are_light(server: Running, browser: Browser, alice: Page) -> None:
    """The first load of a page without charts, compressed as a proxy would."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, storage_state=alice.context.storage_state())
    page = context.new_page()
    answers: list[Response] = []

    def note(answer: Response) -> None:
        answers.append(answer)

    page.on("response", note)
    page.goto(f"{server.url}{SETTINGS}/people", wait_until="networkidle")
    sizes = {answer.url: len(gzip.compress(answer.body(), 6)) for answer in answers}
    assert len(sizes) >= 3
    assert sum(sizes.values()) <= 40 * 1024
    context.close()
