"""Replay a folder of real runs and pull requests through the linker and score it with the folder's own scorer.

    python -m benchmarks.linking DATA_DIR [--seeds 10] [--drop 0.2] [--explicit] [--only odd|even] [--half first|second]

`--only` takes every other seed and `--half` the first or the second half of the runs, so that what was chosen on one
part can be looked at on another. The dollar error is the sum over pull requests of |linked - true| by the sum of what
is true, and for the median pull request |linked - true| by what is true of it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from costlens.domain.linking import RULESET_V1, link_runs
from costlens.domain.links import CommitFact, LinkState, PullFact, RepositoryFacts, RunFact, RunLinks


def rows(path: Path) -> list[dict[str, Any]]:
    """The records of a JSON Lines file."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def load_people(folder: Path) -> dict[str, int]:
    """Person id by login, as a workspace that knows each login once would have it."""
    return {row["login"]: number for number, row in enumerate(rows(folder / "people.jsonl"), start=1)}


def load_runs(folder: Path, people: Mapping[str, int]) -> list[RunFact]:
    """The runs in the order of the file, numbered from 1; times in whole milliseconds as the database keeps them."""
    facts = []
    for number, row in enumerate(rows(folder / "runs.jsonl"), start=1):
        named = row["metadata"]
        facts.append(
            RunFact(
                id=number,
                occurred_at=datetime.fromisoformat(row["timestamp"]),
                person_id=people.get(named.get("actor")),
                branch=named.get("branch"),
                session_id=named.get("sessionId"),
                commit_sha=named.get("commitSha"),
                commit_is_result=named.get("commitRole") == "result",
                pr_number=named.get("prNumber"),
                files=frozenset(named.get("files", ())[:50]),
                keys=frozenset({row["requestId"]}),
            )
        )
    return facts


def load_facts(folder: Path, pulls: Path, people: Mapping[str, int]) -> RepositoryFacts:
    """The repository as the visible pull requests and the commits outside show it; pull request id = number."""

    def commit(row: Mapping[str, Any]) -> CommitFact:
        at = datetime.fromisoformat(row["authoredAt"])
        files, branches = frozenset(row["files"]), frozenset(row["branches"])
        return CommitFact(row["sha"], people.get(row["author"]), at, at, files, branches)

    def pull(row: Mapping[str, Any]) -> PullFact:
        merged = datetime.fromisoformat(row["mergedAt"]) if row["mergedAt"] else None
        return PullFact(
            id=row["number"],
            number=row["number"],
            head_ref=row["headRef"],
            base_ref=row["baseRef"],
            person_id=people.get(row["author"]),
            created_at=datetime.fromisoformat(row["createdAt"]),
            merged_at=merged,
            closed_at=merged,
            commits=tuple(commit(own) for own in row["commits"]),
            merge_commit_sha=row["mergeCommitSha"],
        )

    outside = tuple(commit(row) for row in rows(folder / "commits.jsonl"))
    return RepositoryFacts("main", tuple(pull(row) for row in rows(pulls)), outside)


def name_targets(folder: Path, runs: Sequence[RunFact], facts: RepositoryFacts) -> list[RunFact]:
    """The runs as callers that know their outcome would send them: a pull request number, or else a result commit.

    A field holds one value, so a run that went into several pull requests names one that is visible.
    """
    visible = {pull.number for pull in facts.pulls}
    answers = {row["requestId"]: row for row in rows(folder / "answers.jsonl")}
    named = []
    for run in runs:
        answer = answers[next(iter(run.keys))]
        number = min(answer["pullRequests"], key=lambda pull: (pull not in visible, pull), default=None)
        sha = answer["commits"][0] if number is None else None
        named.append(replace(run, pr_number=number, commit_sha=sha, commit_is_result=sha is not None))
    return named


def half_of(runs: Sequence[RunFact], half: str | None) -> list[RunFact]:
    """The earlier or the later half of the runs; all of them where none is named."""
    ordered = sorted(runs, key=lambda run: (run.occurred_at, run.id))
    middle = len(ordered) // 2
    return {"first": ordered[:middle], "second": ordered[middle:], None: ordered}[half]


