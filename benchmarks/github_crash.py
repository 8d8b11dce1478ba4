"""kill -9 of the worker at random moments while 300 pull requests are read from GitHub, and what each costs.

    python -m benchmarks.github_crash [--kills 20] [--each 4] [--seed 1] [--engine sqlite|postgresql]

A GitHub of our own on loopback counts the calls. Each first walk is cut `--each` times. It ends with an error when a
row differs from those of an undisturbed walk, or when more pages were asked for again than there were kills. Linux.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.e2e.github_crash import Report, backfill
from tests.github.peer import history
from tests.postgres import postgres_database


def walk(engine: str, kills: int, seed: int) -> Report:
    """One first walk in a data folder and a database of its own."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        settings = {}
        if engine == "postgresql":
            settings["DATABASE_URL"] = stack.enter_context(postgres_database(migrated=False))
        return backfill(Path(folder) / "data", history(300, 40), kills, seed, settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--each", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=["sqlite", "postgresql"], default="sqlite")
    given = parser.parse_args()
    calm = walk(given.engine, 0, given.seed)
    print(f"undisturbed: {calm.calls} calls, {calm.seconds:.1f} s", flush=True)
    done = 0
    while done < given.kills:
        report = walk(given.engine, min(given.each, given.kills - done), given.seed + done)
        done += len(report.kills)
        more = f"{report.calls - calm.calls} calls and {report.pages_repeated} pages more"
        print(f"killed {', '.join(report.kills)}: {more}, {report.seconds:.1f} s", flush=True)
        assert report.kills, "nothing was killed"
        assert report.found == calm.found, "rows differ"
        assert report.pages_repeated <= len(report.kills)
    print(f"{done} kills: the same rows as undisturbed")


if __name__ == "__main__":
    main()
