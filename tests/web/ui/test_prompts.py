"""The pages of prompts: rows that add up, versions side by side, and the same figures in every form."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from tests.web.caller import Caller
from tests.web.people import Person

RUN = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1000, "outputTokens": 100, "latency": 800}  # 0.004


def test_a_row_for_each_prompt_and_one_for_those_without(alice: Caller, owner: Person) -> None:
    names = ["review-v1", "review-v2", "write"]
    runs = [RUN | {"promptId": name} for name in names] + [RUN, RUN | {"promptId": "write", "success": False}]
    alice.post("/integrations/batch", {"runs": runs})
    page = owner.client.get("/app/acme/prompts").text
    assert "No promptId" in page
    assert "2 versions side by side" in page
    assert "$0.02" in page
    rows = list(csv.DictReader(io.StringIO(owner.client.get("/app/acme/prompts?format=csv").text)))
    assert [(row["prompt"], row["runs"], row["cost"]) for row in rows] == [
        ("review", "2", "0.008"), ("write", "2", "0.008"), ("", "1", "0.004"),
    ]  # fmt: skip
    assert owner.client.get("/app/acme/prompts?format=json").json == alice.json("/prompts?period=28d")
    lines = owner.client.get("/app/acme/prompts?format=ndjson").text.splitlines()
    assert [json.loads(line)["prompt"] for line in lines] == ["review", "write", None]


def test_versions_side_by_side(alice: Caller, owner: Person) -> None:
    cheap = RUN | {"model": "gpt-5.4-mini"}  # 0.0012
    runs = [RUN | {"promptId": "review-v1"}] * 2 + [cheap | {"promptId": "review-v2", "success": False}]
    alice.post("/integrations/batch", {"runs": runs})
    page = owner.client.get("/app/acme/prompts/review-v2").text
    assert "−70.0 %" in page
    assert "1 failed" in page
    assert "All versions" in page
    for name in ("review", "review-v1"):
        assert owner.client.get(f"/app/acme/prompts/{name}?format=json").json == alice.json(
            f"/prompts/{name}?period=28d"
        )
    rows = list(csv.DictReader(io.StringIO(owner.client.get("/app/acme/prompts/review?format=csv").text)))
    assert [(row["promptId"], row["model"], row["runs"]) for row in rows] == [
        ("review-v1", "gpt-5.4", "2"), ("review-v2", "gpt-5.4-mini", "1"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["a/b", "ünïcode", "a?b#c", "50%"])
def test_any_name_has_a_page(alice: Caller, owner: Person, name: str) -> None:
    alice.post("/integrations/run", RUN | {"promptId": name})
    page = owner.client.get("/app/acme/prompts").text
    path = page.split('<a href="/app/acme/prompts/')[1].split('"')[0]
    assert owner.client.get(f"/app/acme/prompts/{path}").status_code == 200


def test_nothing_to_show_says_why(owner: Person, alice: Caller) -> None:
    assert "Send the first run" in owner.client.get("/app/acme/prompts").text
    alice.post("/integrations/run", RUN)
    assert "No run matches" in owner.client.get("/app/acme/prompts?model=other").text
    assert owner.client.get("/app/acme/prompts/unheard-of").status_code == 404


def test_runs_without_a_price_are_no_zero(alice: Caller, owner: Person) -> None:
    named = RUN | {"repo": "acme/web", "promptId": "review"}
    house = {"model": "house-model"}
    alice.post("/integrations/batch", {"runs": [named, named | house, named | house | {"promptId": "write"}]})
    page = " ".join(
        re.sub(r"<[^>]*>", " ", owner.client.get("/app/acme/repositories/acme/web?tab=prompts").text).split()
    )
    assert "review 2 100.0 % $0.0040 $0.0040" in page
    assert "write 1 100.0 % – no price" in page
    costs = {row["promptId"]: row["cost"] for row in owner.client.get("/app/acme/overview?format=json").json["prompts"]}
    assert costs == {"review": 0.004, "write": None}


def test_a_prompt_without_runs_in_the_period_keeps_its_filters(alice: Caller, owner: Person) -> None:
    alice.post("/integrations/run", RUN | {"promptId": "review-v1", "timestamp": "2025-01-10T12:00:00Z"})
    page = "/app/acme/prompts/review-v1"
    assert "Look at 12 months" in owner.client.get(page).text
    filtered = owner.client.get(f"{page}?model=other").text
    assert "No run matches" in filtered
    assert f'href="{page}">Clear all' in filtered
    assert "1 version" in owner.client.get(f"{page}?from=2025-01-01&to=2025-01-31").text
    for missing in (f"{page}?format=csv", "/app/acme/prompts/unheard-of?model=other"):
        assert owner.client.get(missing).status_code == 404
