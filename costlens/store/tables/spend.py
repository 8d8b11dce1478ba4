"""Narrow sums for the ROI reports and the overview, made of the wide ones: a year is read in milliseconds."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Date, ForeignKey, Index, Table, Text, text

from costlens.store.tables.base import metadata

# From rollup_day, by the run's own repository.
USAGE_SUMS = ("runs", "succeeded", "priced_runs", "exact_runs", "cost_nanos", "latency_ms", "timed_runs")
# From rollup_links, by the repository that the money went to: runs there, and its buckets in nano-dollars.
LEDGER_RUNS = (
    "ledger_runs",
    "ledger_priced_runs",
    "suggested_runs",  # of the first, these and not_code_runs; the rest is counted
    "pending_runs",
    "no_repo_runs",  # these four: not linked, by reason
    "no_person_runs",
    "no_candidate_runs",
    "rejected_runs",
    "not_code_runs",
)
LEDGER_COSTS = (
    "counted_nanos",  # all that is linked
    "direct_nanos",  # of it, to commits outside any pull request, and to pull requests that are gone
    "open_nanos",  # of it, these three: to pull requests of that outcome now; the rest is merged
    "abandoned_nanos",
    "reverted_nanos",
    "suggested_nanos",
    "pending_nanos",
    "no_repo_nanos",  # these four: not linked, by reason
    "no_person_nanos",
    "no_candidate_nanos",
    "rejected_nanos",
    "not_code_nanos",
)
# Came after the others.
_LATER = ("open_nanos", "abandoned_nanos", "reverted_nanos", *LEDGER_RUNS[2:-1])
SPEND_MEASURES = (*USAGE_SUMS, *LEDGER_RUNS, *LEDGER_COSTS)

# The same money four times: whole, by team and by repository alone, and by team and provider. A query names one `cut`.
SPEND_CUTS = ("whole", "team", "repository", "source")
rollup_spend = Table(
    "rollup_spend",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("cut", Text, primary_key=True),  # whole, team (repository 0, provider ''), repository (team 0, …), source
    Column("day", Date, primary_key=True),  # in the organization's time zone
    Column("team_id", BigInteger, primary_key=True, autoincrement=False),  # 0: none
    Column("repository_id", BigInteger, primary_key=True, autoincrement=False),  # 0: none
    Column("provider", Text, primary_key=True),
    *(
        Column(name, BigInteger, nullable=False, server_default="0" if name in _LATER else None)
        for name in SPEND_MEASURES
    ),
    sqlite_with_rowid=False,
)


# What each pull request cost over its whole life (the counted rows of rollup_links of all days), four times: whole, and
# by team, by repository and in all. A query names one `cut`.
PULL_CUTS = ("whole", "team", "repository", "pull")
# What became of the pull request, as pull_requests says: with it a report's cohort is one range of an index.
PULL_FACTS = ("ended_at", "merged", "reverted", "cycle_ms", "home_id")
rollup_pulls = Table(
    "rollup_pulls",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("cut", Text, primary_key=True),  # whole, team (repository 0, provider ''), repository (team 0, …), pull
    Column("pull_request_id", BigInteger, primary_key=True, autoincrement=False),
    Column("team_id", BigInteger, primary_key=True, autoincrement=False),  # 0: none
    Column("repository_id", BigInteger, primary_key=True, autoincrement=False),  # of the run, else of the link
    Column("provider", Text, primary_key=True),
    Column("runs", BigInteger, nullable=False),
    Column("cost_nanos", BigInteger, nullable=False),
    Column("ended_at", BigInteger),  # milliseconds since 1970 UTC: merged, else closed; null: open, or gone
    Column("merged", BigInteger),  # 1 or 0; null: the pull request is gone
    Column("reverted", BigInteger),  # 1: merged, and reverted within 30 days or at an unknown time; null: gone
    Column("cycle_ms", BigInteger),  # first commit to merge; null: not merged, commits unknown or later, or gone
    Column("home_id", BigInteger),  # its own repository; null: gone
    Index(
        "ix_rollup_pulls_ended",
        "organization_id",
        "cut",
        "ended_at",
        "pull_request_id",
        "team_id",
        "repository_id",
        "provider",
        "runs",
        "cost_nanos",
        "merged",
        "reverted",
        "cycle_ms",
        "home_id",
        sqlite_where=text("ended_at IS NOT NULL"),
        postgresql_where=text("ended_at IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)
