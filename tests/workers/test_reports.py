"""The jobs of kept reports, run by a real worker: the rounds that are due, the weekly e-mail, one made on demand."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from flask import Flask

from costlens.config import Settings
from costlens.domain.access import Member
from costlens.factory import create_app
from costlens.queue import JobQueue
from costlens.services.keys import create_key
from costlens.services.organizations import create_team
from costlens.services.report_rounds import windows
from costlens.services.team_reports import heads, load
from costlens.services.weekly_mail import set_subscription
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from costlens.web.shapes.reports import AskedReport
from tests.e2e.servers import ROOT, queue_at
from tests.web.caller import Caller, error_of
from tests.web.mail import mail_server


def work(settings: Settings, url: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A worker does what the queue holds, then ends."""
    environment = {
        "COSTLENS_DATA": str(settings.data),
        "DATABASE_URL": settings.database_url,
        "PYTHONPATH": str(ROOT),
        "PATH": os.environ["PATH"],
    }
    command = (str(Path(sys.executable).parent / "rq"), "worker", "--burst", "--url", url, "default")
    done = subprocess.run(
        command, env=environment | more, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_a_worker_makes_and_sends_them(
    app: Flask, settings: Settings, store: Store, acme: Organization, tmp_path: Path
) -> None:
    team = create_team(store, acme.id, "Storefront")
    set_subscription(store, Member(acme.id, 1, 1, "alice@example.com", "owner"), team, True)
    week = windows("UTC", datetime.now(UTC))["week"]
    at = datetime(week.start.year, week.start.month, week.start.day, 12, tzinfo=UTC) + timedelta(days=1)
    caller = Caller(app, create_key(store, "Acme", "shared", team="Storefront"))
    run = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1000, "outputTokens": 100}
    assert caller.post("/integrations/run", run | {"timestamp": at.isoformat()}).status_code == 200
    with queue_at(tmp_path) as url, mail_server() as server:
        queue = JobQueue(url)
        assert queue.run_once("workers.reports.sweep", 1, seconds=60, ttl=60)
        days = week.start.isoformat(), week.end.isoformat()
        assert queue.begin("workers.reports.make", acme.id, "team", team, *days, "UTC", job_id="report-1", seconds=60)
        done = work(settings, url, SMTP_URL=server.url)
        assert queue.state("report-1") is None, done.stderr  # done
        made = [(head.kind, head.subject.name) for head in heads(store, acme.id, limit=50)]
        made = [one for one in made if one[0] != "month"]  # that week may be of the last month
        assert sorted(made) == [
            ("asked", "Storefront"), ("day", "Acme"), ("day", "Storefront"), ("week", "Acme"), ("week", "Storefront"),
        ], done.stderr  # fmt: skip
        assert [(mail["To"], mail["Subject"].endswith(" AI cost, 0 merged PRs")) for mail in server.mails] == [
            ("alice@example.com", True)
        ]
    asked = next(head for head in heads(store, acme.id, kind="asked", limit=1))
    assert load(store, acme.id, asked.id).reproduced


JANUARY = {"startDate": "2026-01-01", "endDate": "2026-01-31"}


def test_a_report_that_the_api_asks_for(
    settings: Settings, store: Store, acme: Organization, alice_key: str, charlie_key: str, tmp_path: Path
) -> None:
    create_team(store, acme.id, "Storefront")
    with queue_at(tmp_path) as url:
        app = create_app(replace(settings, redis_url=url))
        alice, charlie = Caller(app, alice_key), Caller(app, charlie_key)
        run = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1000, "timestamp": "2026-01-10T12:00:00Z"}
        assert alice.post("/integrations/run", run).status_code == 200

        first, second = (alice.post("/roi/reports", JANUARY) for _ in range(2))
        assert (first.status_code, second.status_code) == (202, 202)
        assert first.json == second.json
        msgspec.convert(first.json, AskedReport)
        assert (first.json["status"], first.json["version"], first.json["report"]) == ("waiting", 1, None)
        listed = first.headers["Location"]
        assert listed == first.json["url"]
        assert alice.json(listed)["reports"] == []
        work(settings, url)
        (made,) = alice.json(listed)["reports"]  # one job, whoever asked how often
        assert (made["kind"], made["startDate"], made["version"]) == ("asked", "2026-01-01", 1)
        found = alice.post("/roi/reports", JANUARY)
        assert (found.status_code, found.json["status"], found.json["report"]) == (200, "made", made)
        assert alice.json(found.headers["Location"])["figures"]["total"]["runs"] == 1
        assert alice.json(listed.replace("2026-01-31", "2026-01-30"))["reports"] == []

        again = alice.post("/roi/reports", JANUARY | {"again": True})
        assert (again.status_code, again.json["version"]) == (202, 2)
        busy = alice.post("/roi/reports", JANUARY | {"team": "storefront"})
        error_of(busy, 503, "unavailable")
        assert int(busy.headers["Retry-After"]) > 0
        assert alice.post("/roi/reports", JANUARY).json["version"] == 2, "the one under way"
        work(settings, url)
        of_team = alice.post("/roi/reports", JANUARY | {"team": "storefront"})
        assert (of_team.status_code, of_team.json["name"]) == (202, "Storefront")
        work(settings, url)
        assert [one["version"] for one in alice.json(listed)["reports"]] == [2, 1]
        assert [one["name"] for one in alice.json(of_team.json["url"])["reports"]] == ["Storefront"]

        assert charlie.json("/roi/reports")["reports"] == []
        error_of(charlie.post("/roi/reports", JANUARY | {"team": "Storefront"}), 404, "not_found")
        for body, field in (
            ({"team": "Storefront", "repo": "acme/web"}, "repo"),
            ({"endDate": "2026-01-31"}, "startDate"),
            ({"period": "1d"}, "period"),
            ({"repo": "web"}, "repo"),
        ):
            assert error_of(alice.post("/roi/reports", body), 400, "invalid_input")["field"] == field
        error_of(alice.post("/roi/reports", JANUARY | {"repo": "acme/other"}), 404, "not_found")
        error_of(alice.get("/roi/reports?startDate=2026-01-01"), 400, "invalid_input")
        reader = Caller(app, create_key(store, "Acme", "reads", scopes="read"))
        error_of(reader.post("/roi/reports", JANUARY), 403, "forbidden")
        app.extensions["costlens"].store.close()
