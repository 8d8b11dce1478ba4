"""Jobs that load and remove the demo organization for somebody who waits on a page."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from rq import get_current_job

from costlens.config import load_settings
from costlens.demo import generate
from costlens.services import demo, organizations
from workers.context import opened
from workers.linking import link_now

TELL_SECONDS = 0.25  # how often at most the page is told how far the job is


def load(owner_id: int, days: int = 91) -> str:
    """Loads the demo organization of a user, in place of an earlier one of theirs; answers its slug."""
    now = datetime.now(UTC)
    made = generate(now.date(), days=days, now=now)
    with opened() as (store, queue):
        owner = organizations.account(store, owner_id)
        organization = demo.load(
            store,
            made,
            owner=owner.email,
            plan=load_settings().default_plan,
            link=lambda organization_id, repository_id: link_now(store, queue, organization_id, repository_id),
            progress=_teller(),
        )
    return organization.slug


def remove(organization_id: int) -> bool:
    """Removes a demo organization with everything of it."""
    with opened() as (store, _):
        return demo.remove(store, organization_id)


def _teller() -> Callable[[str, int, int], None]:
    """Writes how far this job is where the page that waits for it looks."""
    job, told = get_current_job(), 0.0

    def tell(what: str, done: int, total: int) -> None:
        nonlocal told
        if job is not None and (time.monotonic() - told > TELL_SECONDS or done in (0, total)):
            told = time.monotonic()
            job.meta.update(what=what, done=done, total=total)
            job.save_meta()  # type: ignore[no-untyped-call]

    return tell
