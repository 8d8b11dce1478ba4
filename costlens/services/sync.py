"""GitHub's facts in: records of any source stored page by page, each page in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any

from costlens.domain.github import CommitRecord, PersonRecord, PullRecord, Record, RepositoryRecord
from costlens.domain.links import Outcome
from costlens.domain.names import Identity, identities_of, write_identities
from costlens.domain.people import is_bot
from costlens.domain.reverts import PullState, reverted
from costlens.domain.trailers import (
    Trailers,
    ai_signal,
    body_trailers,
    co_authors,
    commit_trailers,
    revert_targets,
    squashed_pull,
)
from costlens.services import github_details
from costlens.services.fact_watch import mark_changes, watch
from costlens.store import github as github_store
from costlens.store.engine import Store, Tx
from costlens.store.identity import person_ids, repository_ids, tell_names
from costlens.store.renames import follow_rename

PAGE = 200  # records a transaction


@dataclass(slots=True)
class Imported:
    """What an import saw, and which repositories it changed."""

    pulls: int = 0
    commits: int = 0
    people: int = 0
    repositories: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)

    def plus(self, other: Imported) -> Imported:
        return Imported(
            self.pulls + other.pulls,
            self.commits + other.commits,
            self.people + other.people,
            self.repositories | other.repositories,
            self.changed | other.changed,
        )


def import_records(
    store: Store,
    organization_id: int,
    records: Iterable[Record],
    *,
    now: datetime | None = None,
    progress: Callable[[int], None] | None = None,
) -> Imported:
    """Stores records; the same records again change nothing. `progress` is told the records of each stored page.

    A page that cannot be stored leaves those before it in place, marked as changed: run the import again.
    """
    at = now or datetime.now(UTC)
    done = Imported()
    source = iter(records)
    while page := list(islice(source, PAGE)):
        done = done.plus(store.transact(partial(store_page, organization_id=organization_id, page=page, at=at)))
        if progress:
            progress(len(page))
    for repository_id in sorted(done.repositories):
        store.transact(partial(settle_outcomes, organization_id=organization_id, repository_id=repository_id))
    return done


def store_page(tx: Tx, organization_id: int, page: Sequence[Record], at: datetime) -> Imported:
    """Stores one page of records, whatever source they are from, and marks what the linker must look at again."""
    done = Imported()
    people = [record for record in page if isinstance(record, PersonRecord)]
    persons = person_ids(tx, organization_id, [record.identities for record in people], at)
    for record in people:
        bot = record.bot or is_bot(record.identities)
        if record.name or bot:
            person = persons[record.identities]
            github_store.set_person_facts(tx, organization_id, person, name=record.name, bot=bot)
    told = {one: record.name for record in people if record.name for one in record.identities}
    if told:
        tell_names(tx, organization_id, told)
    done.people += len(people)
    renamed = [
        record.name
        for record in page
        if isinstance(record, RepositoryRecord)
        and record.github_id is not None
        and follow_rename(tx, organization_id, record.github_id, record.name)
    ]
    names = dict.fromkeys(_repository_of(record) for record in page if not isinstance(record, PersonRecord))
    ids = repository_ids(tx, organization_id, names, at)
    for name in names:
        mine = [record for record in page if not isinstance(record, PersonRecord) and _repository_of(record) == name]
        done.repositories.add(ids[name])
        # With the page itself: an import that is cut off must not leave facts that the linker never looks at.
        if _save_and_mark(tx, organization_id, ids[name], mine, at, renamed=name in renamed):
            done.changed.add(ids[name])
    done.pulls += sum(isinstance(record, PullRecord) for record in page)
    done.commits += sum(
        len(record.commits) if isinstance(record, PullRecord) else isinstance(record, CommitRecord) for record in page
    )
    return done


def _repository_of(record: RepositoryRecord | CommitRecord | PullRecord) -> str:
    return record.name if isinstance(record, RepositoryRecord) else record.repository


def _save_and_mark(
    tx: Tx,
    organization_id: int,
    repository_id: int,
    records: Sequence[RepositoryRecord | CommitRecord | PullRecord],
    at: datetime,
    *,
    renamed: bool,
) -> bool:
    """Stores facts, and marks the runs whose links they may change; answers whether anything changed."""
    github_store.lock_repository(tx, organization_id, repository_id)
    before = watch(tx, organization_id, repository_id, records)
    if not _save_repository(tx, organization_id, repository_id, records, at) and not renamed:
        return False
    mark_changes(tx, organization_id, repository_id, before)
    github_store.set_imported(tx, organization_id, repository_id, at)
    return True


def _save_repository(
    tx: Tx,
    organization_id: int,
    repository_id: int,
    records: Sequence[RepositoryRecord | CommitRecord | PullRecord],
    at: datetime,
) -> bool:
    changed = False
    for record in records:
        if isinstance(record, RepositoryRecord):
            values = {"github_id": record.github_id, "default_branch": record.default_branch}
            changed |= github_store.save_repository(tx, organization_id, repository_id, values)
    pulls = [record for record in records if isinstance(record, PullRecord)]
    if any(pull.merged_at is None for pull in pulls):
        github_store.set_closed_known(tx, organization_id, repository_id)
    elif any(isinstance(record, RepositoryRecord) and not record.closed_known for record in records):
        github_store.set_closed_unknown(tx, organization_id, repository_id)
    commits = list(_commits(records))
    authors = [*(commit.author for commit in commits), *(pull.author for pull in pulls)]
    authors += [identities_of(email=address) for commit in commits for address in sorted(co_authors(commit.message))]
    people = person_ids(tx, organization_id, [author for author in authors if author], at)
    for author in people:
        if is_bot(author):
            github_store.set_person_facts(tx, organization_id, people[author], name=None, bot=True)
    if names := {_named_beside(one.author): one.author_name for one in commits if one.author and one.author_name}:
        tell_names(tx, organization_id, names)
    ids, commits_changed = github_store.save_commits(
        tx, organization_id, repository_id, [_commit_row(commit, people) for commit in commits]
    )
    pulls_changed = github_store.save_pulls(
        tx,
        organization_id,
        repository_id,
        [_pull_row(pull, people) for pull in pulls],
        {pull.number: [commit.sha for commit in pull.commits] for pull in pulls},
        ids,
    )
    github_details.save_reviews(tx, organization_id, repository_id, pulls, at)
    if commits_changed or pulls_changed:
        github_store.save_mentions(tx, organization_id, repository_id, list(_mentions(commits, pulls)))
        numbers = {pull.number for pull in pulls} | {
            number for one in commits if (number := squashed_pull(one.message))
        }
        github_store.find_squashes(tx, organization_id, repository_id, numbers)
    return changed or commits_changed or pulls_changed


def _commits(records: Iterable[Record]) -> Iterator[CommitRecord]:
    """Each commit once; of several with one sha, the one that tells the most, with the branches of all."""
    found: dict[str, CommitRecord] = {}
    for record in records:
        of_record = record.commits if isinstance(record, PullRecord) else (record,)
        for commit in of_record:
            if isinstance(commit, CommitRecord):
                other = found.get(commit.sha, commit)
                told = max(other, commit, key=lambda one: (len(one.files), len(one.message), bool(one.author)))
                found[commit.sha] = replace(
                    told,
                    message=max(other.message, commit.message, key=len),
                    committed_at=max(other.committed_at, commit.committed_at),
                    author=told.author or other.author or commit.author,
                    author_name=told.author_name or other.author_name or commit.author_name,
                    branches=tuple(dict.fromkeys((*other.branches, *commit.branches))),
                    attested=tuple(dict.fromkeys((*other.attested, *commit.attested))),
                )
    yield from found.values()


def _named_beside(author: tuple[Identity, ...]) -> Identity:
    """The identity that git keeps the name beside: the e-mail address, where it is told."""
    return next((one for one in author if one.kind == "email"), author[0])


def _commit_row(commit: CommitRecord, people: dict[tuple[Identity, ...], int]) -> dict[str, Any]:
    return {
        "sha": commit.sha,
        "person_id": people.get(commit.author),
        "authored_at": commit.authored_at,
        "committed_at": commit.committed_at,
        "message": commit.message,
        "files": sorted(set(commit.files)),
        "branches": sorted(set(commit.branches)),
        "attested": sorted(set(commit.attested)) or None,
        "author": write_identities(commit.author),
    }


def _pull_row(pull: PullRecord, people: dict[tuple[Identity, ...], int]) -> dict[str, Any]:
    return {
        "number": pull.number,
        "title": pull.title,
        "body": pull.body,
        "person_id": people.get(pull.author),
        "head_ref": pull.head_ref,
        "head_sha": pull.head_sha,
        "base_ref": pull.base_ref,
        "outcome": str(_state(pull.merged_at, pull.closed_at)),
        "created_at": pull.created_at,
        "merged_at": pull.merged_at,
        "closed_at": pull.closed_at,
        "first_commit_at": min((commit.authored_at for commit in pull.commits), default=None),
        "merge_commit_sha": pull.merge_commit_sha,
        "additions": pull.additions,
        "deletions": pull.deletions,
        "changed_files": pull.changed_files,
        "labels": sorted(pull.labels),
        "ai_signal": _signal(pull),
        "author": write_identities(pull.author),
    }


def _signal(pull: PullRecord) -> str | None:
    """The first visible sign of AI in a pull request. None: none seen, which proves nothing."""
    signs = (
        _sign(pull.body or "", pull.author, pull.labels, pull.head_ref),
        *(_sign(commit.message, commit.author, name=commit.author_name) for commit in pull.commits),
    )
    return next((sign for sign in signs if sign), None)


def _sign(
    message: str,
    author: tuple[Identity, ...],
    labels: tuple[str, ...] = (),
    head_ref: str | None = None,
    name: str | None = None,
) -> str | None:
    who = {identity.kind: identity.value for identity in author}
    return ai_signal(
        message,
        author_login=who.get("login"),
        author_email=who.get("email"),
        author_id=int(who["github_id"]) if "github_id" in who else None,
        author_name=name,
        labels=labels,
        head_ref=head_ref,
    )


def _state(merged_at: datetime | None, closed_at: datetime | None) -> Outcome:
    if merged_at is not None:
        return Outcome.MERGED
    return Outcome.OPEN if closed_at is None else Outcome.ABANDONED


def _mentions(commits: Sequence[CommitRecord], pulls: Sequence[PullRecord]) -> Iterator[tuple[str, str, str]]:
    for commit in commits:
        yield from _named(commit_trailers(commit.message), commit.sha)
        yield from (("session", session, commit.sha) for session in commit.attested)
        yield from (("branch", branch, commit.sha) for branch in commit.branches)
        if number := squashed_pull(commit.message):
            yield "squash", str(number), commit.sha
        if any(target.sha for target in revert_targets(commit.message)):
            yield "revert", "", commit.sha
    for pull in pulls:
        yield from _named(body_trailers(pull.body), f"#{pull.number}")
        if revert_targets(pull.title, pull.body, pull.head_ref):
            yield "revert", "", f"#{pull.number}"


def _named(trailers: Trailers, source: str) -> Iterator[tuple[str, str, str]]:
    for kind, values in (("run", trailers.run_keys), ("session", trailers.sessions), ("prompt", trailers.prompts)):
        for value in sorted(values):
            yield kind, value, source


def settle_outcomes(tx: Tx, organization_id: int, repository_id: int) -> None:
    """Merged, open, abandoned or reverted, by all that the repository tells now."""
    name = github_store.repository_name(tx, organization_id, repository_id)
    commits, pulls = github_store.reverts(tx, organization_id, repository_id)
    rows = {row.id: row for row in pulls}
    targets = [
        *(target for row in rows.values() for target in revert_targets(row.title, row.body, row.head_ref)),
        *(target for commit in commits for target in revert_targets(commit.message)),
    ]
    numbers = {target.number for target in targets if target.number is not None}
    shas = {target.sha for target in targets if target.sha is not None}
    reached = github_store.pulls_of_targets(tx, organization_id, repository_id, numbers, shas)
    rows |= {row.id: row for row in reached}
    undone = reverted(
        [
            PullState(row.number, row.title, row.body or "", row.head_ref or "", row.merge_commit_sha, row.merged_at)
            for row in sorted(rows.values(), key=lambda row: (row.merged_at is not None, row.merged_at, row.number))
        ],
        [(row.sha, row.message, row.committed_at) for row in commits],
        repository=name.lower(),
    )
    changes = []
    for row in rows.values():
        at = undone.get(row.number)
        outcome = Outcome.REVERTED if at else _state(row.merged_at, row.closed_at)
        if (str(outcome), at) != (row.outcome, row.reverted_at):
            changes.append({"id": row.id, "outcome": str(outcome), "reverted_at": at})
    github_store.set_outcomes(tx, organization_id, changes)
