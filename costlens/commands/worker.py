"""`costlens worker`: runs jobs. Loads what jobs need, so that the process forked for each has it."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import click
from redis import Redis
from rq import Queue, Worker
from rq.exceptions import SchedulerNotFound
from rq.scheduler import RQScheduler
from rq.scripts import release_lock
from rq.utils import as_text

from costlens.config import load_settings
from costlens.processes import LINUX, end_forks_with_parent
from costlens.queue import HEARTBEAT_SECONDS, QUEUE, connect
from workers import ledger, linking, sync

WORKER_TTL = HEARTBEAT_SECONDS + 15  # RQ waits for a job 15 s less than this before it shows that it lives
MAINTENANCE_SECONDS = 5
BURST_SECONDS = 86_400  # longer than any burst

JOBS = (linking, ledger, sync)  # the modules that jobs are in


@click.command()
@click.option("--burst", is_flag=True, help="End when the queue is empty.")
def worker(burst: bool) -> None:
    """Run jobs from the queue, and put those that are due in it."""
    connection = connect(load_settings().queue_url)
    logging.getLogger("rq.worker").setLevel(logging.WARNING)
    # RQ forks a process for each job and one that moves due jobs into the queue; alone they would go on for ever.
    end_forks_with_parent()
    release_lock_of_dead_mover(connection)
    Worker(
        [Queue(QUEUE, connection=connection)],
        connection=connection,
        worker_ttl=WORKER_TTL,
        job_monitoring_interval=HEARTBEAT_SECONDS,
        # RQ looks only now and then whether its mover of due jobs lives; after a lost queue, links wait for it. A burst
        # moves them once and starts none: one that has just begun may not heed its end yet, which RQ waits for.
        maintenance_interval=BURST_SECONDS if burst else MAINTENANCE_SECONDS,
    ).work(burst=burst, with_scheduler=True, logging_level="WARNING")


def release_lock_of_dead_mover(connection: Redis) -> None:
    """Lets this worker move due jobs when the process that did so was killed on this machine.

    RQ's lock alone would keep it from that, and runs from their links, for a minute.
    """
    lock = RQScheduler.get_locking_key(QUEUE)
    name = connection.get(lock)
    if name is None:
        return
    try:
        mover = RQScheduler.fetch(as_text(name), connection)
    except SchedulerNotFound:  # killed before it could say who it is; one that is about to say so gives way
        dead = True
    else:
        dead = mover.hostname == socket.gethostname() and not _runs(mover.pid)
    if dead:
        release_lock(connection, lock, as_text(name))


def _runs(pid: int) -> bool:
    """Whether there is such a process; one that has ended and waits for its end to be noticed is none."""
    if not LINUX:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
