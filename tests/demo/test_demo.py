"""The demo organization: complete, consistent, never in the future, and the same every time."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from genai_prices import Usage, calc_price

from costlens.demo import BATCH_SIZE, Demo, generate

UNTIL = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 13, 30, tzinfo=UTC)
WINDOW_START = datetime(2026, 10, 24, tzinfo=UTC)
NOTICED = re.compile(r"^(CostLens-Session|CostLens-Run): (\S+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def demo() -> Demo:
    return generate(UNTIL, now=NOW)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def runs(demo: Demo) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, bodies in demo.batches:
        for body in bodies:
            yield key, body


def lines(demo: Demo, kind: str) -> list[dict[str, Any]]:
    return [line for line in demo.snapshot if line["type"] == kind]


def commits(demo: Demo) -> Iterator[dict[str, Any]]:
    yield from lines(demo, "commit")
    for pull in lines(demo, "pull"):
        yield from pull["commits"]


def fingerprint(demo: Demo) -> str:
    text = json.dumps([demo.snapshot, demo.batches], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def price(run: dict[str, Any]) -> float:
    """Dollars of one run by the public price data."""
    if "inputTokens" not in run:
        usage = Usage(input_tokens=run["tokensUsed"] * 3 // 4, output_tokens=run["tokensUsed"] // 4)
    else:
        read, written = run.get("cacheReadTokens", 0), run.get("cacheWriteTokens", 0)
        beside = read + written if run["provider"] == "anthropic" else 0
        usage = Usage(
            input_tokens=run["inputTokens"] + beside,
            cache_read_tokens=read,
            cache_write_tokens=written,
            output_tokens=run["outputTokens"],
        )
    moment = instant(run["timestamp"])
    found = calc_price(usage, run["model"], provider_id=run["provider"], genai_request_timestamp=moment)
    return float(found.total_price)


def test_demo_has_teams_repositories_people_and_enough_runs(demo: Demo) -> None:
    assert demo.organization == "Acme"
    assert demo.hourly_cost_cents == 9500
    assert [team.name for team in demo.teams] == ["Storefront", "Payments", "Discovery", "Platform"]
    repositories = [line["name"] for line in lines(demo, "repository")]
    assert len(repositories) == 8
    assert sorted(repositories) == sorted(name for team in demo.teams for name in team.repositories)
    people = [line["login"] for line in lines(demo, "person")]
    assert len(people) == 20
    assert sorted(people) == sorted(login for team in demo.teams for login in team.people)
    assert sum(1 for _ in runs(demo)) >= 20_000
    active = {run["metadata"].get("actor", "") for key, run in runs(demo) if key != demo.production_key} - {""}
    assert len(active) == 17


def test_second_generation_is_identical_and_another_seed_is_not(demo: Demo) -> None:
    assert fingerprint(generate(UNTIL, now=NOW)) == fingerprint(demo)
    assert fingerprint(generate(UNTIL, days=7)) != fingerprint(generate(UNTIL, seed=8, days=7))


@pytest.mark.parametrize("weekday", range(7))
def test_nothing_lies_in_the_future_or_before_the_window(weekday: int) -> None:
    until = UNTIL + timedelta(days=weekday)
    now = datetime(until.year, until.month, until.day, 10, 15, tzinfo=UTC)
    made = generate(until, days=28, now=now)
    moments = [run["timestamp"] for _, run in runs(made)]
    for pull in lines(made, "pull"):
        moments += [pull[name] for name in ("createdAt", "mergedAt", "closedAt") if pull[name]]
        moments += [review["submittedAt"] for review in pull["reviews"]]
    moments += [commit["committedAt"] for commit in commits(made)]
    assert instant(max(moments)) <= now
    assert instant(max(moments)) > now - timedelta(hours=12)
    assert instant(min(moments)) >= now.replace(hour=0, minute=0) - timedelta(days=27)


def test_an_earlier_instant_only_cuts_what_comes_after(demo: Demo) -> None:
    whole = {run["requestId"]: run for _, run in runs(generate(UNTIL))}
    for _, run in runs(demo):
        # A run names its result only once that commit exists, so only the rest must be equal.
        if "commitSha" not in whole[run["requestId"]]["metadata"]:
            assert whole[run["requestId"]] == run
    assert len(whole) > sum(1 for _ in runs(demo))


def test_batches_hold_one_key_each_in_the_order_of_time(demo: Demo) -> None:
    assert {key for key, _ in demo.batches} == {team.name for team in demo.teams} | {demo.production_key}
    latest: dict[str, str] = {}
    for key, bodies in demo.batches:
        assert 1 <= len(bodies) <= BATCH_SIZE
        stamps = [latest.get(key, ""), *(body["timestamp"] for body in bodies)]
        assert stamps == sorted(stamps)
        latest[key] = stamps[-1]
    firsts = [bodies[0]["timestamp"] for _, bodies in demo.batches]
    assert firsts == sorted(firsts)


def test_every_id_is_unique(demo: Demo) -> None:
    requests = [run["requestId"] for _, run in runs(demo)]
    shas = [commit["sha"] for commit in commits(demo)]
    numbers = [(pull["repo"], pull["number"]) for pull in lines(demo, "pull")]
    heads = [(pull["repo"], pull["headRef"]) for pull in lines(demo, "pull")]
    for ids in (requests, shas, numbers, heads):
        assert len(ids) == len(set(ids))


def test_runs_name_only_pull_requests_commits_and_people_that_exist(demo: Demo) -> None:
    repositories = {line["name"] for line in lines(demo, "repository")}
    numbers = {(pull["repo"], pull["number"]) for pull in lines(demo, "pull")}
    shas = {commit["sha"] for commit in commits(demo)}
    names = {name for line in lines(demo, "person") for name in (line["login"], *line["emails"])}
    for _, run in runs(demo):
        code = run["metadata"]
        assert code.get("repo") in repositories | {None}
        assert "prNumber" not in code or (code["repo"], code["prNumber"]) in numbers
        assert "commitSha" not in code or code["commitSha"] in shas
        assert code.get("actor") in names | {None}
        assert len(code.get("files", ())) <= 50


def test_pull_requests_are_consistent(demo: Demo) -> None:
    people = {line["login"] for line in lines(demo, "person")}
    requests = {run["requestId"] for _, run in runs(demo)}
    sessions = {run["metadata"].get("sessionId") for _, run in runs(demo)}
    for pull in lines(demo, "pull"):
        assert pull["author"] in people or pull["author"].endswith("[bot]")
        assert pull["headSha"] == pull["commits"][-1]["sha"]
        assert all(commit["branches"] == [pull["headRef"]] for commit in pull["commits"])
        authored = [commit["authoredAt"] for commit in pull["commits"]]
        assert authored == sorted(authored)
        expected = {"merged": (True, True), "closed": (False, True), "open": (False, False)}[pull["state"]]
        assert (pull["mergedAt"] is not None, pull["closedAt"] is not None) == expected
        assert (pull["mergeCommitSha"] is not None) == expected[0]
        if pull["closedAt"]:
            assert max(pull["createdAt"], authored[-1]) < pull["closedAt"]
        assert all(pull["createdAt"] <= review["submittedAt"] for review in pull["reviews"])
        for text in (pull["body"], *(commit["message"] for commit in pull["commits"])):
            for trailer, value in NOTICED.findall(text):
                assert value in (sessions if trailer == "CostLens-Session" else requests)


def test_reverts_name_a_merged_pull_request_and_its_commit(demo: Demo) -> None:
    merged = {(p["repo"], p["number"]): p for p in lines(demo, "pull") if p["state"] == "merged"}
    found = [(p, re.fullmatch(r"Reverts (\S+)#(\d+)", p["body"])) for p in lines(demo, "pull")]
    reverts = [(pull, (match[1], int(match[2]))) for pull, match in found if match]
    assert len(reverts) >= 5
    for pull, target in reverts:
        assert merged[target]["mergeCommitSha"] in pull["commits"][0]["message"]
        assert merged[target]["mergedAt"] < pull["createdAt"]


def test_pull_requests_have_every_outcome_in_sensible_shares(demo: Demo) -> None:
    of_people = [pull for pull in lines(demo, "pull") if not pull["author"].endswith("[bot]")]
    states = Counter(pull["state"] for pull in of_people)
    assert states["merged"] >= 900
    assert 0.08 < states["closed"] / (states["closed"] + states["merged"]) < 0.16
    assert 20 < states["open"] < 150
    recent = [p for p in of_people if p["mergedAt"] and instant(p["mergedAt"]) >= WINDOW_START]
    assert 280 < len(recent) < 520


def test_work_follows_the_working_week_and_day(demo: Demo) -> None:
    code = [instant(run["timestamp"]) for key, run in runs(demo) if key != demo.production_key]
    by_weekday = Counter(moment.weekday() for moment in code)
    assert max(by_weekday[5], by_weekday[6]) < 0.25 * min(by_weekday[day] for day in range(5))
    by_hour = Counter(moment.hour for moment in code)
    assert sum(by_hour[hour] for hour in range(8, 19)) > 0.75 * len(code)
    served = Counter(instant(run["timestamp"]).weekday() for key, run in runs(demo) if key == demo.production_key)
    assert served[6] > 0.4 * served[2]  # customers come on Sundays too


def test_every_way_of_naming_the_work_occurs(demo: Demo) -> None:
    heads = {(pull["repo"], pull["headRef"]) for pull in lines(demo, "pull")}
    seen: Counter[str] = Counter()
    branches_of: dict[str, set[str]] = {}
    for key, run in runs(demo):
        code = run["metadata"]
        repo, branch, actor = code.get("repo"), code.get("branch"), code.get("actor")
        if session := code.get("sessionId"):
            branches_of.setdefault(session, set()).add(branch or "")
        seen["production"] += run.get("environment") == "production"
        seen["staging"] += run.get("environment") == "staging"
        seen["ci"] += run.get("environment") == "ci" and "prNumber" in code
        seen["feature branch"] += (repo, branch) in heads and actor is not None
        seen["feature branch, nobody named"] += (repo, branch) in heads and actor is None
        seen["branch without pull request"] += branch not in (None, "main") and (repo, branch) not in heads
        seen["default branch with files"] += branch == "main" and bool(code.get("files"))
        seen["default branch alone"] += branch == "main" and not code.get("files") and actor is not None
        seen["shared key"] += key != demo.production_key and repo is not None and branch == "main" and actor is None
        seen["no repository"] += key != demo.production_key and repo is None
        seen["pull request number"] += "prNumber" in code and run.get("environment") != "ci"
        seen["result commit"] += code.get("commitRole") == "result"
        seen["commit before"] += code.get("commitRole") == "head_before"
        seen["total only"] += "inputTokens" not in run and "input" in run and "output" in run
        seen["failure"] += not run["success"]
        seen["actor by e-mail"] += "@example.com" in (actor or "")
        for label in ("tool", "promptId"):
            seen[f"{label} {run.get(label)}"] += 1
    seen["moved from the default branch"] = sum(
        1 for names in branches_of.values() if "main" in names and names - {"main", ""}
    )
    rare = {name: count for name, count in seen.items() if count < 20}
    assert not rare
    assert {"tool claude-code", "tool codex", "tool cursor", "promptId search-rerank-v2"} <= set(seen)
    total = sum(1 for _ in runs(demo))
    assert 0.01 < seen["failure"] / total < 0.03
    assert 100 < seen["total only"] < 1000


def test_git_shows_ai_work_and_bots_and_people_without_ai(demo: Demo) -> None:
    pulls = lines(demo, "pull")
    messages = "\n".join(commit["message"] for commit in commits(demo))
    assert messages.count("Co-Authored-By: Claude <noreply@anthropic.com>") > 100
    assert messages.count("Co-authored-by: Cursor <cursoragent@cursor.com>") > 10
    assert messages.count("CostLens-Session: ") > 100
    assert messages.count("CostLens-Run: ") > 10
    assert sum("Generated with [Claude Code]" in pull["body"] for pull in pulls) > 100
    assert sum("claude-code-assisted" in pull["labels"] for pull in pulls) > 20
    assert sum(pull["author"] == "copilot-swe-agent[bot]" for pull in pulls) >= 5
    assert sum(pull["author"] == "dependabot[bot]" for pull in pulls) > 50
    assert sum(pull["author"] in ("victor", "walter", "wendy") for pull in pulls) > 50
    assert len(lines(demo, "commit")) > 10


def test_only_the_self_hosted_model_has_no_price(demo: Demo) -> None:
    samples = {run["model"]: run for _, run in runs(demo)}
    for model, run in samples.items():
        if model == "acme-coder-7b":
            with pytest.raises(LookupError):
                price(run)
        else:
            assert price(run) >= 0
    unpriced = sum(run["model"] == "acme-coder-7b" for _, run in runs(demo))
    assert 0.002 < unpriced / sum(1 for _ in runs(demo)) < 0.02


def test_cost_of_the_last_28_days_is_in_its_band(demo: Demo) -> None:
    step = 5  # every fifth run is enough for a broad band
    recent = [
        (key, run)
        for key, run in runs(demo)
        if instant(run["timestamp"]) >= WINDOW_START and run["model"] != "acme-coder-7b"
    ]
    code = step * sum(price(run) for key, run in [r for r in recent if r[0] != demo.production_key][::step])
    production = step * sum(price(run) for key, run in [r for r in recent if r[0] == demo.production_key][::step])
    assert 3_700 < code < 5_700
    assert 600 < production < 1_050


def test_days_must_be_positive() -> None:
    with pytest.raises(ValueError, match="days"):
        generate(UNTIL, days=0)
