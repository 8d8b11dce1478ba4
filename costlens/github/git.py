"""The `git` program, called without a shell and without any of the repository's own programs."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import IO

from costlens.domain.errors import InvalidInput, Unavailable

MAX_FILES = 3_000  # names kept of one commit: as many as GitHub's API tells

# The caller's environment may point git at another repository, as inside a hook.
_LOCAL = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX",
          "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE")  # fmt: skip
_LOG = ("log", "--no-walk=unsorted", "--stdin", "-z", "--name-only", "--no-renames", "--root", "--encoding=UTF-8",
        "--no-ext-diff", "--no-textconv", "--no-show-signature", "--no-notes", "--notes=refs/notes/ai", "--no-color",
        "--no-relative", "--no-mailmap", "--ignore-submodules=none")  # fmt: skip
_FIELDS = ("%H", "%P", "%at", "%ct", "%an", "%ae", "%B", "%N")
_CHUNK = 1 << 16
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class LoggedCommit:
    sha: str
    parents: tuple[str, ...]
    authored_at: datetime
    committed_at: datetime
    name: str
    email: str
    message: str
    note: str  # in refs/notes/ai; empty: none
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Running:
    """A git that was started: what it prints, and the file that its complaints go to."""

    process: subprocess.Popen[bytes]
    out: IO[bytes]
    complaints: IO[bytes]

    def complaint(self) -> str | None:
        """What went wrong, once it has ended. None: nothing."""
        if self.process.wait() == 0:
            return None
        self.complaints.seek(0)
        return self.complaints.read(2_000).decode(errors="replace").strip() or "it said nothing"

    def check(self) -> None:
        """Raises Unavailable unless it ended well."""
        if complaint := self.complaint():
            raise Unavailable(f"git failed: {' '.join(complaint.split())}")


@dataclass(frozen=True, slots=True)
class Ask:
    """A repository that git is asked about; `cut` are the commits whose parents a shallow clone left out."""

    folder: Path
    cut: frozenset[str] = frozenset()

    def answer(self, *arguments: str) -> str | None:
        """What git prints for a question. None: it says no."""
        with _started(self.folder, arguments) as running:
            text = _text(running.out.read()).strip()
            return None if running.complaint() else text


def ask(path: Path) -> Ask:
    """The repository in a folder, ready to be asked. Raises InvalidInput when there is none."""
    folder = path.resolve()
    if not folder.is_dir():
        raise InvalidInput(f"{path} is not a folder", field="git")
    with _started(folder, ("rev-parse", "--git-dir")) as running:
        running.out.read()
        complaint = running.complaint() or ""
    if "dubious ownership" in complaint:
        fix = f"git config --global --add safe.directory {folder}"
        raise InvalidInput(f"{path} belongs to another user, so git does not read it; if you trust it: {fix}")
    if complaint:
        raise InvalidInput(f"{path} is not a git repository", field="git")
    git = Ask(folder)
    if git.answer("rev-parse", "--is-shallow-repository") == "true":
        listed = folder / (git.answer("rev-parse", "--git-path", "shallow") or "")
        if listed.is_file():
            git = Ask(folder, frozenset(listed.read_text().split()))
    return git


def main_branch(git: Ask) -> tuple[str, str | None]:
    """(commit, name) of the default branch: the remote's, else main or master, else what is checked out.

    The name is None on a detached head. Raises InvalidInput in a repository without commits.
    """
    remote = git.answer("symbolic-ref", "--quiet", "refs/remotes/origin/HEAD") or ""
    names = [remote] if remote else []
    names += [f"{where}/{name}" for where in ("refs/remotes/origin", "refs/heads") for name in ("main", "master")]
    names += [git.answer("symbolic-ref", "--quiet", "HEAD") or "HEAD"]
    for name in names:
        if sha := git.answer("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"):
            short = name.removeprefix("refs/remotes/origin/").removeprefix("refs/heads/")
            return sha, None if name == "HEAD" else short
    raise InvalidInput("the repository has no commits", field="git")


def read_graph(git: Ask, ref: str, since: datetime | None) -> dict[str, tuple[str, ...]]:
    """Parents by commit, children first, of all that the default branch took in after `since`."""
    older = None
    if since is not None:
        stamp = str(int(since.timestamp()))
        older = git.answer("rev-list", "--first-parent", "--max-count=1", f"--min-age={stamp}", ref)
    arguments = ["rev-list", "--topo-order", "--parents", ref, *([f"^{older}"] if older else [])]
    graph: dict[str, tuple[str, ...]] = {}
    with _started(git.folder, arguments) as running:
        for line in running.out:
            sha, *parents = line.decode().split()
            graph[sha] = tuple(parents)
        running.check()
    return graph


@contextmanager
def read_commits(git: Ask, shas: Iterable[str]) -> Iterator[Iterator[LoggedCommit]]:
    """The commits with these names, in their order, read as they are taken."""
    with tempfile.TemporaryFile() as names:
        names.writelines(f"{sha}\n".encode() for sha in shas)
        if names.tell() == 0:  # without a name git would show the checked-out commit
            yield iter(())
            return
        names.seek(0)
        arguments = (*_LOG, "--format=tformat:%x00" + "%x00".join(_FIELDS) + "%x00")
        with _started(git.folder, arguments, names) as running:
            yield _parsed(running, git.cut)


def _parsed(running: _Running, cut: frozenset[str]) -> Iterator[LoggedCommit]:
    """A record is: nothing, the fields, nothing, file names; a name is never empty, so nothing begins the next."""
    parts = _parts(running.out)
    more = next(parts, None) is not None
    while more:
        fields = [_text(part) for part in islice(parts, len(_FIELDS) + 1)]
        if len(fields) <= len(_FIELDS):
            running.check()
            raise Unavailable("git failed: it stopped in the middle of a commit")
        sha, parents, authored, committed, name, email, message, note, _ = fields
        files: list[str] = []
        more = False
        for part in parts:
            if not part:
                more = True
                break
            if len(files) < MAX_FILES:
                files.append(_text(part if files else part.removeprefix(b"\n")))
        yield LoggedCommit(
            sha=sha,
            parents=tuple(parents.split()),
            authored_at=_moment(authored, committed),
            committed_at=_moment(committed, authored),
            name=name.strip(),
            email=email.strip(),
            message=message.strip("\n"),
            note=note.strip("\n"),
            # Without its parent a commit seems to add every file that there is.
            files=() if sha in cut else tuple(files),
        )
    running.check()


def _parts(stream: IO[bytes]) -> Iterator[bytes]:
    """What stands between zero bytes; a last part without one is no part."""
    rest = b""
    while chunk := stream.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _moment(stamp: str, other: str) -> datetime:
    """A commit may hold any date at all: one that is none gives way to its other date."""
    for text in (stamp, other):
        try:
            return datetime.fromtimestamp(int(text), UTC)
        except (ValueError, OverflowError, OSError):
            continue
    return _EPOCH


@contextmanager
def _started(folder: Path, arguments: Sequence[str], stdin: IO[bytes] | None = None) -> Iterator[_Running]:
    """Starts git, and stops it at the end if it still runs. Raises Unavailable where there is no git."""
    env = {name: value for name, value in os.environ.items() if name not in _LOCAL}
    env |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    command = ("git", "--no-pager", "--no-replace-objects", "-C", str(folder), *arguments)
    source = stdin if stdin is not None else subprocess.DEVNULL
    with tempfile.TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE, stderr=complaints, env=env)
        except FileNotFoundError as error:
            raise Unavailable("git is not installed, or not on the PATH") from error
        assert process.stdout is not None
        with process.stdout:
            try:
                yield _Running(process, process.stdout, complaints)
            finally:
                if process.poll() is None:
                    process.kill()
                process.wait()
