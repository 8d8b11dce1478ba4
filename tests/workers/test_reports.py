"""The jobs of kept reports, run by a real worker: the rounds that are due, the weekly e-mail, one made on demand."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flask import Flask

from costlens.config import Settings
from costlens.domain.access import Member
from costlens.queue import JobQueue
from costlens.services.keys import create_key
from costlens.services.organizations import create_team
from costlens.services.report_rounds import windows
from costlens.services.team_reports import heads, load
from costlens.services.weekly_mail import set_subscription
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.e2e.servers import ROOT, queue_at
from tests.web.caller import Caller
from tests.web.mail import mail_server


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
        environment = {
            "COSTLENS_DATA": str(settings.data),
            "DATABASE_URL": settings.database_url,
            "SMTP_URL": server.url,
            "PYTHONPATH": str(ROOT),
            "PATH": os.environ["PATH"],
        }
        command = (str(Path(sys.executable).parent / "rq"), "worker", "--burst", "--url", url, "default")
        done = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
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
