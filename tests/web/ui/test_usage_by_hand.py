"""A small organization whose figures were computed by hand, found on the pages of prompts, models and runs, in JSON and
in CSV.

In January 2025, UTC. Own prices, in dollars a million tokens: alpha 2.00 in, 0.20 cache read, 2.50 cache write, 10.00
out; beta 1.00 in, 4.00 out; gamma has none.

    run  day  prompt     model  tokens: in + read + written, out              ms    cost   pull request
    1    6    review-v1  alpha  100,000                       10,000        1,000   0.30   #1 merged
    2    6    review-v1  alpha   50,000 + 400,000 read        20,000        3,000   0.38   #3 abandoned, failed
    3    7    review-v2  beta   200,000                       50,000        2,000   0.40   #2 open
    4    7    review-v2  alpha  100,000 + 200,000 written      5,000        4,000   0.75   #1 merged
    5    8    write      alpha   10,000                        1,000          500   0.03   –
    6    8    –          beta    30,000                        5,000            –   0.05   –
    7    8    review-v2  gamma    1,000                          100        2,500      –   –

    prompt      runs  cost   per run         success  ms     merged      abandoned  open
    review-v1   2     0.68   0.34            50 %     2,000  0.30, 1 PR  0.38       –
    review-v2   3     1.15   0.575 (+69.1 %) 100 %    2,833  0.75, 1 PR  –          0.40
    review      5     1.83   0.4575          80 %     2,500  1.05, 1 PR  0.38       0.40
    write       1     0.03   0.03            100 %    500
    none        1     0.05   0.05            100 %    –
    all         7     1.91   0.318333…       85.71 %  2,167 (13,000 ÷ 6)

    model  runs  cost  share   per 1,000  cached input         read   at full  written  at full  saved
    alpha  4     1.46  76.4 %  365.00     400 ÷ 860 = 46.5 %   0.08   0.80     0.50     0.40     0.62
    beta   2     0.45  23.6 %  225.00     0                    0      0        0        0        0
    gamma  1     –     –       –          0
"""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from flask import Flask

from costlens.github.snapshot import read_snapshot
from costlens.services.linking import link_repository
from costlens.services.prices import set_price
from costlens.services.sync import import_records
from costlens.store.engine import Store
from costlens.store.identity import find_repositories
from costlens.store.organizations import Organization
from tests.web.caller import Caller
from tests.web.people import Person, text_of

JANUARY = "from=2025-01-01&to=2025-01-31"
OF_API = "startDate=2025-01-01&endDate=2025-01-31"
WEB = "acme/web"
_SNAPSHOT = [
    {"type": "repository", "name": WEB, "id": 501, "defaultBranch": "main"},
    {"repo": WEB, "number": 1, "title": "One", "createdAt": "2025-01-06T00:00:00Z", "state": "merged",
     "mergedAt": "2025-01-09T09:00:00Z"},
    {"repo": WEB, "number": 2, "title": "Two", "createdAt": "2025-01-06T00:00:00Z", "state": "open"},
    {"repo": WEB, "number": 3, "title": "Three", "createdAt": "2025-01-06T00:00:00Z", "state": "closed",
     "closedAt": "2025-01-09T09:00:00Z"},
]  # fmt: skip


def _call(
    day: int, model: str, read: int, written: int, latency: int | None = None, **more: object
) -> dict[str, object]:
    call = {"provider": "acme-ai", "model": model, "inputTokens": read, "outputTokens": written}
    timed = {} if latency is None else {"latency": latency}
    return call | timed | {"timestamp": f"2025-01-0{day}T12:00:00Z", "repo": WEB} | more


# inputTokens hold what was read from the cache and written into it.
RUNS = [
    _call(6, "alpha", 100_000, 10_000, 1000, promptId="review-v1", prNumber=1),
    _call(6, "alpha", 450_000, 20_000, 3000, promptId="review-v1", prNumber=3, cacheReadTokens=400_000, success=False),
    _call(7, "beta", 200_000, 50_000, 2000, promptId="review-v2", prNumber=2),
    _call(7, "alpha", 300_000, 5_000, 4000, promptId="review-v2", prNumber=1, cacheWriteTokens=200_000),
    _call(8, "alpha", 10_000, 1_000, 500, promptId="write"),
    _call(8, "beta", 30_000, 5_000),
    _call(8, "gamma", 1_000, 100, 2500, promptId="review-v2"),
]


