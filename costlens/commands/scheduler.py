"""`costlens scheduler`: asks for the periodic jobs, and loads nothing of what they do."""

from __future__ import annotations

import signal
import threading

import click

from costlens.config import load_settings
from costlens.queue import JobQueue
from workers.schedule import PERIODIC, ask


@click.command()
def scheduler() -> None:
    """Ask for the periodic jobs. Two of them ask for the same ones, which then run once."""
    stopping = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopping.set())
    ask(JobQueue(load_settings().queue_url), PERIODIC, stopping)
