"""GET /analytics/overview?groupBy=… over HTTP."""

from __future__ import annotations

import csv
import io

import pytest

from tests.web.caller import Caller, error_of

CALL = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1000, "outputTokens": 100, "latency": 800}
PERIOD = "startDate=2025-01-01&endDate=2025-01-31"
AT = {"timestamp": "2025-01-10T11:00:00Z"}


@pytest.fixture
def path(alice: Caller) -> str:
    """Runs of three prompts and of none, one without a price."""
    runs = [{"promptId": "big", "inputTokens": 90_000}, {"promptId": "=small"}, {"promptId": "middle"}, {}]
    runs += [{"promptId": "middle", "success": False}, {"promptId": "new", "model": "no-such-model-9"}]
    for run in runs:
        assert alice.post("/integrations/run", CALL | AT | run).status_code == 200
    return f"/analytics/overview?{PERIOD}"


def test_groups_have_their_figures_and_add_up(alice: Caller, path: str) -> None:
    body = alice.json(f"{path}&groupBy=promptId")
    groups = body["groups"]
    assert [(group["kind"], group["key"]) for group in groups] == [
        ("group", "big"),
        ("group", "middle"),
        ("group", "=small"),
        ("group", "new"),
        ("none", None),
    ]
    assert groups[1] == {
        "kind": "group", "key": "middle", "name": None, "runs": 2, "cost": groups[1]["cost"], "tokens": 2200,
        "unpricedRuns": 0, "successRate": 50.0, "avgLatency": 800,
    }  # fmt: skip
    assert (groups[3]["cost"], groups[3]["unpricedRuns"]) == (None, 1)
    assert sum(group["runs"] for group in groups) == body["totalRuns"] == 6
    assert sum(group["cost"] or 0 for group in groups) == pytest.approx(body["totalCost"], abs=1e-12)


def test_groups_past_the_limit_are_one_row(alice: Caller, path: str) -> None:
    groups = alice.json(f"{path}&groupBy=promptId&limit=1")["groups"]
    assert [(group["kind"], group["runs"]) for group in groups] == [("group", 1), ("none", 1), ("other", 4)]


def test_groups_of_some_runs_only(alice: Caller, path: str) -> None:
    groups = alice.json(f"{path}&groupBy=model&promptId=middle")["groups"]
    assert [(group["key"], group["runs"]) for group in groups] == [("gpt-5.4", 2)]


def test_groups_as_csv_never_run_as_a_formula(alice: Caller, path: str) -> None:
    answer = alice.get(f"{path}&groupBy=promptId&format=csv")
    assert answer.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["key"] for row in rows] == ["big", "middle", "'=small", "new", ""]
    assert [row["cost"] for row in rows[3:4]] == [""]
    assert sum(int(row["runs"]) for row in rows) == 6


def test_without_group_by_nothing_changes(alice: Caller, path: str) -> None:
    assert "groups" not in alice.json(path)
    assert alice.get(f"{path}&format=csv").text.startswith("date,")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("groupBy=colour", "groupBy"),
        ("groupBy=model&limit=0", "limit"),
        ("groupBy=model&limit=1001", "limit"),
        ("groupBy=model&timezone=Asia/Tokyo", "timezone"),
    ],
)
def test_what_cannot_be_answered_is_refused(alice: Caller, path: str, query: str, field: str) -> None:
    assert error_of(alice.get(f"{path}&{query}"), 400, "invalid_input")["field"] == field


def test_groups_need_a_key(nobody: Caller, path: str) -> None:
    assert nobody.get(f"{path}&groupBy=model").status_code == 401
