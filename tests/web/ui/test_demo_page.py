"""The demo organization on screen, with a real queue: asked for, waited for, removed; owners only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from rq import Queue
from rq.job import Job, JobStatus

from costlens.config import Settings
from costlens.demo import generate
from costlens.factory import create_app
from costlens.services import demo
from costlens.services.organizations import sign_in_link
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.e2e.servers import queue_at
from tests.web.caller import Caller


@pytest.fixture(scope="module")
def queue_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with queue_at(tmp_path_factory.mktemp("q")) as address:
        yield address


@pytest.fixture
def jobs(queue_url: str) -> Iterator[Queue]:
    """The queue, empty."""
    with Redis.from_url(queue_url) as connection:
        connection.flushall()
        yield Queue("default", connection=connection)


@pytest.fixture
def served(settings: Settings, store: Store, queue_url: str) -> Iterator[Flask]:
    app = create_app(replace(settings, redis_url=queue_url))
    yield app
    app.extensions["costlens"].store.close()


@pytest.fixture
def browser(served: Flask, store: Store, acme: Organization, jobs: Queue) -> FlaskClient:
    """alice, signed in."""
    client = served.test_client()
    client.get(f"/sign-in/{sign_in_link(store, 'alice@example.com')}")
    return client


def load(store: Store) -> Organization:
    made = generate(date(2026, 11, 20), days=1)
    return demo.load(
        store,
        replace(made, batches=made.batches[:1], snapshot=[]),
        owner="alice@example.com",
        plan="self-hosted",
        link=lambda *_: None,
        progress=lambda *_: None,
    )


def begun(jobs: Queue) -> list[tuple[str, tuple[object, ...]]]:
    return [(job.func_name, tuple(job.args)) for job in jobs.jobs]


def test_loading_is_asked_for_once_and_waited_for(browser: FlaskClient, jobs: Queue) -> None:
    assert "Load the demo organization" in browser.get("/app/acme/demo").text
    for _ in range(2):
        response = browser.post("/app/acme/demo")
        assert (response.status_code, response.location) == (303, "/app/acme/demo")
    ((name, arguments),) = begun(jobs)
    assert name == "workers.demo.load"
    assert arguments[1:] == (91,)
    page = browser.get("/app/acme/demo").text
    assert "Loading the demo organization" in page
    assert "No worker is running" in page
    assert 'hx-get="/app/acme/demo/progress"' in page


def test_how_much_can_be_chosen(browser: FlaskClient, jobs: Queue) -> None:
    assert browser.post("/app/acme/demo", data={"days": "15"}).status_code == 400
    assert begun(jobs) == []
    browser.post("/app/acme/demo", data={"days": "14"})
    ((_, arguments),) = begun(jobs)
    assert arguments[1:] == (14,)


def test_progress_is_shown_and_its_end_loads_the_page_anew(browser: FlaskClient, jobs: Queue) -> None:
    browser.post("/app/acme/demo")
    (job,) = jobs.jobs
    job.set_status(JobStatus.STARTED)
    job.meta.update(what="Runs", done=1_000, total=56_355)
    job.save_meta()
    part = browser.get("/app/acme/demo/progress")
    assert "Runs: 1,000 of 56,355" in part.text
    assert 'value="1000"' in part.text
    assert "<html" not in part.text
    assert "HX-Refresh" not in part.headers
    job.delete()
    assert browser.get("/app/acme/demo/progress").headers["HX-Refresh"] == "true"


def test_a_failure_is_told_and_loading_can_be_asked_for_again(browser: FlaskClient, jobs: Queue) -> None:
    browser.post("/app/acme/demo")
    (job,) = jobs.jobs
    job.set_status(JobStatus.FAILED)
    page = browser.get("/app/acme/demo").text
    assert "could not be loaded" in page
    assert 'method="post"' in page
    assert browser.post("/app/acme/demo").status_code == 303
    assert Job.fetch(job.id, connection=jobs.connection).get_status() is JobStatus.QUEUED


def test_removal_wants_a_tick_and_leads_to_another_organization(
    browser: FlaskClient, jobs: Queue, store: Store
) -> None:
    made = load(store)
    page = browser.get(f"/app/{made.slug}/demo").text
    assert "Demo data" in page
    assert f"Delete everything in {made.name}" in page
    response = browser.post(f"/app/{made.slug}/demo/removal")
    assert response.status_code == 400
    assert "Tick that everything in the demo organization is deleted" in response.text
    assert begun(jobs) == []
    response = browser.post(f"/app/{made.slug}/demo/removal", data={"confirm": "yes"})
    assert (response.status_code, response.location) == (303, "/app/acme/demo")
    assert begun(jobs) == [("workers.demo.remove", (made.id,))]
    assert "Removing the demo organization" in browser.get("/app/acme/demo").text


def test_from_ones_own_organization_only_the_demo_is_removed(browser: FlaskClient, jobs: Queue, store: Store) -> None:
    assert browser.post("/app/acme/demo/removal", data={"confirm": "yes"}).status_code == 404
    made = load(store)
    assert browser.post("/app/acme/demo/removal", data={"confirm": "yes"}).location == "/app/acme/demo"
    assert begun(jobs) == [("workers.demo.remove", (made.id,))]


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/progress"), ("POST", ""), ("POST", "/removal")])
def test_only_owners(
    served: Flask, store: Store, jobs: Queue, acme: Organization, bob_key: str, method: str, path: str
) -> None:
    bob = served.test_client()
    bob.get(f"/sign-in/{sign_in_link(store, 'bob@example.com')}")
    response = bob.open(f"/app/acme/demo{path}", method=method, data={"confirm": "yes"})
    assert response.status_code == 403
    assert "Only an owner" in response.text
    assert 'aria-label="Main"' in response.text  # the error stands in the frame of the organization
    assert begun(jobs) == []


def test_another_sites_form_begins_nothing(browser: FlaskClient, jobs: Queue) -> None:
    response = browser.post("/app/acme/demo", headers={"Origin": "https://evil.example"})
    assert response.status_code == 403
    assert begun(jobs) == []


def test_without_a_queue_the_page_says_so(app: Flask, store: Store, acme: Organization, alice: Caller) -> None:
    client = app.test_client()
    client.get(f"/sign-in/{sign_in_link(store, 'alice@example.com')}")
    assert "The queue does not answer" in client.get("/app/acme/demo").text
    response = client.post("/app/acme/demo")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "Try again in 5 seconds" in response.text
