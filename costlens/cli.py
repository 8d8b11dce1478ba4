"""The `costlens` command. Each command's module is loaded when it is called, so that the client commands start
fast and need nothing of the server."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

import click

from costlens import __version__

_DATA = "costlens.commands.data"
_RUNS = "costlens.commands.runs"

# Command → module, function, one line of help (shown without loading the module).
COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "up": ("costlens.commands.up", "up", "Start everything: queue, web, worker and scheduler."),
    "demo": ("costlens.commands.demo", "demo", "Load the demo organization through the real pipeline and serve it."),
    "web": ("costlens.commands.web", "web", "Serve the web application and the API."),
    "worker": ("costlens.commands.worker", "worker", "Run jobs from the queue."),
    "scheduler": ("costlens.commands.scheduler", "scheduler", "Ask for the periodic jobs."),
    "db": ("costlens.commands.database", "db", "Upgrade the database, check or rebuild its sums."),
    "organization": (_DATA, "organization", "Create or change an organization."),
    "sign-in-link": (_DATA, "sign_in_link", "Print a link that signs an account in, once."),
    "key": (_DATA, "key", "Create or revoke an API key."),
    "github": (_DATA, "github", "Import GitHub's facts from snapshot files or a local clone."),
    "link": (_DATA, "link", "Link runs to pull requests now."),
    "reprice": (_RUNS, "reprice", "Price stored runs anew; a dry run unless told otherwise."),
    "reclassify": (_RUNS, "reclassify", "Mark runs as not code, or as code again."),
    "hook": ("costlens.commands.hook", "hook", "Name sessions and runs in commit messages by a git hook."),
    "report": ("costlens.commands.report", "report", "Print a report of a running server."),
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, function, _ = COMMANDS[name]
        try:
            command: click.Command = getattr(importlib.import_module(module), function)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("costlens"):
                raise
            raise click.ClickException(
                f"`costlens {name}` is the server's and needs {error.name}: pip install 'costlens[server]'"
            ) from error
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command; an error made on purpose becomes one clear line and exit code 1."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            message = getattr(error, "message", None) or str(error)
            if type(error).__module__.startswith("costlens."):
                raise click.ClickException(message) from error
            raise


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="costlens")
def main() -> None:
    """What did AI cost us, and what did it ship?

    Settings come from the environment; the README lists them.
    """


if __name__ == "__main__":
    sys.exit(main())
