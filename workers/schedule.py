"""Every periodic job, for RQ's cron scheduler (`costlens scheduler`)."""

from __future__ import annotations

from rq.cron import CronScheduler

from workers import linking


def register(scheduler: CronScheduler) -> None:
    """Puts every periodic job on this scheduler."""
    scheduler.register(linking.sweep, "default", interval=30, job_timeout=900, result_ttl=0)
    scheduler.register(linking.age_pending, "default", cron="17 3 * * *", job_timeout=3600, result_ttl=0)
