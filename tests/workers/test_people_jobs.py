"""The job that sends a link for a new password, run by a real worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from costlens.config import Settings
from costlens.queue import JobQueue
from costlens.services.joining import ask_for_reset
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.e2e.servers import ROOT, queue_at
from tests.web.mail import link_in, mail_server


def test_a_worker_sends_the_link(settings: Settings, store: Store, acme: Organization, tmp_path: Path) -> None:
    with queue_at(tmp_path) as url, mail_server() as server:
        queue = JobQueue(url)
        for email in ("alice@example.com", "nobody@example.com"):
            ask_for_reset(store, queue, email, "10.0.0.1")
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
        assert [mail["To"] for mail in server.mails] == ["alice@example.com"], done.stderr
        assert link_in(server.mails[0]).startswith("/sign-in/new-password/")
