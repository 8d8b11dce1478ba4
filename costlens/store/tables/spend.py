"""Narrow sums for the ROI reports and the overview, made of the wide ones: a year is read in milliseconds."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Date, ForeignKey, Table, Text

from costlens.store.tables.base import metadata

# From rollup_day, by the run's own repository.
USAGE_SUMS = ("runs", "succeeded", "priced_runs", "exact_runs", "cost_nanos", "latency_ms", "timed_runs")
# From rollup_links, by the repository that the money went to: runs there, and its buckets in nano-dollars.
LEDGER_RUNS = ("ledger_runs", "ledger_priced_runs", "not_code_runs")
LEDGER_COSTS = (
    "counted_nanos",  # all that is linked
    "direct_nanos",  # of it, to commits outside any pull request
    "suggested_nanos",
    "pending_nanos",
    "no_repo_nanos",  # these four: not linked, by reason
    "no_person_nanos",
    "no_candidate_nanos",
    "rejected_nanos",
    "not_code_nanos",
)
SPEND_MEASURES = (*USAGE_SUMS, *LEDGER_RUNS, *LEDGER_COSTS)

# The same money three times: whole, and by team and by repository alone. A query names one `cut`.
SPEND_CUTS = ("whole", "team", "repository")
rollup_spend = Table(
    "rollup_spend",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("cut", Text, primary_key=True),  # whole, team (repository 0, provider ''), repository (team 0, provider '')
    Column("day", Date, primary_key=True),  # in the organization's time zone
    Column("team_id", BigInteger, primary_key=True, autoincrement=False),  # 0: none
    Column("repository_id", BigInteger, primary_key=True, autoincrement=False),  # 0: none
    Column("provider", Text, primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in SPEND_MEASURES),
    sqlite_with_rowid=False,
)


# What each pull request cost over its whole life: the counted rows of rollup_links of all days.
rollup_pulls = Table(
    "rollup_pulls",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("pull_request_id", BigInteger, primary_key=True, autoincrement=False),
    Column("team_id", BigInteger, primary_key=True, autoincrement=False),  # 0: none
    Column("repository_id", BigInteger, primary_key=True, autoincrement=False),  # of the run, else of the link
    Column("provider", Text, primary_key=True),
    Column("runs", BigInteger, nullable=False),
    Column("cost_nanos", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
