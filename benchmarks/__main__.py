"""`make bench`: every benchmark one after the other. Each is also a command of its own, see README.md here.

    python -m benchmarks [DATA_DIR]

DATA_DIR is a folder with runs.jsonl, pulls.jsonl, commits.jsonl, people.jsonl, answers.jsonl and score_linking.py.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DEFAULT = Path(__file__).parents[2] / "shared" / "data" / "linking"
NAMES = (
    "start",
    "ingest",
    "api",
    "queries",
    "reports",
    "export",
    "link_events",
    "crash",
    "github_crash",
    "github_webhooks",
)


def main() -> None:
    for name in NAMES:
        print(f"\n== {name}", flush=True)
        subprocess.run((sys.executable, "-m", f"benchmarks.{name}"), check=True)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    if not (folder / "runs.jsonl").exists():
        raise SystemExit(f"No replay data in {folder}: python -m benchmarks DATA_DIR")
    for name in ("linking", "replay"):
        print(f"\n== {name}", flush=True)
        subprocess.run((sys.executable, "-m", f"benchmarks.{name}", str(folder)), check=True)


if __name__ == "__main__":
    main()
