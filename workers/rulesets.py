"""Jobs about the rules of linking: tests of them, and comparisons of new ones with the links that hold."""

from __future__ import annotations

import time
from collections.abc import Callable

from redis.exceptions import LockError
from rq import get_current_job

from costlens.services import rulesets
from costlens.store.engine import Store
from workers.context import opened
from workers.linking import alone

TELL_SECONDS = 1.0  # how often at most the page is told how far a comparison is


def calibrate() -> int:
    """Tests the rules of every organization on what explicit ids tell; answers how many guesses were tested."""
    with opened() as (store, _):
        return sum(_test(store, organization_id) for organization_id in rulesets.every_organization(store))


def calibrate_one(organization_id: int) -> int:
    """The same for one organization."""
    with opened() as (store, _):
        return _test(store, organization_id)


def _test(store: Store, organization_id: int) -> int:
    return sum(tally.tested for tally in rulesets.calibrate(store, organization_id).values())


def compare() -> int:
    """Compares every new ruleset that waits for it with the links that hold; answers how many.

    What another job is about is left to it; what a killed one left undone begins anew.
    """
    job, done = get_current_job(), 0
    if job is None:
        raise RuntimeError("comparisons are made in a worker")
    with opened() as (store, _):
        for organization_id, ruleset_id in rulesets.waiting(store):
            try:
                with alone(job.connection, f"costlens:compare:{ruleset_id}", wait=0.1):
                    tell = _teller(store, organization_id, ruleset_id)
                    done += rulesets.compare(store, organization_id, ruleset_id, progress=tell)
            except LockError:
                continue
            except Exception as error:
                rulesets.set_problem(store, organization_id, ruleset_id, str(error) or type(error).__name__)
                raise
    return done


def _teller(store: Store, organization_id: int, ruleset_id: int) -> Callable[[int, int], None]:
    told = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            rulesets.tell_progress(store, organization_id, ruleset_id, done, total)

    return tell
