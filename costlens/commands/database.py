"""`costlens db`: the database's revision, and whether its sums are right."""

from __future__ import annotations

import json

import click

from costlens.config import load_settings
from costlens.services.organizations import owner_exists
from costlens.services.set_up import set_up_url
from costlens.services.verify import verify
from costlens.store.engine import Store
from costlens.store.migrate import at_head, newest
from costlens.store.migrate import upgrade as upgrade_store


@click.group()
def db() -> None:
    """Upgrade or check the database."""


@db.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def upgrade(as_json: bool) -> None:
    """Bring the database to the newest revision; creates it when it is empty."""
    settings = load_settings()
    store = Store(settings.database_url)
    upgrade_store(store)
    if as_json:
        body = {"revision": newest(), "setUpUrl": None if owner_exists(store) else set_up_url(settings)}
        click.echo(json.dumps(body))
    else:
        click.echo("The database is at the newest revision.")


@db.command()
def check() -> None:
    """Compare every rollup with the sum of the runs; exit 1 on any difference."""
    store = Store(load_settings().database_url)
    if not at_head(store):
        raise click.ClickException("The database is not at the newest revision: costlens db upgrade")
    found = verify(store)
    for name, differences in found.items():
        wrong = {key: value for key, value in differences.items() if value}
        click.echo(f"{name}: {wrong or 'right'}")
    if any(any(differences.values()) for differences in found.values()):
        raise click.ClickException("Rollups differ from runs")
