"""`costlens demo`: the demo organization through the real pipeline, then its table and the server."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from pathlib import Path

import click
import httpx
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from costlens.commands.report import roi_table
from costlens.commands.up import data_option, host_option, port_option, settings_for, start_group
from costlens.config import Settings
from costlens.demo import Demo, generate
from costlens.domain.errors import CostLensError, Unavailable
from costlens.domain.periods import last_days
from costlens.github.snapshot import read_snapshot
from costlens.queue import JobQueue
from costlens.services import reports, sync
from costlens.services.demo import Loaded, prepare, unlinked_runs
from costlens.store.engine import Store

OWNER = "alice@example.com"
LINK_SECONDS = 300


@click.command()
@host_option
@port_option
@data_option
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Last day of its data.  [default: today]")
@click.option("--days", default=91, show_default=True, type=click.IntRange(7, 364))
@click.option("--no-serve", is_flag=True, help="Stop after loading.")
def demo(host: str, port: int, data: Path | None, until: datetime | None, days: int, no_serve: bool) -> None:
    """Load the demo organization through the real pipeline, and serve it.

    Its runs are sent to POST /integrations/batch, its pull requests are imported from a snapshot, and a worker links
    them. A second call replaces it.
    """
    settings = settings_for(data, host, port)
    now = datetime.now(UTC)
    last = until.date() if until else now.date()
    made = generate(last, days=days, now=now if last >= now.date() else None)
    group = start_group(settings, host, port)
    store = Store(settings.database_url, folder=settings.data)
    try:
        loaded = load(store, settings, made, group.url)
        click.echo(_table(store, loaded, last))
        click.echo(f"\nSign in:  {group.url}/sign-in/{loaded.sign_in_token}\nAPI key:  {loaded.api_key}\n")
    except (CostLensError, httpx.HTTPError) as error:
        group.stop()
        raise click.ClickException(f"The demo was not loaded: {error}") from error
    finally:
        store.close()
    if no_serve:
        group.stop()
        return
    click.echo(f"CostLens is at {group.url}, its data in {settings.data}. Ctrl-C stops it.")
    group.run()


def load(store: Store, settings: Settings, made: Demo, url: str) -> Loaded:
    """Sends everything through the server at `url` and waits until a worker has linked it."""
    loaded = prepare(store, made, owner=OWNER, plan=settings.default_plan)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("Pull requests", total=len(made.snapshot))
        lines = (msgspec.json.encode(line) for line in made.snapshot)
        imported = sync.import_records(
            store, loaded.organization.id, read_snapshot(lines), progress=lambda count: progress.advance(task, count)
        )
        task = progress.add_task("Runs", total=sum(len(bodies) for _, bodies in made.batches))
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            for name, bodies in made.batches:
                _send(client, loaded.keys[name], bodies)
                progress.advance(task, len(bodies))
        queue = JobQueue(settings.queue_url)
        for repository_id in (0, *sorted(imported.repositories)):
            queue.link_soon(loaded.organization.id, repository_id)
        _wait_for_links(store, loaded.organization.id, progress)
    return loaded


def _send(client: httpx.Client, key: str, bodies: list[dict[str, object]]) -> None:
    content = msgspec.json.encode({"runs": bodies})
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    answer = client.post("/integrations/batch", content=content, headers=headers)
    if answer.status_code != 200:
        raise Unavailable(f"the server answered {answer.status_code}: {answer.text[:300]}")


def _wait_for_links(store: Store, organization_id: int, progress: Progress) -> None:
    first = unlinked_runs(store, organization_id)
    task = progress.add_task("Linking", total=first)
    deadline = time.monotonic() + LINK_SECONDS
    while left := unlinked_runs(store, organization_id):
        progress.update(task, completed=max(0, first - left))
        if time.monotonic() > deadline:
            raise Unavailable(f"{left} runs are still not linked after {LINK_SECONDS} s; is a worker running?")
        time.sleep(0.2)
    progress.update(task, completed=first)


def _table(store: Store, loaded: Loaded, last: date) -> str:
    window = last_days(28, loaded.organization.timezone, last)
    report = reports.roi_report(store, loaded.organization.id, "repository", window=window)
    return roi_table(msgspec.json.decode(msgspec.json.encode(reports.roi_json(report))), "repository")
