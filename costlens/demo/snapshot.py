"""Work items as lines of the snapshot format: repositories, people, pull requests and commits as GitHub tells them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from costlens.demo import words, world
from costlens.demo.asides import DirectCommit
from costlens.demo.pulls import Session, WorkItem, next_office_hour, request_id, session_id
from costlens.demo.world import Repository

Line = dict[str, Any]

CLAUDE_TRAILER = "Co-Authored-By: Claude <noreply@anthropic.com>"
CLAUDE_BODY = "Generated with [Claude Code](https://claude.com/claude-code)"
CURSOR_TRAILER = "Co-authored-by: Cursor <cursoragent@cursor.com>"
DEPENDABOT = ("dependabot[bot]", 49699333)
COPILOT = ("copilot-swe-agent[bot]", 198982749)
RUN_TRAILER_AUTHORS = ("alice", "olivia")  # name one run in their commits


@dataclass(frozen=True, slots=True)
class BotPull:
    """A pull request of a program: a dependency update, or work of a hosted agent whose runs nobody tracks."""

    key: str
    repository: Repository
    author: tuple[str, int]
    title: str
    branch: str
    created_at: datetime
    merged_at: datetime | None  # None: not merged
    closed_at: datetime | None  # None: open


def bot_pulls(seed: int, start: datetime, days: int) -> Iterator[BotPull]:
    """Weekly dependency updates, and a hosted agent's pull request now and then."""
    for day in range(days):
        date = start + timedelta(days=day)
        for repository in world.REPOSITORIES:
            rng = world.generator(seed, "bots", repository.name, date.date())
            if date.weekday() == 0:
                package, version = rng.choice(words.PACKAGES), day + 2
                title = f"Bump {package} from 4.{version - 1}.0 to 4.{version}.0"
                branch = f"dependabot/npm/{package}-4.{version}.0"
                created = world.at(date, 5 + rng.random()).replace(microsecond=0)
                author = DEPENDABOT
            elif date.weekday() in (1, 3) and rng.random() < 0.09:
                title, _, topic = words.title_and_kind(rng, repository.name)
                branch = f"copilot/{words.slug(topic)}-{day}"
                created = world.at(date, rng.uniform(8, 16)).replace(microsecond=0)
                author = COPILOT
            else:
                continue
            fate = rng.random()
            closed = next_office_hour(rng, created + timedelta(hours=rng.uniform(1, 40))) if fate < 0.93 else None
            key = f"bot:{repository.name}:{day}"
            yield BotPull(key, repository, author, title, branch, created, closed if fate < 0.82 else None, closed)


def numbers(items: Iterable[WorkItem], bots: Iterable[BotPull]) -> Mapping[str, int]:
    """The number of every pull request by key, in the order of creation; a revert's key is "revert:" and the item's."""
    opened: dict[str, list[tuple[datetime, str]]] = {repository.name: [] for repository in world.REPOSITORIES}
    for item in items:
        opened[item.repository.name].append((item.created_at, item.key))
        if item.reverted_at:
            opened[item.repository.name].append((item.reverted_at - timedelta(minutes=40), f"revert:{item.key}"))
    for bot in bots:
        opened[bot.repository.name].append((bot.created_at, bot.key))
    return {
        key: repository.first_number + place
        for repository in world.REPOSITORIES
        for place, (_, key) in enumerate(sorted(opened[repository.name]))
    }


def base_lines() -> Iterator[Line]:
    """Repositories and people."""
    for place, repository in enumerate(world.REPOSITORIES):
        yield {
            "type": "repository",
            "name": repository.full_name,
            "id": world.FIRST_REPOSITORY_ID + place,
            "defaultBranch": "main",
        }
    for person in world.PEOPLE:
        yield {
            "type": "person",
            "login": person.login,
            "id": world.PERSON_IDS[person.login],
            "emails": [world.email(person.login), world.noreply_email(person.login)],
            "name": person.login.capitalize(),
        }


def item_lines(seed: int, item: WorkItem, number_of: Mapping[str, int], end: datetime) -> Iterator[Line]:
    """The pull request of a work item as it stands at `end`, and the one that reverts it; nothing if not opened yet."""
    if item.created_at > end:
        return
    rng = world.generator(seed, "text", item.key)
    commits = [_commit(seed, item, session, rng.random()) for session in item.sessions if session.committed_at <= end]
    text = [f"{item.title}.", "", f"Touches {len({p for s in item.sessions for p in s.files})} files."]
    if item.assisted and item.author.tool == "claude-code" and rng.random() < 0.45:
        text += ["", CLAUDE_BODY]
    if item.author.hook and item.assisted and rng.random() < 0.3:
        text += ["", f"CostLens-Session: {session_id(seed, item.key, 0)}"]
    labels = [words.LABELS[item.kind]] if item.kind in words.LABELS else []
    if item.assisted and item.author.tool == "claude-code" and rng.random() < 0.15:
        labels.append("claude-code-assisted")
    reviews = []
    if item.reviewed_at <= end:
        state = "APPROVED" if item.merged_at else "COMMENTED"
        reviews.append({"author": item.reviewer.login, "state": state, "submittedAt": world.iso(item.reviewed_at)})
    yield _pull(
        item.repository,
        number_of[item.key],
        item.title,
        "\n".join(text),
        item.author.login,
        item.branch,
        commits,
        (item.created_at, item.merged_at, item.closed_at),
        (item.additions, item.deletions, len({path for session in item.sessions for path in session.files})),
        labels,
        reviews,
        world.commit_sha(seed, item.key, "merge"),
        end,
    )
    if item.reverted_at and item.reverter:
        yield from _revert_lines(seed, item, number_of, end)


