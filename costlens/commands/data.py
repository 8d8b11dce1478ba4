"""Commands that work on the server's data: organizations, keys, imports, linking."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from costlens.commands.database import open_store, rebuild_sums
from costlens.config import PLANS
from costlens.domain.errors import NotFound
from costlens.github.clone import read_clone
from costlens.github.snapshot import read_snapshot
from costlens.queue import JobQueue
from costlens.services import keys, linking, organizations, sync
from costlens.store import organizations as org_store
from costlens.store.engine import Store
from costlens.store.identity import repositories_of
from costlens.store.organizations import Organization

CLONE_DAYS = 180  # how far back a clone is read unless told otherwise

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _print(body: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(body), indent=2).decode())
    else:
        width = max(map(len, body))
        for name, value in body.items():
            click.echo(f"{name:{width}}  {value}")


def find_organization(store: Store, name: str | None) -> Organization:
    """By name or slug; without a name the only one there is. Raises NotFound."""
    with store.read() as tx:
        if name:
            found = org_store.find_organization(tx, name)
            if found is None:
                raise NotFound(f"No organization named {name!r}")
            return found
        every = org_store.list_organizations(tx)
    if len(every) != 1:
        names = ", ".join(one.slug for one in every) or "none yet: costlens organization create"
        raise NotFound(f"Say which with --organization: {names}")
    return every[0]


def hourly_cents(text: str) -> int:
    """`95` or `95.50` in cents."""
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise click.BadParameter(f"{text!r} is not an amount such as 95 or 95.50") from error
    if not amount.is_finite() or not 0 < amount <= 10_000:
        raise click.BadParameter("an hour costs more than 0 and at most 10,000")
    return int(amount * 100)


@click.group()
def organization() -> None:
    """Create or change an organization."""


@organization.command()
@click.argument("name")
@click.option("--owner", required=True, metavar="EMAIL", help="Address of the owner's account.")
@click.option("--plan", type=click.Choice(list(PLANS)), help="[default: COSTLENS_DEFAULT_PLAN]")
@click.option("--timezone", default="UTC", show_default=True, help="Zone in which its days are cut.")
@json_option
def create(name: str, owner: str, plan: str | None, timezone: str, as_json: bool) -> None:
    """Create an organization with its owner; prints a personal API key (shown once) and a sign-in link."""
    settings, store = open_store()
    created = organizations.create_organization(
        store, name, owner, plan=plan or settings.default_plan, timezone=timezone
    )
    body = {
        "organization": created.organization.slug,
        "apiKey": created.api_key,
        "signInUrl": f"{settings.base_url}/sign-in/{created.sign_in_token}",
    }
    _print(body, as_json)


@organization.command(name="set")
@click.argument("name")
@click.option("--hourly-cost", help="Loaded cost of an engineer's hour in dollars, for the break-even.")
@click.option("--timezone", help="Zone in which its days are cut; cuts them anew, which takes a while.")
@click.option("--plan", type=click.Choice(list(PLANS)))
@json_option
def set_(name: str, hourly_cost: str | None, timezone: str | None, plan: str | None, as_json: bool) -> None:
    """Change an organization."""
    _, store = open_store()
    changes: dict[str, Any] = {}
    if hourly_cost is not None:
        changes["hourly_cost_cents"] = hourly_cents(hourly_cost)
    if timezone is not None:
        changes["timezone"] = timezone
    if plan is not None:
        changes["plan"] = plan
    if not changes:
        raise click.UsageError("Nothing to set: give --hourly-cost, --timezone or --plan")
    before = find_organization(store, name)
    changed = organizations.set_organization(store, name, changes)
    if changed.timezone != before.timezone:
        rebuild_sums(store, changed)
    hourly = changed.hourly_cost_cents
    body = {
        "organization": changed.slug,
        "plan": changed.plan,
        "timezone": changed.timezone,
        "hourlyCost": hourly / 100 if hourly is not None else None,
    }
    _print(body, as_json)


@click.command(name="sign-in-link")
@click.argument("email")
def sign_in_link(email: str) -> None:
    """Print a link that signs an account in. It works once, within an hour."""
    settings, store = open_store()
    click.echo(f"{settings.base_url}/sign-in/{organizations.sign_in_link(store, email)}")


@click.group()
def key() -> None:
    """Create or revoke an API key."""


@key.command(name="create")
@click.argument("organization_name", metavar="ORGANIZATION")
@click.option("--name", default="API key", show_default=True)
@click.option("--team", help="Runs of this key belong to this team.")
@click.option("--member", metavar="EMAIL", help="Make it this member's personal key; else it is shared.")
@click.option(
    "--purpose", type=click.Choice(["development", "production", "staging"]), help="production and staging: not code."
)
@click.option("--scopes", default="ingest read", show_default=True, help="Some of ingest, read, admin.")
@json_option
def create_key(
    organization_name: str,
    name: str,
    team: str | None,
    member: str | None,
    purpose: str | None,
    scopes: str,
    as_json: bool,
) -> None:
    """Create an API key; it is shown once."""
    _, store = open_store()
    text = keys.create_key(
        store, organization_name, name, team=team, member=member, purpose=purpose, scopes=scopes.replace(",", " ")
    )
    _print({"name": name, "apiKey": text}, as_json)


@key.command(name="revoke")
@click.argument("organization_name", metavar="ORGANIZATION")
@click.argument("prefix", metavar="KEY_OR_PREFIX")
def revoke_key(organization_name: str, prefix: str) -> None:
    """Revoke the key that begins like this; it stops working at once."""
    _, store = open_store()
    keys.revoke_key(store, organization_name, prefix)
    click.echo("Revoked.")


@click.group()
def github() -> None:
    """Import GitHub's facts from snapshot files or a local clone."""


