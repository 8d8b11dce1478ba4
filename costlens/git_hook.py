"""The git hooks that write CostLens trailers into commit messages: their text, and where git keeps them.

They are shell and git alone, so a commit waits for no Python, and an environment that is gone breaks no commit.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

MARK = "# costlens-hook"
BEFORE = ".before-costlens"  # suffix of the hook that was there first, and is called first
SESSION_FILE = "costlens/session"  # in the git directory of the worktree
SHOWN_FILE = "costlens/shown"  # beside it: what the editor shows of a message that is not begun, while it is open
SESSION_HOURS = 12  # a session that was told longer ago is over, whether or not anybody said so

_HEAD = f"""#!/bin/sh
{MARK}: written by `costlens hook install`, removed by `costlens hook uninstall`.
before="$0{BEFORE}"
if [ -x "$before" ]; then "$before" "$@" || exit; fi
"""

_PREPARE = """
told() {
  for key in Session Run Prompt; do
    case $key in
      Session) value=$COSTLENS_SESSION ;;
      Run) value=$COSTLENS_RUN ;;
      Prompt) value=$COSTLENS_PROMPT ;;
    esac
    if [ "$source" = squash ]; then
      # What is squashed keeps its trailers, which stand indented in the middle of the message.
      sed -n "s/^[[:space:]]*\\(CostLens-$key: .*\\)/\\1/p" "$file"
    elif [ -n "$value" ]; then
      printf 'CostLens-%s: %s\\n' "$key" "$(printf '%s' "$value" | tr '\\n\\r' '  ')"
    elif [ -n "$fresh" ]; then
      grep "^CostLens-$key: " "$state"
    fi
  done
}

add() {
  file=$1 source=$2
  shown=$(git rev-parse --git-path @SHOWN@)
  rm -f "$shown"
  case $source in
    merge) return 0 ;;
    message) grep -q '[^[:space:]]' "$file" || return 0 ;; # git makes no commit of it
    template | "") mkdir -p "${shown%/*}" && text "$file" >"$shown" ;;
  esac
  # Commits that are made anew keep their messages.
  for place in rebase-merge rebase-apply CHERRY_PICK_HEAD REVERT_HEAD; do
    [ ! -e "$(git rev-parse --git-path "$place")" ] || return 0
  done
  state=$(git rev-parse --git-path @SESSION@)
  fresh=$(find "$state" -mmin -@MINUTES@ 2>/dev/null)
  told | while IFS= read -r line; do
    git interpret-trailers --in-place --no-divider --where end --if-exists addIfDifferent --trailer "$line" "$file"
  done
}

add "$@" >/dev/null 2>&1 || :
exit 0
"""

# What a person wrote in an editor: without git's comments, our trailers and empty lines.
_TEXT = """
text() {
  mark=$(git config core.commentString || git config core.commentChar || echo '#')
  [ "$mark" != auto ] || mark='#'
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      "$mark ------------------------ >8 ------------------------") break ;;
      "$mark"* | CostLens-*) ;;
      *[![:space:]]*) printf '%s\\n' "$line" ;;
    esac
  done <"$1"
}
"""

_COMMIT_MSG = """
# A message that was left as the editor showed it, but for our trailers, is emptied: git makes no commit of it then, as
# it would have without them.
check() {
  shown=$(git rev-parse --git-path @SHOWN@)
  [ -f "$shown" ] || return 0
  before=$(cat "$shown")
  rm -f "$shown"
  grep -q '^CostLens-' "$1" || return 0
  [ "$(text "$1")" != "$before" ] || : >"$1"
}

