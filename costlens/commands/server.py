"""Commands that run the server: up, web, worker, scheduler."""

from __future__ import annotations

import gc
import logging
import os
import signal
from pathlib import Path

import click
from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels
from redis import Redis
from rq import Queue, Worker
from rq.cron import CronScheduler

from costlens.config import Settings, load_settings
from costlens.factory import create_app
from costlens.processes import Group, end_with_parent, environment_for
from costlens.services.organizations import owner_exists
from costlens.store.engine import Store
from costlens.store.migrate import upgrade as upgrade_store
from costlens.web.ui.accounts import set_up_token
from workers import schedule

host_option = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
port_option = click.option("--port", default=8787, show_default=True, type=click.IntRange(1, 65_535))
data_option = click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Data folder.  [default: COSTLENS_DATA or ./var]"
)

WORKER_TTL = 25  # seconds; RQ waits for a job 15 s less than this before it looks after itself
MAINTENANCE_SECONDS = 5


def settings_for(data: Path | None, host: str, port: int) -> Settings:
    """Settings with what the command line says, for this process and its children."""
    if data is not None:
        os.environ["COSTLENS_DATA"] = str(data.expanduser().absolute())
    os.environ.setdefault("COSTLENS_BASE_URL", f"http://{host}:{port}")
    return load_settings()


def start_group(settings: Settings, host: str, port: int) -> Group:
    """Migrates and starts everything; SIGINT and SIGTERM then stop it."""
    store = Store(settings.database_url)
    upgrade_store(store)
    store.close()
    group = Group(settings, host, port, lambda text: click.echo(text, err=True), environment_for(settings))
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: group.stopping.set())
    group.start()
    return group


@click.command()
@host_option
@port_option
@data_option
def up(host: str, port: int, data: Path | None) -> None:
    """Start everything: queue, web, worker and scheduler.

    The queue is an embedded Valkey in the data folder, or the server of REDIS_URL. Ctrl-C stops all in order.
    """
    settings = settings_for(data, host, port)
    group = start_group(settings, host, port)
    click.echo(f"CostLens is at {group.url}, its data in {settings.data}")
    store = Store(settings.database_url)
    if owner_exists(store):
        click.echo("Sign in with the link that `costlens sign-in-link EMAIL` prints.")
    else:
        click.echo(f"Create the first owner: {group.url}/set-up/{set_up_token(settings)}")
    store.close()
    group.run()
    click.echo("Stopped.")


@click.command()
@host_option
@port_option
def web(host: str, port: int) -> None:
    """Serve the web application and the API."""
    settings = load_settings()
    Granian(
        "costlens.commands.server:serving_app",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=settings.web_workers,
        blocking_threads=32,
        respawn_failed_workers=True,
        workers_kill_timeout=10,
        websockets=False,
        log_level=LogLevels.error,
    ).serve()


def serving_app() -> Flask:
    """The application in a web worker process, which must not outlive the process that watches it."""
    end_with_parent()
    app = create_app()
    # What the application is made of lives as long as the process: collections need not look at it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    return app


@click.command()
@click.option("--burst", is_flag=True, help="End when the queue is empty.")
def worker(burst: bool) -> None:
    """Run jobs from the queue, and put those that are due in it."""
    connection = Redis.from_url(load_settings().queue_url)
    logging.getLogger("rq.worker").setLevel(logging.WARNING)
    # RQ forks a process for each job and one that moves due jobs into the queue; alone they would go on for ever.
    os.register_at_fork(after_in_child=end_with_parent)
    # RQ looks only now and then whether its mover of due jobs lives; after a lost queue or worker, links wait for it.
    queues = [Queue("default", connection=connection)]
    Worker(queues, connection=connection, worker_ttl=WORKER_TTL, maintenance_interval=MAINTENANCE_SECONDS).work(
        burst=burst, with_scheduler=True, logging_level="WARNING"
    )


@click.command()
def scheduler() -> None:
    """Ask for the periodic jobs. Run one of these, however many workers there are."""
    cron = CronScheduler(connection=Redis.from_url(load_settings().queue_url), logging_level="WARNING")
    schedule.register(cron)
    cron.start()  # type: ignore[no-untyped-call]
