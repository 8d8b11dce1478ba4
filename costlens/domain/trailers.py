"""What commit messages and pull request texts say of AI: run and session trailers, reverts, and signs of an agent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from costlens.domain.names import identities_of
from costlens.domain.people import is_updater

SESSION_KEYS = (
    "CostLens-Session",
    "Claude-Session",
    "Copilot-Session",
    "Agent-Logs-Url",
    "Amp-Thread-ID",
    "Entire-Session",
)
RUN_KEY = "CostLens-Run"
PROMPT_KEY = "CostLens-Prompt"

_SESSIONS = frozenset(key.lower() for key in SESSION_KEYS)
_TRAILER = re.compile(r"^([A-Za-z0-9][A-Za-z0-9-]*)[ \t]*:[ \t]*(.*)$")
_GIT_MADE = re.compile(r"^(Signed-off-by: |\(cherry picked from commit )", re.IGNORECASE)
_IN_BODY = re.compile(
    r"(?<![\w-])(" + "|".join(map(re.escape, (RUN_KEY, PROMPT_KEY, *SESSION_KEYS))) + r")[*_`]*[ \t]*:([^\n]*)",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"-->|[`*<>()\[\]|]")


@dataclass(frozen=True, slots=True)
class Trailers:
    """Ids that a text names: runs, sessions of any agent, prompts."""

    run_keys: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()
    prompts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RevertTarget:
    """What a revert takes back: a commit by its sha (maybe shortened), or a pull request by number."""

    sha: str | None = None  # None: named by number
    number: int | None = None  # None: named by sha
    repository: str | None = None  # lower-case owner/name; None: the same repository


def commit_trailers(message: str) -> Trailers:
    """The ids in a commit message's trailers, by git's rule: only its last paragraph, and never its title.

    The paragraph counts if all its lines are trailers, or a quarter of them with one that git itself writes
    (git-interpret-trailers(1)).
    """
    return _collect(_trailer_lines(message))


def body_trailers(body: str | None) -> Trailers:
    """The ids that a pull request body names, wherever they stand: in lists, in code marks, in HTML comments."""
    if not body:
        return Trailers()
    found = ((match[1], _MARKUP.sub(" ", match[2]).strip()) for match in _IN_BODY.finditer(body))
    # Prose may follow the id, so only the first word of each comma-separated part is one.
    return _collect(
        (key, ", ".join(part.split()[0] for part in value.split(",") if part.split())) for key, value in found
    )


def _trailer_lines(message: str) -> list[tuple[str, str]]:
    paragraphs = re.split(r"\n[ \t]*\n", message.replace("\r\n", "\n").strip())
    if len(paragraphs) < 2:
        return []
    lines: list[str] = []
    for line in paragraphs[-1].strip("\n").split("\n"):
        if line[:1] in (" ", "\t") and lines:
            lines[-1] += " " + line.strip()  # a folded value goes on
        else:
            lines.append(line.rstrip())
    trailers = [(match[1], match[2].strip()) for line in lines if (match := _TRAILER.match(line))]
    made_by_git = [line for line in lines if _GIT_MADE.match(line)]
    other = len(lines) - len(trailers) - sum(not _TRAILER.match(line) for line in made_by_git)
    if other == 0 or (made_by_git and (len(lines) - other) * 4 >= len(lines)):
        return trailers
    return []


def _collect(pairs: Iterable[tuple[str, str]]) -> Trailers:
    runs: set[str] = set()
    sessions: set[str] = set()
    prompts: set[str] = set()
    for key, value in pairs:
        key = key.lower()
        if not value:
            continue
        if key == RUN_KEY.lower():
            runs.update(part for part in re.split(r"[,\s]+", value) if part)
        elif key == PROMPT_KEY.lower():
            prompts.update(part.strip() for part in value.split(",") if part.strip())
        elif key in _SESSIONS:
            sessions.update(_session_ids(value))
    return Trailers(frozenset(runs), frozenset(sessions), frozenset(prompts))


def _session_ids(value: str) -> Iterator[str]:
    """The session as written and, where it is an address, its last part, which is what a run knows."""
    for part in re.split(r"[,\s]+", value):
        if not part:
            continue
        yield part
        if "://" in part and (last := part.split("?")[0].split("#")[0].rstrip("/").rsplit("/", 1)[-1]):
            yield last


_REVERTS_COMMIT = re.compile(r"^This reverts commit ([0-9a-f]{7,40})\b", re.MULTILINE)
_REVERTS_PULL = re.compile(r"^Reverts (?:([\w.-]+/[\w.-]+))?#(\d{1,9})\b", re.MULTILINE)
_REVERT_BRANCH = re.compile(r"^revert-(\d{1,9})-.")


def revert_targets(title: str, body: str | None = None, head_ref: str | None = None) -> tuple[RevertTarget, ...]:
    """What a commit or pull request reverts, without repeats; empty if it is no revert.

    `title` may be a whole commit message. Quoted lines do not count, and a branch name is asked only where the text
    names nothing.
    """
    text = f"{title}\n{body or ''}".replace("\r\n", "\n")
    found = [RevertTarget(sha=match[1]) for match in _REVERTS_COMMIT.finditer(text)]
    found += [
        RevertTarget(number=int(match[2]), repository=match[1].lower() if match[1] else None)
        for match in _REVERTS_PULL.finditer(text)
    ]
    if not found and head_ref and (branch := _REVERT_BRANCH.match(head_ref)):
        found.append(RevertTarget(number=int(branch[1])))
    return tuple(dict.fromkeys(found))


# Agents by what cannot be a coincidence: e-mails, GitHub user ids, logins of apps. Display names prove nothing.
_EMAILS = {
    "noreply@anthropic.com": "claude",
    "cursoragent@cursor.com": "cursor",
    "noreply@openai.com": "codex",
    "codex@openai.com": "codex",
    "openhands@all-hands.dev": "openhands",
    "amp@ampcode.com": "amp",
    "aider@aider.chat": "aider",
}
_USER_IDS = {
    223556219: "copilot",
    175728472: "copilot",
    198982749: "copilot",
    158243242: "devin",
    138933559: "factory",
}
_APP_LOGINS = {
    "copilot-swe-agent": "copilot",
    "devin-ai-integration": "devin",
    "factory-droid": "factory",
}
_MARKERS = (
    (re.compile(r"^(?![ \t]*>).*Generated with \[Claude Code\]", re.MULTILINE), "claude"),
    (re.compile(r"^Made-with: Cursor\s*$", re.MULTILINE | re.IGNORECASE), "cursor"),
)
_HIDDEN = re.compile(r"<!--.*?-->", re.DOTALL)  # what a template says of signs is none
_LABELS = {"claude-code-assisted": "claude"}
_BRANCHES = {f"{name}/": name for name in ("copilot", "claude", "codex", "devin", "cursor")}
_CO_AUTHOR = re.compile(r"^Co-authored-by:([^<\n]*)<([^>\n]+)>", re.MULTILINE | re.IGNORECASE)
_NOREPLY = re.compile(r"^(\d+)\+[^@]+@users\.noreply\.github\.com$")


def ai_signal(
    message: str = "",
    *,
    author_login: str | None = None,
    author_email: str | None = None,
    author_id: int | None = None,
    author_name: str | None = None,
    labels: Iterable[str] = (),
    head_ref: str | None = None,
) -> str | None:
    """The agent that a commit or pull request declares, such as "claude"; None is no evidence of human work.

    `message` is a commit message or a pull request body. Of `author_name` only the suffix that aider writes counts.
    """
    author = _USER_IDS.get(author_id) if author_id is not None else None
    if author is None and author_login:  # GraphQL leaves the suffix of an app's login out
        author = _APP_LOGINS.get(author_login.removesuffix("[bot]").lower())
    if author or (author := _agent_of(author_email)):
        return author
    if author_name and author_name.endswith("(aider)"):
        return "aider"
    if is_updater(identities_of(login=author_login, email=author_email)):
        return None  # its texts quote the commits of others
    message = _HIDDEN.sub("", message)
    for name, email in _CO_AUTHOR.findall(message):
        # Copilot Autofix repairs a finding of a scanner under Copilot's address; it did not write the change.
        if (agent := _agent_of(email)) and "autofix" not in name.lower():
            return agent
    for pattern, agent in _MARKERS:
        if pattern.search(message):
            return agent
    for label in sorted(labels):
        if label in _LABELS:
            return _LABELS[label]
    return next((agent for prefix, agent in _BRANCHES.items() if (head_ref or "").startswith(prefix)), None)


def co_authors(message: str) -> frozenset[str]:
    """The e-mail addresses, in lower case, of the people whom a commit names as its authors; agents and bots not."""
    found = (email.strip().lower() for _, email in _CO_AUTHOR.findall(message))
    return frozenset(email for email in found if "@" in email and "[bot]@" not in email and not _agent_of(email))


_SQUASHED = re.compile(r"\(#(\d{1,9})\)$")


def squashed_pull(message: str) -> int | None:
    """The number that a squash merge writes at the end of the title: `Title (#7)`. None: the title ends otherwise."""
    match = _SQUASHED.search(message.partition("\n")[0].rstrip())
    return int(match[1]) if match else None


def _agent_of(email: str | None) -> str | None:
    address = (email or "").strip().lower()
    if match := _NOREPLY.match(address):
        return _USER_IDS.get(int(match[1]))
    return _EMAILS.get(address)
