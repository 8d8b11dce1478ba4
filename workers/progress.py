"""How far a job is, written where the page that waits for it looks."""

from __future__ import annotations

import time
from collections.abc import Callable

from rq import get_current_job

TELL_SECONDS = 0.25  # how often at most the page is told how far the job is


def teller() -> Callable[[str, int, int], None]:
    """A function that tells what this job does, how many steps are done, and how many there are."""
    job, told = get_current_job(), 0.0

    def tell(what: str, done: int, total: int) -> None:
        nonlocal told
        if job is not None and (time.monotonic() - told > TELL_SECONDS or done in (0, total)):
            told = time.monotonic()
            job.meta.update(what=what, done=done, total=total)
            job.save_meta()  # type: ignore[no-untyped-call]

    return tell
