"""GitHub's facts, and the people and names that tie runs to them."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from costlens.store.tables.base import Id, metadata, organization_column
from costlens.store.types import Instant

people = Table(
    "people",
    metadata,
    Column("id", Id, primary_key=True),
    organization_column(),
    Column("name", Text),  # null: no source has told a name
    Column("bot", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", Instant, nullable=False),
    Index(None, "organization_id"),
)


identities = Table(
    "identities",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", Text, primary_key=True),  # login, email, github_id
    Column("value", Text, primary_key=True),  # lower case
    Column("person_id", BigInteger, ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text),  # null: no source has told a name beside it
    # true: a person set it apart from others, so it speaks for itself alone and merges nobody.
    Column("set_apart", Boolean, nullable=False, server_default=text("false")),
    Index(None, "person_id"),
)


repositories = Table(
    "repositories",
    metadata,
    Column("id", Id, primary_key=True),
    organization_column(),
    Column("name", Text, nullable=False),  # owner/name
    Column("github_id", BigInteger),  # null: named by runs before GitHub told of it
    Column("default_branch", Text),  # null: unknown, `main` and `master` are taken for it
    Column("team_id", BigInteger, ForeignKey("teams.id")),  # null: not assigned
    Column("imported_at", Instant),  # null: no GitHub facts yet
    Column("closed_known", Boolean),  # false: only merged pull requests were told of; null: no source says so
    # When linked_version is not facts_version every run is looked at again, else those that link_marks point at.
    Column("facts_version", Integer, nullable=False, server_default="0"),
    Column("linked_version", Integer, nullable=False, server_default="0"),
    # Runs that the pass over every run has done; null: none is under way.
    Column("relinked_runs", BigInteger),
    # Counted up by whoever writes links: what was read under an older count is read again.
    Column("links_version", Integer, nullable=False, server_default="0"),
    Column("created_at", Instant, nullable=False),
    Index(None, "organization_id"),
    UniqueConstraint("organization_id", "github_id"),
)


repository_aliases = Table(
    "repository_aliases",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),  # lower-case owner/name
    Column("repository_id", BigInteger, ForeignKey("repositories.id", ondelete="CASCADE"), nullable=False),
)


pull_requests = Table(
    "pull_requests",
    metadata,
    Column("id", Id, primary_key=True),
    organization_column(),
    Column("repository_id", BigInteger, ForeignKey("repositories.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text),  # null: the source does not tell
    Column("person_id", BigInteger),  # null: author unknown
    Column("head_ref", Text),  # null: unknown
    Column("head_sha", Text),  # null: unknown
    Column("base_ref", Text),  # null: unknown
    Column("outcome", Text, nullable=False),  # merged, open, abandoned, reverted
    Column("created_at", Instant, nullable=False),
    Column("merged_at", Instant),  # null: not merged
    Column("closed_at", Instant),  # null: open
    Column("reverted_at", Instant),  # null: not reverted
    Column("first_commit_at", Instant),  # null: commits unknown
    Column("merge_commit_sha", Text),  # null: not merged, or unknown
    Column("additions", Integer),  # null: unknown
    Column("deletions", Integer),  # null: unknown
    Column("changed_files", Integer),  # null: unknown
    Column("labels", JSON, nullable=False),
    Column("ai_signal", Text),  # null: no visible sign of AI; else its name
    Column("ai_mark", Text),  # what a person said, which outranks every sign: ai, manual; null: nobody said
    Column("author", Text),  # null: author unknown, or read before this was kept; see names.write_identities
    UniqueConstraint("repository_id", "number"),
    # With what the comparison and the share of AI ask of merged ones: the rows themselves hold long texts.
    Index(
        "ix_pull_requests_merged",
        "organization_id",
        "merged_at",
        "outcome",
        "reverted_at",
        "first_commit_at",
        "repository_id",
        "ai_signal",
        "ai_mark",
    ),
    Index(None, "organization_id", "closed_at"),
    Index(None, "repository_id", "head_ref"),
    Index(None, "repository_id", "merge_commit_sha"),
    Index(
        "ix_pull_requests_reverted",
        "repository_id",
        sqlite_where=text("reverted_at IS NOT NULL"),
        postgresql_where=text("reverted_at IS NOT NULL"),
    ),
)


commits = Table(
    "commits",
    metadata,
    Column("id", Id, primary_key=True),
    organization_column(),
    Column("repository_id", BigInteger, ForeignKey("repositories.id", ondelete="CASCADE"), nullable=False),
    Column("sha", Text, nullable=False),
    Column("person_id", BigInteger),  # null: author unknown
    Column("authored_at", Instant, nullable=False),
    Column("committed_at", Instant, nullable=False),
    Column("message", Text, nullable=False),
    Column("files", JSON, nullable=False),
    Column("branches", JSON, nullable=False),
    Column("attested", JSON),  # sessions that its git-ai note attests lines of; null: none, or no source told notes
    Column("author", Text),  # null: author unknown, or read before this was kept; see names.write_identities
    UniqueConstraint("repository_id", "sha"),
    Index(None, "repository_id", "person_id", "authored_at"),
)


pull_request_commits = Table(
    "pull_request_commits",
    metadata,
    Column("pull_request_id", BigInteger, ForeignKey("pull_requests.id", ondelete="CASCADE"), primary_key=True),
    Column("commit_id", BigInteger, ForeignKey("commits.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, nullable=False),
    Index(None, "commit_id"),
)


# Commits that a pull request held until a force-push left them out: what named them still belongs to it.
former_commits = Table(
    "former_commits",
    metadata,
    Column("pull_request_id", BigInteger, ForeignKey("pull_requests.id", ondelete="CASCADE"), primary_key=True),
    Column("commit_id", BigInteger, ForeignKey("commits.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "commit_id"),
)


# Ids that commit trailers and pull request bodies name: they tie a run to a repository that the run did not name.
# Branches of commits stand here too, where a run's branch is looked up, and (kind revert, no value) who is a revert.
mentions = Table(
    "mentions",
    metadata,
    Column("repository_id", BigInteger, ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", Text, primary_key=True),  # run, session, prompt, branch, revert, squash (a number)
    Column("value", Text, primary_key=True),
    Column("source", Text, primary_key=True),  # commit sha, or `#number` of a pull request
    organization_column(),
    Index(None, "organization_id", "kind", "value"),
)


# What the linker has to look at again, until it has: written with the change of facts that made it so.
link_marks = Table(
    "link_marks",
    metadata,
    Column("id", Id, primary_key=True),
    organization_column(),
    Column("repository_id", BigInteger, ForeignKey("repositories.id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),  # run, key, session, commit, pull, branch, person: see domain/link_marks.py
    Column("value", Text, nullable=False),
    Column("since", Instant),  # null: runs however early
    Column("until", Instant),  # null: runs however late
    Index(None, "organization_id", "repository_id"),
)
