"""Every periodic job, for RQ's cron scheduler (`costlens scheduler`)."""

from __future__ import annotations

from rq.cron import CronScheduler

from workers import ledger, linking


def register(scheduler: CronScheduler) -> None:
    """Puts every periodic job on this scheduler."""
    scheduler.register(linking.sweep, "default", interval=30, job_timeout=900, result_ttl=0)
    scheduler.register(linking.age_pending, "default", cron="17 3 * * *", job_timeout=3600, result_ttl=0)
    scheduler.register(ledger.verify_and_repair, "default", cron="43 3 * * *", job_timeout=7200, result_ttl=0)
