"""`costlens hook`: git hooks that name the session, run and prompt in commit messages. Needs only the base install."""

from __future__ import annotations

from pathlib import Path

import click

from costlens import git_hook
from costlens.git_hook import HookError

_REPOSITORY = click.option(
    "--repository", default=".", metavar="PATH", type=click.Path(path_type=Path), help="Default: this folder."
)


class _Hook(click.Group):
    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except HookError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Hook)
def hook() -> None:
    """Write CostLens-Session, CostLens-Run and CostLens-Prompt trailers into commit messages.

    The values come from COSTLENS_SESSION, COSTLENS_RUN and COSTLENS_PROMPT in the environment of `git commit`, else
    from what `costlens hook session` told for this worktree within 12 hours. Without either, messages stay as they are.
    """


@hook.command()
@_REPOSITORY
def install(repository: Path) -> None:
    """Install the hooks; hooks that are there already are kept and called first."""
    for one in git_hook.install(repository):
        click.echo(f"{one.path}" + (f", after {one.chained.name}" if one.chained else ""))


@hook.command()
@_REPOSITORY
def uninstall(repository: Path) -> None:
    """Remove the hooks and put back those that were there before."""
    removed = git_hook.uninstall(repository)
    for path in removed:
        click.echo(f"{path} removed")
    if not removed:
        click.echo("Nothing was installed")


@hook.command()
@_REPOSITORY
def status(repository: Path) -> None:
    """Say whether the hooks are installed, and where."""
    for one in git_hook.find_hooks(repository):
        click.echo(f"{one.path}: {'installed' if one.installed else 'not installed'}")


@hook.command()
@click.argument("name", type=click.Choice(list(git_hook.HOOKS)))
def show(name: str) -> None:
    """Print a hook, for who keeps hooks in another way (husky, a shared folder)."""
    click.echo(git_hook.HOOKS[name], nl=False)


@hook.command()
@click.argument("session", required=False)
@click.option("--run", "runs", multiple=True, metavar="ID", help="A run of the next commit; may be repeated.")
@click.option("--prompt", "prompts", multiple=True, metavar="ID", help="A promptId; may be repeated.")
@click.option("--end", is_flag=True, help="The session is over: name nothing from now on.")
@_REPOSITORY
def session(session: str | None, runs: tuple[str, ...], prompts: tuple[str, ...], end: bool, repository: Path) -> None:
    """Tell which session the commits of this worktree are from now on made in."""
    if end:
        git_hook.end_session(repository)
        return
    values = {"CostLens-Session": (session,) if session else (), "CostLens-Run": runs, "CostLens-Prompt": prompts}
    if not any(values.values()):
        raise click.UsageError("Name a session, a --run or a --prompt; or --end")
    click.echo(git_hook.tell_session(repository, values))
