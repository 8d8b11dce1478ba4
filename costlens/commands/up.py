"""`costlens up`: the whole server as one group of processes. Loads nothing of the server itself."""

from __future__ import annotations

import os
import signal
from importlib.util import find_spec
from pathlib import Path

import click

from costlens.config import Settings, load_settings
from costlens.processes import Group, environment_for

if find_spec("granian") is None:  # needed by the children, and not loaded here
    raise ModuleNotFoundError("No module named 'granian'", name="granian")

host_option = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
port_option = click.option("--port", default=8787, show_default=True, type=click.IntRange(1, 65_535))
data_option = click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Data folder.  [default: COSTLENS_DATA or ./var]"
)


def settings_for(data: Path | None, host: str, port: int) -> Settings:
    """Settings with what the command line says, for this process and its children."""
    if data is not None:
        os.environ["COSTLENS_DATA"] = str(data.expanduser().absolute())
    os.environ.setdefault("COSTLENS_BASE_URL", f"http://{host}:{port}")
    return load_settings()


def start_group(settings: Settings, host: str, port: int) -> Group:
    """Starts everything; SIGINT and SIGTERM then stop it, also while it starts."""
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
    if not group.stopping.is_set():
        click.echo(f"CostLens is at {group.url}, its data in {settings.data}")
        if group.set_up_url is None:
            click.echo("Sign in with the link that `costlens sign-in-link EMAIL` prints.")
        else:
            click.echo(f"Create the first owner: {group.set_up_url}")
    group.run()
    click.echo("Stopped.")