@github.command(name="import")
@click.argument("files", metavar="FILES...", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--git", "clone", metavar="PATH", type=click.Path(path_type=Path), help="Read a local clone instead.")
@click.option("--repo", metavar="OWNER/NAME", help="The clone's repository, or that of lines that name none.")
@click.option(
    "--since", metavar="DATE", type=click.DateTime(["%Y-%m-%d"]), help="Read the clone from here.  [default: 180 days]"
)
@click.option("--organization", "name", help="Whose repositories these are.  [default: the only one]")
@json_option
def import_(
    files: tuple[Path, ...],
    clone: Path | None,
    repo: str | None,
    since: datetime | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Import snapshot files (newline-delimited JSON) or a local clone; importing one again changes nothing.

    docs/snapshot.md describes the files, docs/clone.md what a clone can tell. Linking follows by the worker.
    """
    if bool(files) == bool(clone):
        raise click.UsageError("Give snapshot files, or a clone with --git PATH --repo OWNER/NAME")
    if clone and not repo:
        raise click.UsageError("--git needs --repo OWNER/NAME: a clone does not tell its name on GitHub")
    if since and not clone:
        raise click.UsageError("--since is for --git; a snapshot file is read as a whole")
    settings, store = open_store()
    found = find_organization(store, name)
    if clone and repo:
        start = since.replace(tzinfo=UTC) if since else datetime.now(UTC) - timedelta(days=CLONE_DAYS)
        total = _import_clone(store, found.id, clone, repo, start)
    else:
        total = _import_files(store, found.id, files, repo)
    queue = JobQueue(settings.queue_url)
    for repository_id in sorted(total.changed | {0} if total.changed else set()):
        queue.link_soon(found.id, repository_id)
    body = {
        "organization": found.slug,
        "pulls": total.pulls,
        "commits": total.commits,
        "people": total.people,
        "repositories": len(total.repositories),
        "changedRepositories": len(total.changed),
    }
    _print(body, as_json)


def _import_clone(store: Store, organization_id: int, path: Path, repo: str, since: datetime) -> sync.Imported:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("commits"))
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(repo, total=None)
        records = read_clone(
            path, repo, since=since, progress=lambda done, total: progress.update(task, completed=done, total=total)
        )
        return sync.import_records(store, organization_id, records)


def _import_files(store: Store, organization_id: int, files: tuple[Path, ...], repo: str | None) -> sync.Imported:
    total = sync.Imported()
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        for path in files:
            task = progress.add_task(path.name, total=path.stat().st_size)
            lines = _lines(path, progress, task)
            total = total.plus(sync.import_records(store, organization_id, read_snapshot(lines, repository=repo)))
    return total


def _lines(path: Path, progress: Progress, task: Any) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            yield line
            progress.advance(task, len(line))


@click.command()
@click.option("--organization", "name", help="[default: the only one]")
@click.option("--repo", metavar="OWNER/NAME", help="Only this repository.")
@json_option
def link(name: str | None, repo: str | None, as_json: bool) -> None:
    """Link all runs to pull requests now, without the queue; a second pass changes nothing."""
    _, store = open_store()
    found = find_organization(store, name)
    with store.read() as tx:
        repositories = {row.id: row.name for row in repositories_of(tx, found.id)}
    if repo:
        repositories = {number: text for number, text in repositories.items() if text.lower() == repo.lower()}
        if not repositories:
            raise NotFound(f"No repository named {repo!r}")
    else:
        # First: it gives each repository the runs that only the trailers there name.
        repositories = {0: "runs that name no repository"} | repositories
    console = Console(stderr=True)
    runs = changed = 0
    seconds = 0.0
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} runs"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        for repository_id, text in repositories.items():
            task = progress.add_task(text, total=None)
            done = linking.link_repository(
                store,
                found.id,
                repository_id,
                full=True,
                progress=lambda at, total, task=task: progress.update(task, completed=at, total=total),  # type: ignore[misc]
            )
            runs, changed, seconds = runs + done.runs, changed + done.changed, seconds + done.link_seconds
    _print({"runs": runs, "changed": changed, "linkSeconds": round(seconds, 3)}, as_json)
