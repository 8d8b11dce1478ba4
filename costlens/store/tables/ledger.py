"""Runs, links, prices, and the sums that screens read.

Names of dimensions in the rollups use 0 and '' for "none", since a key column cannot be null. On SQLite the rollups and
keys are stored by their primary key (without a row number): one tree to write instead of two.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from costlens.store.tables.base import Id, metadata, organization_column
from costlens.store.types import Instant

USAGE_COLUMNS = (
    "input_uncached",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output_text",
    "output_reasoning",
)


def _seen_index(name: str, *columns: str, where: str | None = None) -> Index:
    """An index of the runs that the linker has seen."""
    rows = text("linked_at IS NOT NULL" + (f" AND {where}" if where else ""))
    return Index(f"ix_runs_seen_{name}", "organization_id", *columns, sqlite_where=rows, postgresql_where=rows)


runs = Table(
    "runs",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),  # time-ordered, see domain/runs.py
    organization_column(),
    Column("request_id", Text),  # null: the caller gave none
    Column("correlation_id", Text),  # null: the caller gave none
    Column("session_id", Text),  # null: unknown
    Column("source", Text, nullable=False),  # api, sdk, proxy, otlp, claude_code, codex, import
    Column("received_at", Instant, nullable=False),
    Column("occurred_at", Instant, nullable=False),
    # who
    Column("api_key_id", BigInteger),  # null: imported on the server
    Column("person_id", BigInteger),  # null: a shared key and no actor
    Column("actor", Text),  # null: the caller named nobody
    Column("team_id", BigInteger),  # null: no team as of ingest
    # what
    Column("provider", Text, nullable=False),
    Column("model_requested", Text),  # null: the same as model
    Column("model", Text, nullable=False),
    Column("prompt_id", Text),  # null: not named
    Column("prompt_version", Text),  # null: promptId has no version suffix
    Column("environment", Text),  # null: development
    Column("tool", Text),  # null: unknown
    Column("tags", JSON),  # null: none
    Column("code", Boolean, nullable=False),  # false: production traffic, not inside code spend
    # code
    Column("repository_id", BigInteger),  # null: the run names none
    Column("branch", Text),  # null: unknown
    Column("commit_sha", Text),  # null: unknown
    Column("commit_role", Text),  # null: no commit; result, head_before
    Column("pr_number", Integer),  # null: unknown
    Column("files", JSON),  # null: unknown
    # usage
    *(Column(name, BigInteger, nullable=False) for name in USAGE_COLUMNS),
    Column("usage_quality", Text, nullable=False),
    # money, in nano-dollars
    Column("cost_nanos", BigInteger),  # null: unpriced
    Column("list_cost_nanos", BigInteger),  # null: no price is known
    Column("reported_cost_nanos", BigInteger),  # null: the caller reported none
    Column("baseline_cost_nanos", BigInteger),  # null: no other model was requested, or it has no price
    Column("cost_status", Text, nullable=False),  # priced, reported, estimated, unpriced, free
    Column("price_version", Text),  # null: no price was used
    Column("service_tier", Text),  # null: standard
    Column("processing", Text),  # null: synchronous; batch, flex, priority
    # result
    Column("success", Boolean, nullable=False),
    Column("error_type", Text),  # null: no error, or not told
    Column("latency_ms", BigInteger),  # null: not measured
    Column("cache_hit", Boolean, nullable=False, server_default=text("false")),
    Column("input_chars", Integer),  # null: no text was sent; the text itself is not kept
    Column("output_chars", Integer),  # null: no text was sent
    # link: kept by the linker, each run's money is in exactly one bucket
    Column("link_state", Text, nullable=False),
    Column("unlinked_reason", Text),  # null unless link_state is unlinked
    Column("counted_nanos", BigInteger, nullable=False, server_default="0"),
    Column("linked_at", Instant),  # null: the linker has not seen it yet
    Index(None, "organization_id", "occurred_at", "id"),
    Index(None, "organization_id", "received_at"),
    Index(None, "organization_id", "repository_id", "occurred_at"),
    # Runs of which another model was asked for, and answers from the cache: there are few of them.
    Index(
        "ix_runs_routed",
        "organization_id",
        "occurred_at",
        sqlite_where=text("model_requested IS NOT NULL OR cache_hit"),
        postgresql_where=text("model_requested IS NOT NULL OR cache_hit"),
    ),
    Index(
        "ix_runs_waiting",
        "organization_id",
        "repository_id",
        "id",
        sqlite_where=text("linked_at IS NULL"),
        postgresql_where=text("linked_at IS NULL"),
    ),
    Index(
        "ix_runs_unpriced",
        "organization_id",
        "occurred_at",
        "id",
        sqlite_where=text("cost_nanos IS NULL"),
        postgresql_where=text("cost_nanos IS NULL"),
    ),
    Index(
        "ix_runs_failed",
        "organization_id",
        "occurred_at",
        "id",
        sqlite_where=text("success = 0"),
        postgresql_where=text("NOT success"),
    ),
    # What the linker finds runs by. A run enters when the linker has seen it, so ingest does not pay for these.
    _seen_index("branch", "repository_id", "branch", "occurred_at"),
    _seen_index("person", "repository_id", "person_id", "occurred_at"),
    _seen_index("commit", "repository_id", "commit_sha", where="commit_sha IS NOT NULL"),
    _seen_index("pull", "repository_id", "pr_number", where="pr_number IS NOT NULL"),
    _seen_index("session", "session_id", "occurred_at", where="session_id IS NOT NULL"),
    _seen_index("correlation", "correlation_id", where="correlation_id IS NOT NULL"),
    _seen_index("prompt", "prompt_id", "occurred_at", where="prompt_id IS NOT NULL"),  # for the page of a prompt
    _seen_index("pending", "repository_id", "occurred_at", where="link_state = 'pending'"),
)


run_keys = Table(
    "run_keys",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    # client, request, correlation, response, provider_request, span, line; request.<source>: what that source said
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("run_id", BigInteger, primary_key=False, nullable=False),
    Column("content_hash", LargeBinary),  # null: this kind does not compare content
    sqlite_with_rowid=False,
)


links = Table(
    "links",
    metadata,
    Column("id", Id, primary_key=True),
    organization_column(),
    Column("run_id", BigInteger, nullable=False),
    Column("repository_id", BigInteger, nullable=False),
    Column("pull_request_id", BigInteger),  # null: a commit outside any pull request
    Column("commit_sha", Text),  # null: the pull request as a whole
    Column("rule", Text, nullable=False),
    Column("confidence", SmallInteger, nullable=False),  # permille
    Column("state", Text, nullable=False),  # counted, suggested, unlinked (rejected)
    Column("cost_nanos", BigInteger, nullable=False),  # this link's share of a counted run; 0 for others
    Column("ruleset", Integer, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("valid_from", Instant, nullable=False),
    Column("valid_to", Instant),  # null: holds now
    Column("closed_reason", Text),  # null: holds now
    Index(None, "organization_id", "run_id"),
    Index(None, "organization_id", "pull_request_id"),
    Index("ix_links_now", "organization_id", "repository_id", "valid_to"),
    # Direct work: few links point to a commit outside any pull request.
    Index(
        "ix_links_direct",
        "organization_id",
        "repository_id",
        sqlite_where=text("pull_request_id IS NULL AND valid_to IS NULL"),
        postgresql_where=text("pull_request_id IS NULL AND valid_to IS NULL"),
    ),
)


link_decisions = Table(
    "link_decisions",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("run_id", BigInteger, primary_key=True),
    Column("pull_request_id", BigInteger, primary_key=True),
    Column("confirmed", Boolean, nullable=False),  # false: rejected
    Column("decided_by", Text, nullable=False),
    Column("decided_at", Instant, nullable=False),
)


# Sums that every rollup holds. cost_nanos sums priced runs; unpriced_runs says how many it leaves out.
MEASURES = (
    "runs",
    "succeeded",
    "priced_runs",
    "exact_runs",
    *USAGE_COLUMNS,
    "cost_nanos",
    "baseline_nanos",
    "saved_nanos",
    "latency_ms",
    "timed_runs",
)

# What a drill-down goes by, and the column of rollup_day that holds it.
DIMENSIONS = {
    "team": "team_id",
    "person": "person_id",
    "repository": "repository_id",
    "provider": "provider",
    "model": "model",
    "prompt": "prompt_id",
    "tool": "tool",
    "environment": "environment",
}

# What is also summed by one dimension at a time for the runs of each value of another: the models with their providers
# (a `call`, see `call_of` in rollups) and the prompts of a team, of a tool and so on.
NARROWED = {
    "call": ("team", "repository", "tool", "environment"),
    "prompt": ("team", "provider", "model", "tool", "environment"),
}


def _measures() -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False) for name in MEASURES]


rollup_15m = Table(
    "rollup_15m",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("bucket", Instant, primary_key=True),  # start of the quarter hour, UTC
    Column("provider", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("code", Boolean, primary_key=True),
    Column("success", Boolean, primary_key=True),
    *_measures(),
    sqlite_with_rowid=False,
)


rollup_latency = Table(
    "rollup_latency",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("bucket", Instant, primary_key=True),  # start of the quarter hour, UTC
    Column("provider", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("step", SmallInteger, primary_key=True),  # int(ln(milliseconds) / ln 1.1): 5 % wide
    Column("runs", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


# The same by day, for windows of months.
rollup_latency_day = Table(
    "rollup_latency_day",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("day", Date, primary_key=True),  # in the organization's time zone
    Column("provider", Text, primary_key=True),
    Column("step", SmallInteger, primary_key=True),  # as in rollup_latency
    Column("runs", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


rollup_day = Table(
    "rollup_day",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("day", Date, primary_key=True),  # in the organization's time zone
    Column("team_id", BigInteger, primary_key=True, autoincrement=False),
    Column("person_id", BigInteger, primary_key=True, autoincrement=False),
    Column("repository_id", BigInteger, primary_key=True, autoincrement=False),
    Column("provider", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("prompt_id", Text, primary_key=True),
    Column("tool", Text, primary_key=True),
    Column("environment", Text, primary_key=True),
    *_measures(),
    Index("ix_rollup_day_repository", "organization_id", "repository_id", "day"),
    sqlite_with_rowid=False,
)


# The same days by one dimension at a time, for drill-downs over a year: rollup_day has almost a row a run.
rollup_dimension = Table(
    "rollup_dimension",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    # One of DIMENSIONS; state: only runs and cost, from the ledger; contributor: people outside production, of all
    # providers and as contributor@provider=openai of one; call; or one of NARROWED with what narrows it: prompt@team=7.
    Column("dimension", Text, primary_key=True),
    Column("value", Text, primary_key=True),  # a name, or an id in digits; '': none
    Column("day", Date, primary_key=True),  # in the organization's time zone
    *_measures(),
    Index(None, "organization_id", "day"),
    sqlite_with_rowid=False,
)


# Runs by all that the list of runs is filtered by and that many runs have in common; each run is in one row.
rollup_runs = Table(
    "rollup_runs",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("day", Date, primary_key=True),  # in the organization's time zone
    Column("team_id", BigInteger, primary_key=True, autoincrement=False),  # 0: none
    Column("provider", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("tool", Text, primary_key=True),  # '': none
    Column("environment", Text, primary_key=True),  # '': none
    Column("success", Boolean, primary_key=True),
    Column("state", Text, primary_key=True),  # the run's link_state
    Column("reason", Text, primary_key=True),  # unlinked: why; else ''
    Column("runs", BigInteger, nullable=False),
    Column("priced_runs", BigInteger, nullable=False),
    Column("cost_nanos", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


# The ledger: each run's money by what it shipped. Sums over it equal the sums of runs under any filter.
rollup_links = Table(
    "rollup_links",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("day", Date, primary_key=True),  # of the run, in the organization's time zone
    Column("team_id", BigInteger, primary_key=True, autoincrement=False),
    Column("repository_id", BigInteger, primary_key=True, autoincrement=False),
    Column("provider", Text, primary_key=True),
    Column("state", Text, primary_key=True),  # counted, suggested, pending, unlinked, not_code
    Column("reason", Text, primary_key=True),  # unlinked: why; else ''
    Column("pull_request_id", BigInteger, primary_key=True, autoincrement=False),  # counted: where to; 0: a commit
    Column("runs", BigInteger, nullable=False),  # a run of several pull requests counts once, in the first
    Column("priced_runs", BigInteger, nullable=False),
    Column("cost_nanos", BigInteger, nullable=False),
    # With a row number, unlike the others: SQLite would read a whole organization by the primary key instead of this.
    Index(None, "organization_id", "pull_request_id"),
    # What counts for a pull request, by day, without a look at the rows themselves.
    Index(
        "ix_rollup_links_of_pull",
        "organization_id",
        "pull_request_id",
        "day",
        "team_id",
        "repository_id",
        "provider",
        "cost_nanos",
        sqlite_where=text("state = 'counted' AND pull_request_id <> 0"),
        postgresql_where=text("state = 'counted' AND pull_request_id <> 0"),
    ),
)


price_overrides = Table(
    "price_overrides",
    metadata,
    Column("id", Id, primary_key=True),
    organization_column(),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("effective_from", Instant, nullable=False),
    Column("alias_of", Text),  # null: rates are given; else this model's prices are used
    Column("picos", JSON),  # null: an alias; else pico-dollars per token by usage column
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("organization_id", "provider", "model", "effective_from"),
)