@pytest.fixture
def by_hand(app: Flask, store: Store, acme: Organization, alice: Caller) -> None:
    rates = {
        "alpha": {"input_uncached": 2.0, "cache_read": 0.2, "cache_write_5m": 2.5, "output_text": 10.0},
        "beta": {"input_uncached": 1.0, "output_text": 4.0},
    }
    for model, dollars in rates.items():
        picos = {column: round(value * 10**6) for column, value in dollars.items()}
        set_price(store, acme.id, "acme-ai", model, effective_from=None, alias_of=None, picos=picos, by="alice")
    answer = alice.post("/integrations/batch", {"runs": RUNS})
    assert answer.json["processed"] == 7, answer.text
    import_records(store, acme.id, read_snapshot(json.dumps(line).encode() for line in _SNAPSHOT))
    with store.read() as tx:
        repository = find_repositories(tx, acme.id, [WEB])[WEB]
    link_repository(store, acme.id, repository)


def rows_of(person: Person, path: str) -> list[dict[str, str]]:
    """A page's CSV."""
    return list(csv.DictReader(io.StringIO(person.client.get(f"/app/acme/{path}&format=csv").text)))


def cells(page: str, row: str) -> dict[str, str]:
    """The cells of the table row that begins so, by the label that a phone shows."""
    found = next(each for each in re.findall(r"<tr\b.*?</tr>", page, re.DOTALL) if re.search(rf">\s*{row}\s*<", each))
    parts = re.findall(r'<td[^>]*data-label="([^"]*)">(.*?)</td>', found, re.DOTALL)
    return {label: " ".join(re.sub(r"<[^>]*>", " ", text).split()) for label, text in parts}


def test_prompts(by_hand: None, owner: Person, alice: Caller) -> None:
    page = owner.client.get(f"/app/acme/prompts?{JANUARY}").text
    names = ("AI cost", "Share", "Runs", "Cost per run", "Success", "Latency", "Tokens")
    for row, figures in {
        "review": ("$1.83", "95.8 %", "5", "$0.46", "80.0 %", "2.5 s", "1,136,100"),
        "write": ("$0.03", "1.6 %", "1", "$0.03", "100.0 %", "500 ms", "11,000"),
        "No promptId": ("$0.05", "2.6 %", "1", "$0.05", "100.0 %", "–", "35,000"),
    }.items():
        assert tuple(cells(page, row)[name] for name in names) == figures, row
    total = cells(page, "Total")
    assert (total["AI cost"], total["Runs"], total["Cost per run"]) == ("$1.91", "7", "$0.32")
    assert (total["Success"], total["Latency"], total["Tokens"]) == ("85.7 %", "2.2 s", "1,182,100")
    shown = alice.json(f"/prompts?{OF_API}")
    assert [(one["prompt"], one["runs"], one["cost"]) for one in shown["prompts"]] == [
        ("review", 5, 1.83), ("write", 1, 0.03),
    ]  # fmt: skip
    assert (shown["none"]["cost"], shown["total"]["cost"], shown["total"]["runs"]) == (0.05, 1.91, 7)
    assert (shown["prompts"][0]["avgCostPerRun"], shown["prompts"][0]["avgLatency"]) == (0.4575, 2500)
    assert owner.client.get(f"/app/acme/prompts?{JANUARY}&format=json").json == shown
    rows = rows_of(owner, f"prompts?{JANUARY}")
    assert [(row["prompt"], row["cost"], row["successRate"], row["avgLatency"]) for row in rows] == [
        ("review", "1.83", "80.0", "2500"), ("write", "0.03", "100.0", "500"), ("", "0.05", "100.0", "0"),
    ]  # fmt: skip


def test_versions_of_a_prompt(by_hand: None, owner: Person, alice: Caller) -> None:
    response = owner.client.get(f"/app/acme/prompts/review?{JANUARY}")
    rows = {
        name: " ".join(re.sub(r"<[^>]*>", " ", rest).split())
        for name, rest in re.findall(r'<th scope="row"[^>]*>\s*([\w ,]+?)\s*<(.*?)</tr>', response.text, re.DOTALL)
    }
    assert rows["AI cost"].endswith("$0.68 $1.15 $1.83")
    assert rows["Runs"].endswith("2 3 1 without a price 5 1 without a price")
    assert "$0.34 $0.58 +69.1 % $0.46" in rows["Cost per run"]
    assert rows["Success"].endswith("50.0 % 1 failed 100.0 % 80.0 % 1 failed")
    assert rows["Latency, mean"].endswith("2.0 s 2.8 s 2.5 s")
    assert rows["Merged"].endswith("$0.30 1 PR $0.75 1 PR $1.05 1 PR")
    assert rows["Open"].endswith("– $0.40 1 PR $0.40 1 PR")
    assert rows["Abandoned"].endswith("$0.38 1 PR – $0.38 1 PR")
    assert rows["Counted for no work"].endswith("$0.00 $0.00 $0.00")
    shown = alice.json(f"/prompts/review-v1?{OF_API}")
    first, second = shown["versions"]
    assert (first["cost"], second["cost"], shown["cost"]) == (0.68, 1.15, 1.83)
    assert (second["avgCostPerRun"], second["avgLatency"], second["unpricedRuns"]) == (0.575, 2833, 1)
    assert [(one["model"], one["runs"], one["cost"]) for one in second["models"]] == [
        ("alpha", 1, 0.75), ("beta", 1, 0.4), ("gamma", 1, None),
    ]  # fmt: skip
    assert {one["outcome"]: (one["pullRequests"], one["cost"]) for one in shown["outcomes"]} == {
        "merged": (1, 1.05), "direct": (0, 0), "open": (1, 0.4), "abandoned": (1, 0.38), "reverted": (0, 0),
    }  # fmt: skip
    assert owner.client.get(f"/app/acme/prompts/review?{JANUARY}&format=json").json == shown
    assert [(row["promptId"], row["model"], row["cost"]) for row in rows_of(owner, f"prompts/review?{JANUARY}")] == [
        ("review-v1", "alpha", "0.68"), ("review-v2", "alpha", "0.75"), ("review-v2", "beta", "0.4"),
        ("review-v2", "gamma", ""),
    ]  # fmt: skip


