"""The connection to GitHub, what it offers, how far each repository has been read, and what webhooks told."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, text

from costlens.store.tables.base import Id, metadata, organization_column
from costlens.store.types import Instant

github_connections = Table(
    "github_connections",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", Text, nullable=False),  # app, token, oauth (a token that an OAuth App was given)
    Column("hook_id", Text, nullable=False, unique=True),  # names it in the address that webhooks are sent to
    Column("app_id", BigInteger),  # null: a token
    Column("app_slug", Text),  # null: a token
    Column("app_url", Text),  # the App's page on GitHub; null: a token
    Column("client_id", Text),  # of the App, for sign-in; null: a token
    # Sealed, see services/sealing.py
    Column("private_key", Text),  # null: a token
    Column("client_secret", Text),  # null: a token
    Column("token", Text),  # null: an App
    Column("webhook_secret", Text, nullable=False),
    Column("old_webhook_secret", Text),  # null: not changed lately
    Column("old_secret_until", Instant),  # null: not changed lately
    Column("error", Text),  # null: the credentials work
    Column("pinged_at", Instant),  # null: GitHub has not tried the webhook yet
    Column("delivered_at", Instant),  # null: no event has come yet
    Column("redelivered_at", Instant),  # null: failed deliveries were never looked for
    Column("listed_at", Instant),  # null: repositories not listed yet
    Column("list_due", Boolean, nullable=False, server_default=text("true")),
    Column("comments_on_at", Instant),  # since when comments may be written; null: off
    Column("created_by", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
)


# A token is kept as one installation, number 0.
github_installations = Table(
    "github_installations",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("installation_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account", Text, nullable=False),  # login of whose repositories it reads
    Column("token", Text),  # sealed; null: none minted yet, or the connection's own
    Column("token_until", Instant),  # null: as token
    Column("paused_until", Instant),  # null: no rate limit holds
    Column("pause_reason", Text),  # null: as paused_until
    Column("pauses", Integer, nullable=False, server_default="0"),  # in a row
    Column("budget", Integer),  # calls that GitHub still allows; null: not told yet
    Column("budget_limit", Integer),  # null: not told yet
    Column("budget_resets_at", Instant),  # null: not told yet
    Column("may_comment", Boolean),  # null: not known, as of a token
)


# Repositories that an installation offers, and the walk over each that was chosen.
github_repositories = Table(
    "github_repositories",
    metadata,
    Column("id", Id, primary_key=True),
    organization_column(),
    Column("installation_id", BigInteger, nullable=False),
    Column("github_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),  # owner/name as GitHub told last
    Column("private", Boolean, nullable=False),
    Column("archived", Boolean, nullable=False, server_default=text("false")),
    Column("default_branch", Text),  # null: not told yet
    Column("offered", Boolean, nullable=False, server_default=text("true")),  # false: no installation shows it now
    Column("chosen", Boolean, nullable=False, server_default=text("false")),
    Column("repository_id", BigInteger, ForeignKey("repositories.id", ondelete="SET NULL")),  # null: not read yet
    # The walk. `version` counts every change of it, so that only one writer goes on from each.
    Column("version", Integer, nullable=False, server_default="0"),
    # idle, pulls, commits, details; of an organization that is leaving: facts, links, history
    Column("phase", Text, nullable=False, server_default="idle"),
    Column("started_at", Instant),  # when this walk began; null: idle
    Column("cursor", Text),  # null: the first page
    Column("floor", Instant),  # how far back this walk goes; null: idle
    Column("top", Instant),  # newest change that this walk saw; null: none yet
    Column("reached", Instant),  # oldest change that this phase has read; null: none yet
    Column("items", Integer, nullable=False, server_default="0"),  # read by this walk, or by the last
    Column("watermark", Instant),  # newest change of the last whole walk; null: never finished one
    Column("covers_from", Instant),  # null: never finished a walk
    Column("repository_etag", Text),  # null: ask anew
    Column("pulls_etag", Text),  # null: ask anew
    # What comes next
    Column(
        "state", Text, nullable=False, server_default="waiting"
    ),  # waiting, ok, empty, paused, failing, lost, refused
    Column("error", Text),  # null: none
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row
    Column("due_at", Instant),  # null: not chosen
    Column("hinted_at", Instant),  # of the last webhook; null: none yet
    Column("succeeded_at", Instant),  # end of the last whole walk or of a probe that found nothing; null: never
    # Comments on its pull requests
    Column("comments_on_at", Instant),  # since when they may be written; null: off
    Column("comments_error", Text),  # why GitHub allows none, so that none is tried; null: nothing stands in the way
    UniqueConstraint("organization_id", "github_id"),
    Index(None, "due_at"),
    Index(None, "repository_id"),
)


# Organizations that were disconnected and whose facts are being deleted, with the rows of `github_repositories`.
github_departures = Table(
    "github_departures",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("total", BigInteger),  # pull requests, commits and runs to go through; null: not counted yet
    Column("done", BigInteger, nullable=False, server_default="0"),
)


github_deliveries = Table(
    "github_deliveries",
    metadata,
    Column("id", Id, primary_key=True),
    organization_column(),
    Column("guid", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("action", Text),  # null: the event has none
    Column("github_id", BigInteger),  # of the repository; null: it names none
    Column("received_at", Instant, nullable=False),
    Column("processed_at", Instant),  # null: not yet
    UniqueConstraint("organization_id", "guid"),
    Index("ix_github_deliveries_waiting", "organization_id", sqlite_where=text("processed_at IS NULL"),
          postgresql_where=text("processed_at IS NULL")),
    Index(None, "received_at"),
)  # fmt: skip


# The circuit breaker of a GitHub host: of nobody's organization.
github_hosts = Table(
    "github_hosts",
    metadata,
    Column("host", Text, primary_key=True),
    Column("failures", Integer, nullable=False),  # in a row
    Column("open_until", Instant),  # null: it may be asked
)


# What is read of a pull request after the walk, one by one.
pull_request_details = Table(
    "pull_request_details",
    metadata,
    Column("pull_request_id", BigInteger, ForeignKey("pull_requests.id", ondelete="CASCADE"), primary_key=True),
    organization_column(),
    Column("repository_id", BigInteger, ForeignKey("repositories.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("reviews_due", Boolean, nullable=False),
    Column("diff_due", Boolean, nullable=False),
    Index(None, "repository_id", "number"),
)


pull_request_reviews = Table(
    "pull_request_reviews",
    metadata,
    Column("pull_request_id", BigInteger, ForeignKey("pull_requests.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    organization_column(),
    Column("person_id", BigInteger),  # null: the account is gone
    Column("state", Text, nullable=False),  # approved, changes_requested, commented, dismissed
    Column("submitted_at", Instant, nullable=False),
    Column("author", Text),  # null: the account is gone, or read before this was kept; see names.write_identities
    Index(None, "organization_id"),
)


# promptIds that the diff of a merged pull request brings in.
pull_request_prompts = Table(
    "pull_request_prompts",
    metadata,
    Column("pull_request_id", BigInteger, ForeignKey("pull_requests.id", ondelete="CASCADE"), primary_key=True),
    Column("prompt_id", Text, primary_key=True),
    organization_column(),
    Index(None, "organization_id", "prompt_id"),
)


# The comment on each pull request that has one, or should. The row of one that a person deleted stays.
pull_request_comments = Table(
    "pull_request_comments",
    metadata,
    Column("pull_request_id", BigInteger, ForeignKey("pull_requests.id", ondelete="CASCADE"), primary_key=True),
    organization_column(),
    Column("repository_id", BigInteger, ForeignKey("repositories.id", ondelete="CASCADE"), nullable=False),
    Column("comment_id", BigInteger),  # GitHub's; null: none is known, the marker finds it
    Column("state", Text, nullable=False),  # due, written, unwanted (to be deleted), removed (by a person: for good)
    Column(
        "version", Integer, nullable=False, server_default="0"
    ),  # counts every change, so that one writer goes on from each
    Column("due_at", Instant),  # of the next attempt; null: nothing to do
    Column("error", Text),  # of the last attempt; null: none
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row
    # What the comment says; null: nothing was written yet
    Column("outcome", Text),
    Column("runs", BigInteger),
    Column("cost_nanos", BigInteger),
    Column("digest", Text),
    Column("written_at", Instant),
    Index(None, "organization_id", "due_at"),
    Index(None, "repository_id"),
)