check "$@" 2>/dev/null || :
exit 0
"""


def _script(body: str) -> str:
    """The text of a hook."""
    names = {"@SHOWN@": SHOWN_FILE, "@SESSION@": SESSION_FILE, "@MINUTES@": str(SESSION_HOURS * 60)}
    for name, value in names.items():
        body = body.replace(name, value)
    return _HEAD + _TEXT + body


HOOKS = {"prepare-commit-msg": _script(_PREPARE), "commit-msg": _script(_COMMIT_MSG)}


class HookError(Exception):
    """What stands in the way, in one line."""


@dataclass(frozen=True, slots=True)
class Hook:
    path: Path
    installed: bool
    chained: Path | None  # the hook that was there first. None: there was none


def git_path(repository: Path, name: str) -> Path:
    """Where git keeps this for the worktree at `repository`. Raises HookError."""
    try:
        done = subprocess.run(
            ("git", "rev-parse", "--git-path", name), cwd=repository, capture_output=True, text=True, check=False
        )
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "git is not installed" if error.filename == "git" else f"{repository} is no folder"
        raise HookError(what) from error
    if done.returncode != 0:
        raise HookError(f"{repository} is in no git repository")
    return (repository / os.path.expanduser(done.stdout.rstrip("\n"))).resolve()


def find_hooks(repository: Path) -> list[Hook]:
    """Our hooks in the folder that git runs hooks from: `core.hooksPath`, else the repository's own."""
    folder = git_path(repository, "hooks")
    found = []
    for name in HOOKS:
        path, first = folder / name, folder / (name + BEFORE)
        found.append(Hook(path, _is_ours(path), first if os.path.lexists(first) else None))
    return found


def _is_ours(path: Path) -> bool:
    try:
        return MARK in path.read_text(errors="replace")
    except OSError:
        return False


def install(repository: Path) -> list[Hook]:
    """Writes our hooks; a hook that is there already is kept beside ours and called first. Raises HookError.

    Not into the folder of husky, which writes it anew, and whose hooks go by the name that they are called by.
    """
    for hook in find_hooks(repository):
        folder = hook.path.parent
        if folder.name == "_" and folder.parent.name == ".husky":
            name = hook.path.name
            raise HookError(f"husky keeps the hooks here: costlens hook show {name} >> {folder.parent / name}")
        if hook.chained and not hook.installed and os.path.lexists(hook.path):
            raise HookError(f"{hook.path} and {hook.chained.name} are both not ours: join them into one first")
    for hook in find_hooks(repository):
        try:
            hook.path.parent.mkdir(parents=True, exist_ok=True)
            if not hook.installed and os.path.lexists(hook.path):
                hook.path.rename(hook.path.with_name(hook.path.name + BEFORE))
            written = hook.path.with_name(f"{hook.path.name}.{os.getpid()}")
            written.write_text(HOOKS[hook.path.name])
            written.chmod(0o755)
            written.replace(hook.path)
        except OSError as error:
            raise HookError(f"{hook.path} cannot be written: {error.strerror}") from error
    return find_hooks(repository)


def uninstall(repository: Path) -> list[Path]:
    """Removes our hooks and puts back those that were there first; answers what was removed. Raises HookError."""
    removed = []
    for hook in find_hooks(repository):
        try:
            if hook.installed:
                hook.path.unlink()
                removed.append(hook.path)
                if hook.chained:
                    hook.chained.rename(hook.path)
        except OSError as error:
            raise HookError(f"{hook.path} cannot be removed: {error.strerror}") from error
    return removed


def tell_session(repository: Path, values: dict[str, tuple[str, ...]]) -> Path:
    """Keeps what the next commits of this worktree are to name, by trailer. Raises HookError."""
    path = git_path(repository, SESSION_FILE)
    lines = [f"{key}: {value}\n" for key, some in values.items() for value in some]
    if any(
        not value.isprintable() or not value.strip() or len(value) > 200 for some in values.values() for value in some
    ):
        raise HookError("an id has 1 to 200 characters in one line")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines))
    except OSError as error:
        raise HookError(f"{path} cannot be written: {error.strerror}") from error
    return path


def end_session(repository: Path) -> None:
    """Forgets it. Raises HookError."""
    path = git_path(repository, SESSION_FILE)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise HookError(f"{path} cannot be removed: {error.strerror}") from error
