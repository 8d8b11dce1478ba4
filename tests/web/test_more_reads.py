"""Prompts with their versions, one pull request run by run, lists as files, and the period before."""

from __future__ import annotations

import csv
import io
import json

import pytest

from costlens.web.api import roi
from tests.web.caller import Caller, error_of
from tests.web.conftest import PERIOD, WEB, Shipped

RUN = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1000, "outputTokens": 100, "latency": 800}  # 0.004


def test_prompts_by_their_name(alice: Caller) -> None:
    names = ["review-v1", "review-v2", "review-v10", "review", "other-v1"]
    runs = [RUN | {"promptId": name} for name in names] + [
        RUN | {"promptId": "review-v2", "model": "gpt-5.4-mini"},
        RUN,
    ]
    alice.post("/integrations/batch", {"runs": runs})
    review, other = alice.json("/prompts")["prompts"]
    assert (review["prompt"], review["versions"]) == ("review", ["review", "review-v1", "review-v2", "review-v10"])
    assert (review["runs"], review["tokens"], review["avgLatency"]) == (5, 5500, 800)
    assert review["cost"] == pytest.approx(4 * 0.004 + 0.0012)
    assert (other["prompt"], other["runs"]) == ("other", 1)
    for name in ("review", "review-v2"):  # any version leads to all of them
        shown = alice.json(f"/prompts/{name}")
        assert [one["version"] for one in shown["versions"]] == [None, "v1", "v2", "v10"]
        assert [one["model"] for one in shown["versions"][2]["models"]] == ["gpt-5.4", "gpt-5.4-mini"]
        assert sum(one["runs"] for one in shown["versions"]) == shown["runs"] == 5
    error_of(alice.get("/prompts/unheard-of"), 404, "not_found")


def test_prompts_page_by_page_and_as_files(alice: Caller) -> None:
    alice.post("/integrations/batch", {"runs": [RUN | {"promptId": f"p{n}"} for n in range(5)]})
    found, cursor = [], ""
    while True:
        page = alice.json(f"/prompts?limit=2{cursor}")
        found += [row["prompt"] for row in page["prompts"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert found == [f"p{n}" for n in range(5)]
    rows = list(csv.DictReader(io.StringIO(alice.get("/prompts?format=csv").text)))
    assert [row["prompt"] for row in rows] == found
    lines = [json.loads(line) for line in alice.get("/prompts?format=ndjson").text.splitlines()]
    assert lines == alice.json("/prompts")["prompts"]
    error_of(alice.get("/prompts?cursor=%2B%2B%2B"), 400, "invalid_input")


def test_one_pull_request(shipped: Shipped, alice: Caller, charlie: Caller) -> None:
    answer = alice.json(f"/roi/pull-requests/{WEB}/1")
    pull = answer["pullRequest"]
    assert (pull["number"], pull["repo"], pull["title"], pull["outcome"]) == (1, WEB, "Sign in by link", "merged")
    assert (pull["runs"], pull["cost"], pull["cycleHours"]) == (2, 0.004, 21)
    assert {run["id"] for run in answer["runs"]} == {shipped.ids["login"], shipped.ids["unpriced"]}
    assert sum(run["linkedCost"] for run in answer["runs"]) == pull["cost"]
    for path in (
        f"/roi/pull-requests/{WEB}/99",
        "/roi/pull-requests/acme/none/1",
        f"/roi/pull-requests/{WEB}/{10**20}",
    ):
        error_of(alice.get(path), 404, "not_found")
    error_of(charlie.get(f"/roi/pull-requests/{WEB}/1"), 404, "not_found")


def test_the_summary_is_the_total_of_the_report(shipped: Shipped, alice: Caller) -> None:
    summary, report = (alice.json(f"/roi/{name}?{PERIOD}") for name in ("summary", "repositories"))
    assert report.pop("repositories")
    assert summary == report


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_pull_requests_as_a_file(shipped: Shipped, alice: Caller, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = alice.json(f"/roi/pull-requests?{PERIOD}")["pullRequests"]
    assert len(shown) == 3
    monkeypatch.setattr(roi, "PAGE", 1)  # several pages
    text = alice.get(f"/roi/pull-requests?{PERIOD}&format={form}").text
    if form == "ndjson":
        assert [json.loads(line) for line in text.splitlines()] == shown
        assert len(alice.get(f"/roi/pull-requests?{PERIOD}&format={form}&limit=2").text.splitlines()) == 2
    else:
        assert [row["title"] for row in csv.DictReader(io.StringIO(text))] == [row["title"] for row in shown]


def test_the_overview_beside_the_period_before(alice: Caller) -> None:
    days = {"2025-01-03": 1, "2025-01-10": 3}
    runs = [RUN | {"timestamp": f"{day}T12:00:00Z"} for day, count in days.items() for _ in range(count)]
    alice.post("/integrations/batch", {"runs": runs})
    answer = alice.json("/analytics/overview?startDate=2025-01-08&endDate=2025-01-14&compare=previous")
    assert (answer["totalRuns"], answer["previous"]["totalRuns"]) == (3, 1)
    assert (answer["previous"]["startDate"], answer["previous"]["endDate"]) == ("2025-01-01", "2025-01-07")
    assert answer["previous"]["totalCost"] == 0.004
    assert "previous" not in alice.json("/analytics/overview")
    error_of(alice.get("/analytics/overview?compare=next"), 400, "invalid_input")
