"""The drill-down of a year by each dimension, read from the sums of about 10⁶ runs, on both engines.

python -m benchmarks.drilldown [--days 365] [--rounds 7] [--engine sqlite postgresql]

The sums are made up, not ingested: each value of a dimension has a row on three days of four. PostgreSQL is the server
that the tests start.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from datetime import date, timedelta

from sqlalchemy import text

from costlens.store import analytics
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.upsert import insert_many
from tests.databases import ENGINES
from tests.services.ledger import open_ledger

FIRST = date(2026, 1, 1)
VALUES = {
    "team": 12, "person": 200, "repository": 60, "provider": 4, "model": 25, "prompt": 300, "tool": 5, "environment": 4,
}  # fmt: skip


def fill(store: Store, organization_id: int, days: int) -> int:
    """Stores the sums; answers how many rows."""
    rng = random.Random(1)
    count = 0
    with store.write() as tx:
        for dimension, values in VALUES.items():
            for value in range(1, values + 1):
                head = {"organization_id": organization_id, "dimension": dimension, "value": str(value)}
                rows = [
                    {**head, "day": FIRST + timedelta(days=n), **{name: rng.randrange(10**6) for name in t.MEASURES}}
                    for n in range(days)
                    if rng.random() < 0.75
                ]
                insert_many(tx, t.rollup_dimension, rows)
                count += len(rows)
    if store.dialect == "postgresql":
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE rollup_dimension"))
    return count


def main() -> None:
    """Print best and median milliseconds by dimension."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--engine", nargs="+", choices=ENGINES, default=ENGINES)
    options = parser.parse_args()
    last = FIRST + timedelta(days=options.days - 1)
    for engine in options.engine:
        with open_ledger(engine=engine) as ledger:
            rows = fill(ledger.store, ledger.organization.id, options.days)
            print(f"{engine}: {rows:,} rows of {options.days} days; milliseconds")
            for dimension, values in VALUES.items():
                times = []
                for _ in range(options.rounds):
                    with ledger.store.read() as tx:
                        started = time.perf_counter()
                        found = analytics.sums_by_dimension(tx, ledger.organization.id, dimension, FIRST, last)
                        times.append(1000 * (time.perf_counter() - started))
                    assert len(found) == values
                best, median = min(times), statistics.median(times)
                print(f"  {dimension:12} {values:4} values  best {best:6.1f}  median {median:6.1f}")


if __name__ == "__main__":
    main()
