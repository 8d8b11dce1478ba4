"""Real git repositories made by the `git` program, merged as GitHub's buttons merge."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
ALICE = ("Alice", "alice@example.com")
BOB = ("Bob", "bob@example.com")


@dataclass(slots=True)
class Clone:
    """A repository whose clock goes on by an hour with each commit."""

    path: Path
    now: datetime = START

    def git(self, *arguments: str, text: str | None = None, author: tuple[str, str] = ALICE) -> str:
        """Runs git here, as the author at the clock's time; answers what it printed."""
        name, email = author
        stamp = f"{int(self.now.timestamp())} +0200"
        env = {
            "PATH": os.environ["PATH"], "HOME": str(self.path), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": email, "GIT_AUTHOR_DATE": stamp,
            "GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": email, "GIT_COMMITTER_DATE": stamp,
        }  # fmt: skip
        command = ("git", "-C", str(self.path), *arguments)
        done = subprocess.run(command, input=text, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, message: str, *files: str, author: tuple[str, str] = ALICE) -> str:
        """Commits a change of these files (none: an empty commit); answers the sha."""
        for file in files:
            (self.path / file).parent.mkdir(parents=True, exist_ok=True)
            with (self.path / file).open("a") as opened:
                opened.write(f"{self.now}\n")
        self.git("add", "--all")
        return self._committed(message, author)

    def branch(self, name: str, start: str = "main") -> None:
        """Starts a branch and switches to it."""
        self.git("switch", "--quiet", "--create", name, start)

    def merge(self, branch: str, message: str, author: tuple[str, str] = BOB) -> str:
        """What "Create a merge commit" does; answers the sha of the merge."""
        self.git("switch", "--quiet", "main")
        self.git("merge", "--no-ff", "--no-commit", branch)
        return self._committed(message, author)

    def squash(self, branch: str, message: str, author: tuple[str, str] = ALICE) -> str:
        """What "Squash and merge" does, branch deleted; answers the sha of the one commit."""
        self.git("switch", "--quiet", "main")
        self.git("merge", "--squash", branch)
        self.git("branch", "-D", branch)
        return self._committed(message, author)

    def _committed(self, message: str, author: tuple[str, str]) -> str:
        self.git("commit", "--quiet", "--allow-empty", "--allow-empty-message", "--cleanup=verbatim", "--file=-",
                 text=message, author=author)  # fmt: skip
        self.now += timedelta(hours=1)
        return self.git("rev-parse", "HEAD")


def new_clone(path: Path, branch: str = "main") -> Clone:
    """An empty repository with this branch checked out."""
    path.mkdir()
    made = Clone(path)
    made.git("init", "--quiet", f"--initial-branch={branch}")
    return made
