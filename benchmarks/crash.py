"""kill -9 of every process of the server, one after the other at random moments, while callers send runs.

    python -m benchmarks.crash [--rounds 50] [--seed 1] [--workers 2] [--engine sqlite|postgresql]

Four callers send single runs and batches of 20, send again with the same ids what was not acknowledged, and now and
then what was; each round imports pull requests, so that the worker links meanwhile. It ends with an error on the first
acknowledged run that is missing or stored twice, wrong sum, missing link, or process left over. Linux only.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.e2e.crashes import VICTIMS, Kill, Report, crash
from tests.postgres import postgres_database


def say(kill: Kill) -> None:
    """One line a round."""
    print(f"{kill.victim:12} killed after {kill.after:5.2f} s, all back after {kill.back:5.1f} s", flush=True)


def show(report: Report, seconds: float) -> None:
    """The tables."""
    print("\n| killed | times | back after, median / worst |\n|---|---|---|")
    for victim in VICTIMS:
        back = [kill.back for kill in report.kills if kill.victim == victim]
        if back:
            print(f"| {victim} | {len(back)} | {statistics.median(back):.1f} / {max(back):.1f} s |")
    print(
        f"\n{len(report.kills)} rounds in {seconds:.0f} s: {report.acknowledged:,} runs acknowledged, "
        f"{report.retried:,} requests sent again for want of an answer, {report.repeated:,} acknowledged runs sent "
        f"again; 0 lost, 0 double, sums right, {report.linked:,} linked {report.link_seconds:.0f} s after the last "
        "round, no process left."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engine", choices=["sqlite", "postgresql"], default="sqlite")
    given = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        settings = {"COSTLENS_WEB_WORKERS": str(given.workers)}
        if given.engine == "postgresql":
            settings["DATABASE_URL"] = stack.enter_context(postgres_database(migrated=False))
        report = crash(Path(folder) / "data", given.rounds, given.seed, settings=settings, say=say)
    show(report, time.monotonic() - started)


if __name__ == "__main__":
    main()
