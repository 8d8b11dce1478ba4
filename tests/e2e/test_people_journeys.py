"""Ways through the pages of people in a real browser: signing in, inviting, roles, removal, keys."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.databases import database_setting
from tests.e2e.browsers import chromium, needs_chromium
from tests.e2e.people_server import Running, running
from tests.e2e.servers import PLAIN, free_port, wait_until
from tests.peers import node, node_modules
from tests.web.github_peer import GithubPeer, github_peer
from tests.web.mail import MailServer, link_in, mail_server
from tests.web.people import add_member

PASSWORD = "correct horse battery"
pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def mails() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture(scope="module")
def github() -> Iterator[GithubPeer]:
    with github_peer() as peer:
        yield peer


@pytest.fixture(scope="module")
def with_passwords(
    database: dict[str, str], mails: MailServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A server that sends e-mails and takes passwords."""
    with running(tmp_path_factory.mktemp("data"), SMTP_URL=mails.url, **database) as server:
        yield server


@pytest.fixture
def own_database(engine: str) -> Iterator[dict[str, str]]:
    """The same for one test."""
    with database_setting(engine) as setting:
        yield setting


@pytest.fixture
def with_github(own_database: dict[str, str], github: GithubPeer, tmp_path: Path) -> Iterator[Running]:
    """A server where people sign in with GitHub, and nobody has yet."""
    github.forget()
    with running(tmp_path, **own_database, **github.environment) as server:
        yield server


