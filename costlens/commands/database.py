"""Commands on the database itself: its revision, and whether its sums are right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import click

from costlens.config import Settings, load_settings
from costlens.domain.errors import NotFound
from costlens.services import verify
from costlens.services.organizations import owner_exists
from costlens.services.set_up import set_up_url
from costlens.store import organizations as org_store
from costlens.store.engine import Store
from costlens.store.migrate import at_head, newest
from costlens.store.migrate import upgrade as upgrade_store
from costlens.store.organizations import Organization

SHOWN = 50  # differences of one organization that are printed one by one


def open_store() -> tuple[Settings, Store]:
    """Settings and the upgraded database of a command that works on data. Raises SettingsError, Unavailable."""
    settings = load_settings()
    store = Store(settings.database_url, folder=settings.data)
    upgrade_store(store)
    return settings, store


@contextmanager
def progress_bar(text: str, unit: str) -> Iterator[verify.Progress]:
    """A bar on a terminal's stderr that is told (done, in all)."""
    # Not at the top: every start of the server waits for `db upgrade`, which shows no bar.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit))
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(text, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def rebuild_sums(store: Store, organization: Organization) -> verify.Checked:
    """Makes every sum right by the runs, with a bar."""
    with progress_bar(f"Cutting days of {organization.slug} anew", "days") as progress:
        return verify.rebuild(store, organization.id, progress=progress)


@click.group()
def db() -> None:
    """Upgrade the database, check or rebuild its sums."""


@db.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def upgrade(as_json: bool) -> None:
    """Bring the database to the newest revision; creates it when it is empty."""
    settings, store = open_store()
    if as_json:
        body = {"revision": newest(), "setUpUrl": None if owner_exists(store) else set_up_url(settings)}
        click.echo(json.dumps(body))
    else:
        click.echo("The database is at the newest revision.")


@db.command()
@click.option("--repair", is_flag=True, help="Put right what differs, while runs come in.")
@click.option("--organization", "name", help="Only this one.  [default: all]")
def check(repair: bool, name: str | None) -> None:
    """Compare every rollup of every day with the runs; exit 1 on differences that are left."""
    store = _current_store()
    left = 0
    for organization in _organizations(store, name):
        with progress_bar(organization.slug, "days") as progress:
            found = verify.check(store, organization.id, repair=repair, progress=progress)
        left += found.left
        _print_check(organization.slug, found)
    if left:
        raise click.ClickException("Rollups differ from runs" + ("" if repair else ": costlens db check --repair"))


@db.command()
@click.option("--organization", "name", help="Only this one.  [default: all]")
def rebuild(name: str | None) -> None:
    """Make every sum by the runs, in the organization's time zone; completes a change of it that was ended early."""
    store = _current_store()
    for organization in _organizations(store, name):
        found = rebuild_sums(store, organization)
        click.echo(f"{organization.slug}: {found.days} days, {found.repaired} rows changed")


def _current_store() -> Store:
    store = Store(load_settings().database_url)
    if not at_head(store):
        raise click.ClickException("The database is not at the newest revision: costlens db upgrade")
    return store


def _organizations(store: Store, name: str | None) -> list[Organization]:
    with store.read() as tx:
        if name is None:
            return org_store.list_organizations(tx)
        found = org_store.find_organization(tx, name)
    if found is None:
        raise NotFound(f"No organization named {name!r}")
    return [found]


def _print_check(slug: str, found: verify.Checked) -> None:
    if not found.findings:
        click.echo(f"{slug}: right ({found.days} days)")
        return
    click.echo(f"{slug}: {found.differing} rows differ ({found.days} days), {found.repaired} repaired")
    for one in found.findings[:SHOWN]:
        off = f"{one.runs:+,} runs, {one.cost_nanos / 1_000_000_000:+,.9f} dollars in sum"
        click.echo(f"  {one.day or 'all days'!s:10}  {one.rollup:16}  {one.rows} rows, {off}")
    if len(found.findings) > SHOWN:
        click.echo(f"  and {len(found.findings) - SHOWN} more")
