"""The hooks that write trailers, with the real git: which commits get them, what stays as it was, and the links."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from costlens.cli import main
from costlens.domain.runs import show_id
from costlens.domain.trailers import commit_trailers
from costlens.github.clone import read_clone
from costlens.services.linking import link_repository
from costlens.services.sync import import_records
from costlens.store import tables as t
from tests.services.ledger import Ledger, a_run, check_buckets, check_sums, open_ledger


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of alice's, and the environment in which she commits."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.path, env=self.environment | environment, text=True, capture_output=True, check=False
        )

    def git(self, *arguments: str, **environment: str) -> str:
        done = self.run("git", *arguments, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def costlens(self, *arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(main, ["hook", *arguments, "--repository", str(self.path)])
        assert done.exit_code == code, done.output
        return done.output

    def commit(self, message: str, *arguments: str, **environment: str) -> str:
        """An empty commit; its message."""
        self.git("commit", "--allow-empty", "-m", message, *arguments, **environment)
        return self.message()

    def message(self, commit: str = "HEAD") -> str:
        return self.git("log", "-1", "--format=%B", commit).rstrip("\n")

    def at(self, path: Path) -> Repository:
        return Repository(path, self.environment)


SESSION = {"COSTLENS_SESSION": "s-1"}
WITH_SESSION = "Change\n\nCostLens-Session: s-1"


@pytest.fixture
def bare(tmp_path: Path) -> Repository:
    alice = {"NAME": "Alice", "EMAIL": "alice@example.com"}
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in alice.items()}
    places = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1", "GIT_EDITOR": "true"}
    made = Repository(tmp_path / "web", who | places)
    made.path.mkdir()
    made.git("init", "-q", "-b", "main")
    return made


@pytest.fixture
def repository(bare: Repository) -> Repository:
    """One where the hooks are installed, with a first commit."""
    bare.git("commit", "--allow-empty", "-q", "-m", "Start")
    bare.costlens("install")
    return bare


def write_hook(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(("#!/bin/sh", *lines)) + "\n")
    path.chmod(0o755)


def test_the_environment_names_session_run_and_prompt(repository: Repository) -> None:
    assert repository.commit("Change") == "Change"
    assert repository.commit("Change", **SESSION) == WITH_SESSION
    everything = SESSION | {"COSTLENS_RUN": "run_1, run_2", "COSTLENS_PROMPT": "fix-login-v2"}
    message = repository.commit(
        "Change\n\nWhy.\n\n---\nMore.\n\nSigned-off-by: Alice <alice@example.com>", **everything
    )
    found = commit_trailers(message)
    assert (found.sessions, found.run_keys, found.prompts) == ({"s-1"}, {"run_1", "run_2"}, {"fix-login-v2"})
    assert message.splitlines()[-4] == "Signed-off-by: Alice <alice@example.com>"
    assert repository.commit("Change", COSTLENS_SESSION="s-1\nevil: x").splitlines()[2:] == [
        "CostLens-Session: s-1 evil: x"
    ]


def test_the_state_file_names_them_until_it_is_old_or_ended(repository: Repository) -> None:
    repository.costlens("session", "s-2", "--run", "run_1", "--run", "run_2", "--prompt", "p")
    lines = ["CostLens-Session: s-2", "CostLens-Run: run_1", "CostLens-Run: run_2", "CostLens-Prompt: p"]
    assert repository.commit("Change").splitlines()[2:] == lines
    assert repository.commit("Change", **SESSION).splitlines()[2:] == ["CostLens-Session: s-1", *lines[1:]]
    state = repository.path / ".git/costlens/session"
    long_ago = time.time() - 13 * 3600
    os.utime(state, (long_ago, long_ago))
    assert repository.commit("Change") == "Change"
    repository.costlens("session", "s-3")
    assert repository.commit("Change").endswith("CostLens-Session: s-3")
    repository.costlens("session", "--end")
    assert repository.commit("Change") == "Change"
    assert "Name a session" in repository.costlens("session", code=2)
    assert "1 to 200 characters" in repository.costlens("session", "a\nb", code=1)


def test_no_trailer_comes_twice(repository: Repository) -> None:
    repository.commit("Change", **SESSION)
    repository.git("commit", "--amend", "--allow-empty", "--no-edit", **SESSION)
    assert repository.message() == WITH_SESSION
    repository.git("commit", "--amend", "--allow-empty", "--no-edit", COSTLENS_SESSION="s-2")
    assert repository.message() == f"{WITH_SESSION}\nCostLens-Session: s-2"
    assert repository.commit(WITH_SESSION, **SESSION) == WITH_SESSION


def test_commits_made_anew_keep_their_messages(repository: Repository) -> None:
    repository.git("checkout", "-q", "-b", "side")
    (repository.path / "a").write_text("a")
    repository.git("add", "a")
    repository.commit("Change", **SESSION)
    repository.git("commit", "--allow-empty", "-q", "-m", "By hand")
    repository.git("checkout", "-q", "main")
    repository.commit("Meanwhile")
    repository.git("cherry-pick", "side~1", COSTLENS_SESSION="s-9")
    assert repository.message() == WITH_SESSION
    repository.git("rebase", "-q", "--force-rebase", "--keep-empty", "main~1", "side", COSTLENS_SESSION="s-9")
    assert (repository.message(), repository.message("HEAD~1")) == ("By hand", WITH_SESSION)
    repository.git("checkout", "-q", "main")
    repository.git("merge", "-q", "--no-ff", "--no-edit", "side", COSTLENS_SESSION="s-9")
    assert "CostLens" not in repository.message()


def test_a_squash_keeps_the_trailers_of_what_it_squashes(repository: Repository) -> None:
    repository.git("checkout", "-q", "-b", "side")
    for number in ("1", "2"):
        (repository.path / number).write_text(number)
        repository.git("add", number)
        repository.commit("Change", COSTLENS_SESSION=f"s-{number}", COSTLENS_RUN=f"run_{number}")
    repository.git("checkout", "-q", "main")
    repository.git("merge", "-q", "--squash", "side")
    repository.git("commit", "-q", "--no-edit", COSTLENS_SESSION="s-9")
    found = commit_trailers(repository.message())
    assert (found.sessions, found.run_keys) == ({"s-1", "s-2"}, {"run_1", "run_2"})


def test_a_message_that_is_left_empty_makes_no_commit(repository: Repository) -> None:
    before = repository.git("rev-parse", "HEAD")
    for more in ((), ("--verbose",)):
        done = repository.run("git", "commit", "--allow-empty", *more, **SESSION)
        assert done.returncode == 1
        assert "empty commit message" in done.stderr
    assert repository.git("rev-parse", "HEAD") == before
    write_hook(repository.path.parent / "editor", 'printf "Change\\n" | cat - "$1" > "$1.new" && mv "$1.new" "$1"')
    repository.git("commit", "--allow-empty", GIT_EDITOR=str(repository.path.parent / "editor"), **SESSION)
    assert repository.message() == WITH_SESSION


@pytest.mark.parametrize("mark", ["#", "auto", "^"])
def test_what_a_person_wrote_is_never_taken_for_a_comment_of_git(repository: Repository, mark: str) -> None:
    repository.git("config", "core.commentChar", mark)
    for said in ("#12 Fix the login", "update x", "^ caret", "// slashes"):
        assert repository.commit(said, **SESSION) == f"{said}\n\nCostLens-Session: s-1"
    done = repository.run("git", "commit", "--allow-empty", "-m", "", **SESSION)
    assert done.returncode == 1
    assert "empty commit message" in done.stderr


def test_a_template_that_is_left_as_it_is_makes_no_commit(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "template").write_text("Ticket:\n# What and why\n")
    repository.git("config", "commit.template", str(tmp_path / "template"))
    before = repository.git("rev-parse", "HEAD")
    assert repository.run("git", "commit", "--allow-empty", **SESSION).returncode == 1
    assert repository.git("rev-parse", "HEAD") == before
    write_hook(tmp_path / "editor", 'sed -i "s/Ticket:/Ticket: 7/" "$1"')
    repository.git("commit", "--allow-empty", GIT_EDITOR=str(tmp_path / "editor"), **SESSION)
    assert repository.message() == "Ticket: 7\n\nCostLens-Session: s-1"
    assert repository.commit("Ticket:", **SESSION) == "Ticket:\n\nCostLens-Session: s-1"


def test_husky_keeps_its_own_hooks(bare: Repository) -> None:
    bare.git("config", "core.hooksPath", ".husky/_")
    told = bare.costlens("install", code=1)
    assert "husky" in told
    assert not (bare.path / ".husky").exists()
    script = bare.path / ".husky/prepare-commit-msg"
    script.parent.mkdir()
    done = CliRunner().invoke(main, ["hook", "show", "prepare-commit-msg"])
    script.write_text(done.output)
    # As husky calls it.
    write_hook(bare.path / ".husky/_/prepare-commit-msg", 'exec sh -e .husky/prepare-commit-msg "$@"')
    assert bare.commit("Change", **SESSION) == WITH_SESSION


def test_hooks_that_were_there_are_called_first_and_come_back(bare: Repository) -> None:
    hooks = bare.path / ".git/hooks"
    write_hook(hooks / "prepare-commit-msg", 'printf "\\nTicket: 7\\n" >> "$1"')
    write_hook(hooks / "commit-msg", 'grep -q Change "$1"')
    first = {path.name: path.read_text() for path in hooks.iterdir() if not path.suffix}
    assert "after prepare-commit-msg.before-costlens" in bare.costlens("install")
    bare.costlens("install")  # again: the same
    assert bare.commit("Change", **SESSION) == "Change\n\nTicket: 7\nCostLens-Session: s-1"
    assert bare.run("git", "commit", "--allow-empty", "-m", "No").returncode == 1  # the first hook's refusal holds
    assert bare.costlens("status").count(": installed") == 2
    assert bare.costlens("uninstall").count("removed") == 2
    assert {path.name: path.read_text() for path in hooks.iterdir() if not path.suffix} == first
    assert bare.costlens("uninstall") == "Nothing was installed\n"
    assert bare.costlens("status").count(": not installed") == 2
    # Somebody wrote a hook over ours: which of the two comes first is not ours to say.
    bare.costlens("install")
    write_hook(hooks / "commit-msg", "true")
    assert "both not ours" in bare.costlens("install", code=1)


def test_hooks_path_and_worktrees(bare: Repository, tmp_path: Path) -> None:
    bare.git("config", "core.hooksPath", "tools/hooks")
    bare.costlens("install")
    assert (bare.path / "tools/hooks/prepare-commit-msg").exists()
    assert not (bare.path / ".git/hooks/prepare-commit-msg").exists()
    bare.git("config", "--unset", "core.hooksPath")
    bare.git("commit", "--allow-empty", "-q", "-m", "Start")
    bare.git("worktree", "add", "-q", str(tmp_path / "tree"))
    tree = bare.at(tmp_path / "tree")
    tree.costlens("install")  # the hooks of all worktrees are the repository's
    tree.costlens("session", "s-tree")
    assert tree.commit("Change").endswith("CostLens-Session: s-tree")
    assert bare.commit("Change") == "Change"  # the session is the worktree's


def test_no_commit_fails_by_the_hook(repository: Repository) -> None:
    state = repository.path / ".git/costlens"
    state.mkdir()
    (state / "session").mkdir()  # no file at all
    assert repository.commit("Change") == "Change"
    (state / "session").rmdir()
    (state / "session").write_bytes(b"\xff\x00 nonsense\nCostLens-Session: s-1\n")
    assert repository.run("git", "commit", "--allow-empty", "-m", "Change").returncode == 0


def test_what_cannot_be_is_told(bare: Repository, tmp_path: Path) -> None:
    assert "is in no git repository" in bare.at(tmp_path).costlens("install", code=1)
    assert "is no folder" in bare.at(tmp_path / "nowhere").costlens("install", code=1)
    asked = (sys.executable, "-m", "costlens.cli", "hook", "install", "--help")
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert "kept and called first" in done.stdout


@pytest.fixture
def ledger(engine: str) -> Iterator[Ledger]:
    with open_ledger(engine=engine) as opened:
        yield opened
        check_sums(opened)
        check_buckets(opened)


def test_trailers_of_the_hook_link_runs(repository: Repository, ledger: Ledger) -> None:
    now = datetime.now(UTC)
    head = a_run(actor="alice@example.com", repository="acme/web", occurred_at=now - timedelta(minutes=9))
    by_run = ledger.send_one(head, now=now)
    by_session = ledger.send_one(replace(head, session_id="s-1"), now=now)
    earlier = replace(head, prompt_id="fix-login", occurred_at=now - timedelta(days=3))
    by_prompt = ledger.send_one(earlier, now=now)
    repository.git("checkout", "-q", "-b", "side")
    for name, told in (
        ("a", {"COSTLENS_RUN": show_id("run", by_run.id)}),
        ("b", SESSION),
        ("c", {"COSTLENS_PROMPT": "fix-login"}),
    ):
        (repository.path / name).write_text(name)
        repository.git("add", name)
        repository.commit("Change", **told)
    repository.git("checkout", "-q", "main")
    repository.git("merge", "-q", "--no-ff", "-m", "Merge pull request #7 from acme/side\n\nAll of it", "side")
    import_records(ledger.store, ledger.organization.id, read_clone(repository.path, "acme/web"), now=now)
    for number in (ledger.repository("acme/web"), 0):
        link_repository(ledger.store, ledger.organization.id, number, now=now)
    rules = {row["run_id"]: row["rule"] for row in ledger.rows(t.links) if row["state"] == "counted"}
    assert rules == {by_run.id: "X1", by_session.id: "S1", by_prompt.id: "P1"}