def bot_lines(seed: int, bot: BotPull, number_of: Mapping[str, int], end: datetime) -> Iterator[Line]:
    """The bot's pull request as it stands at `end`."""
    if bot.created_at > end:
        return
    login, identity = bot.author
    commit = {
        "sha": world.commit_sha(seed, bot.key),
        "author": login,
        "authorEmail": f"{identity}+{login}@users.noreply.github.com",
        "authorId": identity,
        "authoredAt": world.iso(bot.created_at - timedelta(minutes=1)),
        "committedAt": world.iso(bot.created_at - timedelta(minutes=1)),
        "message": bot.title,
        "files": ["package-lock.json"] if bot.author is DEPENDABOT else ["README.md"],
        "branches": [bot.branch],
    }
    yield _pull(
        bot.repository,
        number_of[bot.key],
        bot.title,
        "Opened automatically.",
        login,
        bot.branch,
        [commit],
        (bot.created_at, bot.merged_at, bot.closed_at),
        (12, 12, 1),
        ["dependencies"] if bot.author is DEPENDABOT else [],
        [],
        world.commit_sha(seed, bot.key, "merge"),
        end,
    )


def direct_line(commit: DirectCommit) -> Line:
    """A commit outside any pull request."""
    moment = world.iso(commit.committed_at)
    return {
        "type": "commit",
        "repo": commit.repository.full_name,
        "sha": commit.sha,
        "author": commit.author.login,
        "authorEmail": world.email(commit.author.login),
        "authorId": world.PERSON_IDS[commit.author.login],
        "authoredAt": moment,
        "committedAt": moment,
        "message": commit.subject,
        "files": list(commit.files),
        "branches": ["main"],
    }


def _commit(seed: int, item: WorkItem, session: Session, point: float) -> Line:
    """One commit; `point` (0 to 1) decides whether its message shows the tool it was made with."""
    login = item.author.login
    step = words.STEPS[min(session.index, len(words.STEPS) - 1)]
    trailers = []
    if item.assisted and item.author.hook:
        trailers.append(f"CostLens-Session: {session_id(seed, item.key, session.index)}")
    if item.assisted and login in RUN_TRAILER_AUTHORS and point > 0.85:
        trailers.append(f"CostLens-Run: {request_id(seed, item.key, session.index, 0)}")
    if item.assisted and item.author.tool == "claude-code" and point < 0.55:
        trailers.append(CLAUDE_TRAILER)
    if item.assisted and item.author.tool == "cursor" and point < 0.35:
        trailers.append(CURSOR_TRAILER)
    subject = item.title if session.index == 0 else f"{item.title}: {step}"
    moment = world.iso(session.committed_at)
    return {
        "sha": session.sha,
        "author": login,
        "authorEmail": world.noreply_email(login) if item.author.actor == "noreply" else world.email(login),
        "authorId": world.PERSON_IDS[login],
        "authoredAt": moment,
        "committedAt": moment,
        "message": "\n\n".join([subject, "\n".join(trailers)]) if trailers else subject,
        "files": list(session.files),
        "branches": [item.branch],
    }


def _revert_lines(seed: int, item: WorkItem, number_of: Mapping[str, int], end: datetime) -> Iterator[Line]:
    if item.reverted_at is None or item.reverter is None or item.reverted_at - timedelta(minutes=40) > end:
        return
    created = item.reverted_at - timedelta(minutes=40)
    title, login = f'Revert "{item.title}"', item.reverter.login
    branch = f"revert-{number_of[item.key]}-{item.branch}"
    moment = world.iso(created - timedelta(minutes=3))
    commit = {
        "sha": world.commit_sha(seed, item.key, "revert"),
        "author": login,
        "authorEmail": world.email(login),
        "authorId": world.PERSON_IDS[login],
        "authoredAt": moment,
        "committedAt": moment,
        "message": f"{title}\n\nThis reverts commit {world.commit_sha(seed, item.key, 'merge')}.",
        "files": list(item.sessions[-1].files),
        "branches": [branch],
    }
    yield _pull(
        item.repository,
        number_of[f"revert:{item.key}"],
        title,
        f"Reverts {item.repository.full_name}#{number_of[item.key]}",
        login,
        branch,
        [commit],
        (created, item.reverted_at, item.reverted_at),
        (item.deletions, item.additions, len(item.sessions[-1].files)),
        [],
        [],
        world.commit_sha(seed, item.key, "revert merge"),
        end,
    )


def _pull(
    repository: Repository,
    number: int,
    title: str,
    text: str,
    author: str,
    branch: str,
    commits: list[Line],
    dates: tuple[datetime, datetime | None, datetime | None],
    size: tuple[int, int, int],
    labels: list[str],
    reviews: list[Line],
    merge_sha: str,
    end: datetime,
) -> Line:
    created, merged, closed = (moment if moment and moment <= end else None for moment in dates)
    return {
        "type": "pull",
        "repo": repository.full_name,
        "number": number,
        "title": title,
        "body": text,
        "author": author,
        "headRef": branch,
        "headSha": commits[-1]["sha"],
        "baseRef": "main",
        "state": "merged" if merged else "closed" if closed else "open",
        "createdAt": world.iso(created or dates[0]),
        "mergedAt": world.iso(merged) if merged else None,
        "closedAt": world.iso(closed) if closed else None,
        "mergeCommitSha": merge_sha if merged else None,
        "additions": size[0],
        "deletions": size[1],
        "changedFiles": size[2],
        "labels": labels,
        "commits": commits,
        "reviews": reviews,
    }