def median_error(answers: Iterable[Mapping[str, Any]], visible: Path, links: Iterable[Mapping[str, Any]]) -> float:
    """|linked - true| by true dollars of the median pull request; answers and links are those of the same runs."""
    shown = {row["number"] for row in rows(visible)}
    given: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for link in links:
        given[link["requestId"]].append(link)
    true, spent = Counter[int](), Counter[int]()
    for answer in answers:
        right = set(answer["pullRequests"]) & shown
        for number in right:
            true[number] += answer["usd"] / len(right)
        for link in given[answer["requestId"]]:
            spent[link["pullRequest"]] += answer["usd"] * link["share"]
    return statistics.median(abs(spent[number] - usd) / usd for number, usd in true.items() if usd)


def score(folder: Path, runs: Sequence[RunFact], visible: Path, answer: Iterable[RunLinks]) -> dict[str, float]:
    """What the folder's scorer says of the counted links of these runs to pull requests, with `medianError`."""
    keys = {run.id: next(iter(run.keys)) for run in runs}
    wanted = set(keys.values())
    answers = [row for row in rows(folder / "answers.jsonl") if row["requestId"] in wanted]
    records = []
    with tempfile.NamedTemporaryFile("w") as told, tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        told.writelines(f"{json.dumps(row)}\n" for row in answers)
        told.flush()
        for one in answer:
            if one.run_id not in keys:
                continue
            counted = one.links if one.state is LinkState.COUNTED else ()
            for link in counted:
                if link.pull_request_id is not None:
                    record = {
                        "requestId": keys[one.run_id],
                        "pullRequest": link.pull_request_id,
                        "share": 1 / len(counted),
                    }
                    records.append(record)
                    file.write(json.dumps(record) + "\n")
        file.flush()
        arguments = [told.name, str(visible), file.name]
        out = subprocess.run(
            [sys.executable, str(folder / "score_linking.py"), "score", *arguments],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    scores = {name: float(value) for name, value in json.loads(out).items()}
    return scores | {"medianError": median_error(answers, visible, records)}


def drop(folder: Path, share: float, seed: int, target: Path) -> None:
    """Write the pull requests that stay visible when a share of them is left out."""
    with target.open("w") as out:
        scorer, pulls = str(folder / "score_linking.py"), str(folder / "pulls.jsonl")
        command = [sys.executable, scorer, "drop", pulls, str(share), str(seed)]
        subprocess.run(command, check=True, stdout=out)


def replay(folder: Path, share: float, seed: int, explicit: bool = False, half: str | None = None) -> dict[str, float]:
    """Scores of one seed, with `seconds` of CPU of pure linking added; it runs in one thread and waits for nothing."""
    people = load_people(folder)
    runs = load_runs(folder, people)
    with tempfile.TemporaryDirectory() as place:
        visible = Path(place) / "visible.jsonl"
        drop(folder, share, seed, visible)
        facts = load_facts(folder, visible, people)
        if explicit:
            runs = name_targets(folder, runs, facts)
        now = max(run.occurred_at for run in runs)
        started = time.process_time()
        answer = link_runs(runs, facts, (), RULESET_V1, now)
        seconds = time.process_time() - started
        return {**score(folder, half_of(runs, half), visible, answer), "seconds": seconds}


def main() -> None:
    """Print the scores per seed and their mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DATA_DIR")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--drop", type=float, default=0.2)
    parser.add_argument(
        "--explicit", action="store_true", help="runs name their pull request, or else their result commit"
    )
    parser.add_argument("--only", choices=["odd", "even"], help="these of the seeds")
    parser.add_argument("--half", choices=["first", "second"], help="score this half of the runs")
    options = parser.parse_args()
    shown = ("precision", "recall", "counted", "dollarErrorPerPullRequest", "medianError", "seconds")
    print("seed " + " ".join(f"{name:>25}" for name in shown))
    seeds = [seed for seed in range(options.seeds) if options.only in (None, "odd" if seed % 2 else "even")]
    results = []
    for seed in seeds:
        result = replay(options.folder, options.drop, seed, options.explicit, options.half)
        results.append(result)
        print(f"{seed:4} " + " ".join(f"{result[name]:25.4f}" for name in shown), flush=True)
    print("mean " + " ".join(f"{sum(result[name] for result in results) / len(results):25.4f}" for name in shown))


if __name__ == "__main__":
    main()