@contextmanager
def somebody(browser: Browser, *, script: bool = True) -> Iterator[Page]:
    """A browser of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, java_script_enabled=script)
    try:
        yield context.new_page()
    finally:
        context.close()


def heading(page: Page) -> str:
    return page.locator("h1").inner_text()


def notice(page: Page) -> str:
    return page.locator(".notice").first.inner_text()


def test_with_github(browser: Browser, with_github: Running, github: GithubPeer) -> None:
    github.add("alice-gh", "alice@example.com")
    with somebody(browser) as page:
        page.goto(f"{with_github.url}/app/acme/settings/people")
        page.get_by_role("link", name="Continue with GitHub").click()
        page.get_by_role("link", name="Continue as alice-gh").click()
        page.wait_for_url("**/app/acme/settings/people")
        assert "@alice-gh" in page.locator("table").first.inner_text()
        page.get_by_role("button", name="Sign out").click()
        assert heading(page) == "Sign in"


def test_with_the_emulator(browser: Browser, own_database: dict[str, str], tmp_path: Path) -> None:
    """The same with software of others that plays GitHub."""
    github = f"http://127.0.0.1:{free_port()}"
    secrets = {"client_id": "Iv1.emulated", "client_secret": "not a real secret"}
    seed: dict[str, Any] = {
        "users": [{"login": "alice", "name": "Alice", "email": "alice@example.com"}],
        "oauth_apps": [secrets | {"name": "CostLens", "redirect_uris": []}],
    }
    environment = {
        "GITHUB_URL": github,
        "GITHUB_API_URL": github,
        "GITHUB_CLIENT_ID": secrets["client_id"],
        "GITHUB_CLIENT_SECRET": secrets["client_secret"],
    }
    with running(tmp_path / "data", **environment, **own_database) as server:
        seed["oauth_apps"][0]["redirect_uris"] = [f"{server.url}/sign-in/github/callback"]
        (tmp_path / "seed.json").write_text(json.dumps({"github": seed}))
        program = (node(), str(node_modules() / "emulate/dist/index.js"), "start", "--service", "github")
        where = ("--port", github.rpartition(":")[2], "--base-url", github, "--seed", str(tmp_path / "seed.json"))
        with subprocess.Popen((*program, *where), stdout=subprocess.DEVNULL) as emulator, somebody(browser) as page:
            try:
                wait_until(lambda: answers(github), 20)
                page.goto(f"{server.url}/sign-in")
                page.get_by_role("link", name="Continue with GitHub").click()
                page.get_by_role("button", name="alice").click()
                page.wait_for_url("**/app/acme/repositories")
                page.get_by_role("link", name="Settings").click()
                assert "@alice" in page.locator("table").first.inner_text()
            finally:
                emulator.kill()


def answers(url: str) -> bool:
    """Whether a server is there."""
    try:
        return httpx.get(f"{url}/rate_limit", **PLAIN).status_code < 500
    except httpx.TransportError:
        return False


def test_denied_forged_and_not_invited(browser: Browser, with_github: Running, github: GithubPeer) -> None:
    github.add("eve", "eve@example.com")
    with somebody(browser) as page:
        page.goto(f"{with_github.url}/sign-in")
        page.get_by_role("link", name="Continue with GitHub").click()
        page.get_by_role("link", name="Cancel").click()
        assert heading(page) == "You did not let CostLens in"
        page.get_by_role("link", name="Try again").click()
        page.get_by_role("link", name="Continue as eve").click()
        assert heading(page) == "You are not invited yet"
        assert "eve@example.com" in page.locator("main").inner_text()
    with somebody(browser) as attacker, somebody(browser) as victim:
        attacker.goto(f"{with_github.url}/sign-in/github")
        grant = attacker.get_by_role("link", name="Continue as eve").get_attribute("href")
        answer = httpx.get(f"{github.url}{grant}", **PLAIN)
        victim.goto(answer.headers["location"])
        assert heading(victim) == "This sign-in did not begin here"
        victim.goto(f"{with_github.url}/app/acme/runs")
        assert heading(victim) == "Sign in"


def test_an_invitation_is_accepted_with_github(browser: Browser, with_github: Running, github: GithubPeer) -> None:
    github.add("alice-gh", "alice@example.com")
    github.add("erin-gh", "erin@example.com")
    with somebody(browser) as alice:
        alice.goto(with_github.link("alice@example.com"))
        alice.goto(f"{with_github.url}/app/acme/settings/people")
        alice.get_by_label("E-mail addresses").fill("erin@example.com")
        alice.get_by_role("button", name="Invite").click()
        assert "1 invitation made: copy the links" in notice(alice)
        alice.get_by_label("Link of erin@example.com").click()
        link = alice.get_by_label("Only erin@example.com can accept").input_value()
    with somebody(browser) as stranger:
        stranger.goto(link)
        stranger.get_by_role("link", name="Continue with GitHub").click()
        stranger.get_by_role("link", name="Continue as alice-gh").click()
        assert heading(stranger) == "This invitation is for another account"
        stranger.get_by_role("button", name="Use another account").click()
        stranger.get_by_role("link", name="Continue with GitHub").click()
        stranger.get_by_role("link", name="Continue as erin-gh").click()
        stranger.wait_for_url("**/app/acme/repositories")
        stranger.get_by_role("link", name="Settings").click()
        assert "@erin-gh" in stranger.locator("table").first.inner_text()
        stranger.goto(link)
        assert heading(stranger) == "This invitation was accepted"


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_invited_by_email_promoted_and_removed(
    browser: Browser, with_passwords: Running, mails: MailServer, script: bool
) -> None:
    email = f"erin-{script}@example.com".lower()
    people = f"{with_passwords.url}/app/acme/settings/people"
    with somebody(browser, script=script) as alice, somebody(browser, script=script) as erin:
        alice.goto(with_passwords.link("alice@example.com"))
        alice.goto(people)
        alice.get_by_label("E-mail addresses").fill(email)
        alice.get_by_role("button", name="Invite").click()
        assert "1 invitation made" in notice(alice)

        erin.goto(with_passwords.url + link_in(mails.mails[-1]))
        erin.get_by_label("Your name").fill("Erin Example")
        erin.get_by_label("Password").fill(PASSWORD)
        erin.get_by_role("button", name="Create account and join").click()
        erin.wait_for_url("**/app/acme/repositories")
        erin.goto(people)
        tabs = erin.get_by_role("navigation", name="Settings")
        assert "Audit log" not in tabs.inner_text()

        alice.goto(people)
        row = alice.get_by_role("row", name="Erin Example")
        row.get_by_role("combobox").select_option("admin")
        row.get_by_role("button", name="Save").click()
        assert notice(alice) == f"{email} is admin now"
        erin.reload()
        tabs.get_by_role("link", name="Audit log").click()
        assert "member.role_changed" in erin.locator("table").inner_text()

        row = alice.get_by_role("row", name="Erin Example")
        row.locator("summary").click()
        row.get_by_role("button", name=f"Remove {email}").click()
        assert "was removed" in notice(alice)
        erin.reload()
        assert heading(erin) == "Nothing here"
        erin.goto(f"{with_passwords.url}/sign-in")
        erin.get_by_label("E-mail address").fill(email)
        erin.get_by_label("Password").fill("wrong")
        erin.get_by_role("button", name="Sign in").click()
        assert "do not match" in notice(erin)


def test_a_key_from_first_to_last(browser: Browser, with_passwords: Running) -> None:
    runs = f"{with_passwords.url}/runs"
    with somebody(browser) as page:
        page.goto(with_passwords.link("alice@example.com"))
        page.get_by_role("link", name="Settings").click()
        page.get_by_role("navigation", name="Settings").get_by_role("link", name="API keys").click()
        page.get_by_role("link", name="New key").click()
        page.get_by_label("Name").fill("laptop")
        page.get_by_role("button", name="Create key").click()
        key = page.get_by_role("region", name="API key").inner_text().strip()
        for label, command in (("Python", (sys.executable, "-c")), ("Node", (node(), "-e"))):
            page.get_by_text(label, exact=True).click()
            program = page.get_by_role("region", name=label, exact=True).inner_text()
            done = subprocess.run((*command, program), capture_output=True, text=True, timeout=30, check=False)
            assert '"success":true' in done.stdout.replace(" ", ""), done.stdout + done.stderr
        page.get_by_role("link", name="See the runs").click()
        assert "first-run-v1" in page.get_by_role("table", name="Runs, newest first").inner_text()

        page.goto(f"{with_passwords.url}/app/acme/settings/keys")
        with httpx.Client(headers={"Authorization": f"Bearer {key}"}, **PLAIN) as client:
            assert client.get(runs).status_code == 200
            page.get_by_label("Change laptop").click()
            page.get_by_role("button", name="Pause").click()
            assert client.get(runs).status_code == 401
            page.get_by_label("Change laptop").click()
            page.get_by_role("button", name="Resume").click()
            assert client.get(runs).status_code == 200
            page.get_by_label("Change laptop").click()
            page.get_by_role("button", name="Rotate").click()
            new = page.get_by_role("region", name="API key").inner_text().strip()
            assert client.get(runs).status_code == 200  # for a day
            headers = {"Authorization": f"Bearer {new}"}
            assert client.get(runs, headers=headers).status_code == 200
            page.goto(f"{with_passwords.url}/app/acme/settings/keys")
            page.get_by_role("row", name="a new key takes its place").locator("summary").click()
            page.get_by_role("button", name="Revoke laptop").last.click()
            assert client.get(runs).status_code == 401
            assert client.get(runs, headers=headers).status_code == 200


def test_signing_out_everywhere(browser: Browser, with_passwords: Running) -> None:
    add_member(with_passwords.store, with_passwords.organization, "frank@example.com", "member")
    with somebody(browser) as here, somebody(browser) as there:
        for page in (here, there):
            page.goto(with_passwords.link("frank@example.com"))
        here.goto(f"{with_passwords.url}/app/acme/settings/sign-in")
        assert here.get_by_role("row").count() == 3
        here.get_by_role("button", name="Sign out everywhere").click()
        assert heading(here) == "Sign in"
        there.reload()
        assert heading(there) == "Sign in"
