"""Commands that change stored runs, with every sum of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from costlens.commands.data import find_organization, json_option
from costlens.commands.database import open_store, progress_bar
from costlens.domain.shown import dollars
from costlens.queue import JobQueue
from costlens.services import reclassify as classes
from costlens.services import repricing
from costlens.services.keys import find_key_id
from costlens.services.repricing import Difference, Repriced
from costlens.store.run_changes import Selection


@click.command()
@click.argument("organization")
@click.option("--provider", help="Only runs of this provider.")
@click.option("--model", help="Only runs of this model.")
@click.option("--since", metavar="DATE", type=click.DateTime(["%Y-%m-%d"]), help="Only runs from here on (UTC).")
@click.option("--apply", is_flag=True, help="Store the new prices; without it nothing is changed.")
@json_option
def reprice(
    organization: str, provider: str | None, model: str | None, since: datetime | None, apply: bool, as_json: bool
) -> None:
    """Price stored runs by the prices of now and tell what changes; costs that callers reported stay.

    Run it after prices or overrides changed: models that had no price get one too.
    """
    _, store = open_store()
    found = find_organization(store, organization)
    start = since.replace(tzinfo=UTC) if since else None
    where = Selection(since=start, provider=provider.lower() if provider else None, model=model)
    with progress_bar(found.slug, "runs") as progress:
        done = repricing.reprice(store, found.id, where, apply=apply, progress=progress)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(_answer(done, apply)), indent=2).decode())
    else:
        _print_repriced(done, apply)


def _answer(done: Repriced, applied: bool) -> dict[str, Any]:
    models = sorted(done.models.items(), key=lambda item: -abs(item[1].new_nanos - item[1].old_nanos))
    return {
        "applied": applied,
        "runs": done.runs,
        "changed": _figures(done.total),
        "models": [{"provider": provider, "model": model, **_figures(one)} for (provider, model), one in models],
    }


def _figures(one: Difference) -> dict[str, Any]:
    return {
        "runs": one.runs,
        "oldCost": dollars(one.old_nanos),
        "newCost": dollars(one.new_nanos),
        "difference": dollars(one.new_nanos - one.old_nanos),
        "unpricedBefore": one.unpriced_before,
        "unpricedAfter": one.unpriced_after,
    }


def _print_repriced(done: Repriced, applied: bool) -> None:
    answer = _answer(done, applied)
    if done.total.runs:
        rows: list[tuple[str, ...]] = [
            ("Model", "Runs", "Old cost", "New cost", "Difference", "Unpriced before", "after")
        ]
        for one in (*answer["models"], answer["changed"]):
            name = f"{one['provider']}/{one['model']}" if "model" in one else "All"
            money = (f"{one[column]:,.6f}" for column in ("oldCost", "newCost", "difference"))
            unpriced = (f"{one[column]:,}" for column in ("unpricedBefore", "unpricedAfter"))
            rows.append((name, f"{one['runs']:,}", *money, *unpriced))
        first, *widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for name, *cells in rows:
            figures = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
            click.echo("  ".join((f"{name:{first}}", *figures)))
    verb = "changed" if applied else "would change; --apply stores it"
    click.echo(f"{done.total.runs:,} of {done.runs:,} runs {verb}")


@click.command()
@click.argument("organization")
@click.option("--prompt", metavar="PROMPT_ID", help="Runs of this prompt.")
@click.option("--environment", help="Runs of this environment.")
@click.option("--key", metavar="KEY_OR_PREFIX", help="Runs of this API key.")
@click.option("--code/--not-code", "code", default=None, help="What they are.")
@json_option
def reclassify(
    organization: str, prompt: str | None, environment: str | None, key: str | None, code: bool | None, as_json: bool
) -> None:
    """Mark stored runs as not code (production traffic), or as code again; several options narrow each other.

    What is not code is linked to nothing and is no part of code spend. Runs to come are not marked by this.
    """
    if code is None:
        raise click.UsageError("Say what they are: --code or --not-code")
    settings, store = open_store()
    found = find_organization(store, organization)
    key_id = find_key_id(store, found.id, key) if key else None
    where = Selection(prompt_id=prompt, environment=environment, api_key_id=key_id)
    with progress_bar(found.slug, "runs") as progress:
        done = classes.reclassify(store, found.id, where, code=code, progress=progress)
    queue = JobQueue(settings.queue_url)
    for repository_id in sorted(done.repositories):
        queue.link_soon(found.id, repository_id)
    if as_json:
        click.echo(msgspec.json.encode({"runs": done.runs, "code": code}).decode())
    else:
        click.echo(f"{done.runs:,} runs are {'code' if code else 'not code'} now")