def test_models(by_hand: None, owner: Person, alice: Caller) -> None:
    page = owner.client.get(f"/app/acme/models?{JANUARY}").text
    spent, cached = page.split('id="caches"')
    for row, figures in {
        "alpha": ("$1.46", "76.4 %", "4", "$365.00"),
        "beta": ("$0.45", "23.6 %", "2", "$225.00"),
        "gamma": ("no price", "0.0 %", "1 1 without a price", "–"),
        "Total": ("$1.91", None, "7", "$318.33"),
    }.items():
        found = cells(spent, row)
        assert tuple(found.get(name) for name in ("AI cost", "Share", "Runs", "Per 1,000 runs")) == figures, row
    assert cells(spent, "alpha")["Price per million"].startswith("$2.00 in · $10.00 out own price")
    for row in ("alpha", "Total"):
        found = cells(cached, row)
        assert (found["Saved"], found["Read cost"], found["At input price"]) == ("$0.62", "$0.08", "$0.80")
        assert (found["Read, tokens"], found["Written, tokens"]) == ("400,000", "200,000")
        assert found["Write cost on top"] == "$0.10"
    assert cells(cached, "alpha")["Cached input"] == "46.5 %"
    shown = alice.json(f"/models?{OF_API}")
    alpha, beta, gamma = shown["models"]
    assert (alpha["cost"], alpha["costPerThousandRuns"], alpha["cache"]["saved"]) == (1.46, 365, 0.62)
    assert (beta["cost"], beta["costPerThousandRuns"], beta["cache"]["saved"]) == (0.45, 225, 0)
    assert (gamma["cost"], gamma["unpricedRuns"], gamma["cache"]["saved"]) == (None, 1, None)
    assert alpha["share"] == pytest.approx(1.46 / 1.91)
    assert shown["total"]["cost"] == 1.91
    assert owner.client.get(f"/app/acme/models?{JANUARY}&format=json").json == shown
    assert [(row["model"], row["cost"], row["cacheSaved"]) for row in rows_of(owner, f"models?{JANUARY}")] == [
        ("alpha", "1.46", "0.62"), ("beta", "0.45", "0.0"), ("gamma", "", ""),
    ]  # fmt: skip


def test_runs(by_hand: None, owner: Person, alice: Caller) -> None:
    page = owner.client.get(f"/app/acme/runs?{JANUARY}")
    assert "7 runs $1.91" in text_of(page)
    for bar in ("6 Jan: 2 runs, $0.68", "7 Jan: 2 runs, $1.15", "8 Jan: 3 runs, $0.08", "9 Jan: 0 runs, $0.00"):
        assert f"<title>{bar}</title>" in page.text
    costs = [0.3, 0.38, 0.4, 0.75, 0.03, 0.05, None]
    shown = alice.json(f"/runs?{OF_API}")["runs"]
    assert sorted((run["cost"] for run in shown), key=str) == sorted(costs, key=str)
    assert owner.client.get(f"/app/acme/runs?{JANUARY}&format=json").json["runs"] == shown
    assert [row["cost"] for row in rows_of(owner, f"runs?{JANUARY}")] == [
        "" if run["cost"] is None else str(run["cost"]) for run in shown
    ]
    fourth = next(run["id"] for run in shown if run["cost"] == 0.75)
    why = text_of(owner.client.get(f"/app/acme/runs/{fourth}"))
    assert "Input, not cached 100,000 $2.00 $0.200000000" in why
    assert "Cache write, 5 minutes 200,000 $2.50 $0.500000000" in why
    assert "Output 5,000 $10.00 $0.050000000" in why
    assert "Without cache $0.65" in why
