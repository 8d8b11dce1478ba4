"""GitHub's facts for tests with real processes: a few pull requests, each with one commit, as snapshot lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

REPOSITORY = "acme/shop"


def write_snapshot(path: Path, *numbers: int) -> Path:
    """Writes a snapshot with merged pull requests of these numbers and answers its path."""
    path.write_text("".join(json.dumps(_pull(number)) + "\n" for number in numbers))
    return path


def code_run(pull: int, number: int, **fields: Any) -> dict[str, Any]:
    """What a run says beside its usage to be linked to a pull request."""
    return {"requestId": f"code-{pull}-{number}", "repo": REPOSITORY, "prNumber": pull, **fields}


def _pull(number: int) -> dict[str, Any]:
    now = datetime.now(UTC).replace(microsecond=0)
    made, merged = now - timedelta(days=2), now - timedelta(hours=1)
    sha = f"{number:040x}"
    return {
        "type": "pull",
        "repo": REPOSITORY,
        "number": number,
        "title": f"Change {number}",
        "author": "alice",
        "state": "merged",
        "createdAt": made.isoformat(),
        "mergedAt": merged.isoformat(),
        "closedAt": merged.isoformat(),
        "mergeCommitSha": f"f{number:039x}",
        "headRef": f"change-{number}",
        "headSha": sha,
        "baseRef": "main",
        "commits": [{"sha": sha, "author": "alice", "authoredAt": made.isoformat(), "message": f"Change {number}"}],
    }
