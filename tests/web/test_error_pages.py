"""Errors on the pages: in the look of the application, with the request's id; the API's stay JSON."""

from __future__ import annotations

import logging
import re

import pytest
from flask.testing import FlaskClient

from costlens.config import Settings
from costlens.services.organizations import sign_in_link
from costlens.services.set_up import set_up_token
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.web.caller import error_of
from tests.web.pages_app import pages_app

HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize("status", [400, 403, 404, 410, 413, 429, 500, 503])
def test_an_error_page_says_what_happened_what_next_and_the_requests_id(
    caplog: pytest.LogCaptureFixture, status: int
) -> None:
    with caplog.at_level(logging.CRITICAL):
        response = pages_app().test_client().get(f"/app/acme/errors/{status}")
    assert response.status_code == status
    assert response.mimetype == "text/html"
    assert re.search(rf'<p class="muted">{status}</p>\s*<h1>[^<]+</h1>', response.text)
    assert re.search(r"Request <code>req_[0-9a-f]{16}</code>", response.text)
    assert "Back to the start" in response.text
    assert 'aria-label="Main"' in response.text
    assert "RuntimeError" not in response.text
    assert ("Try again in" in response.text) is (status in (429, 503))
    assert ("Retry-After" in response.headers) is (status in (429, 503))


def test_the_id_on_the_page_is_that_of_the_header_and_the_log(client: FlaskClient) -> None:
    response = client.get("/set-up/wrong")
    assert f"<code>{response.headers['X-Request-Id']}</code>" in response.text


def test_an_error_outside_any_organization_shows_none(client: FlaskClient, store: Store, acme: Organization) -> None:
    client.get(f"/sign-in/{sign_in_link(store, 'alice@example.com')}")
    inside = client.get("/app/acme/runs/run_nothing")
    outside = client.get("/app/nobody/runs")
    assert inside.status_code == outside.status_code == 404
    assert 'aria-label="Main"' in inside.text
    assert 'aria-label="Main"' not in outside.text


def test_a_person_who_is_lost_gets_a_page_and_a_program_json(client: FlaskClient) -> None:
    assert client.get("/dashboard", headers=HTML).mimetype == "text/html"
    error_of(client.get("/dashboard"), 404, "not_found")
    error_of(client.get("/dashboard", headers={"Accept": "*/*"}), 404, "not_found")
    error_of(client.get("/api/nothing", headers=HTML), 404, "not_found")
    error_of(client.get("/runs", headers=HTML), 401, "unauthorized")


def test_an_id_that_no_database_holds(client: FlaskClient, store: Store, acme: Organization) -> None:
    client.get(f"/sign-in/{sign_in_link(store, 'alice@example.com')}")
    for path in ("reports/{}", "settings/identities/{}", "settings/teams/{}", "models/prices/{}/remove"):
        assert client.get(f"/app/acme/{path.format('9' * 20)}").status_code == 404


def test_a_form_that_is_too_large(client: FlaskClient, settings: Settings) -> None:
    client.application.config["MAX_CONTENT_LENGTH"] = 1_000
    response = client.post(f"/set-up/{set_up_token(settings)}", data={"organization": "a" * 2_000})
    assert response.status_code == 413
    assert "larger than the limit of 1000 bytes" in response.text


def test_a_method_that_a_page_does_not_take(client: FlaskClient) -> None:
    response = client.get("/sign-out")
    assert response.status_code == 405
    assert response.mimetype == "text/html"
    assert "POST" in response.headers["Allow"]
