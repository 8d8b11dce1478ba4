"""Runs out, the decisions about their links, and the ROI that follows from them."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from costlens.services.linking import link_repository
from costlens.services.verify import check
from costlens.store.engine import Store
from tests.databases import refuse
from tests.web.caller import Caller, error_of
from tests.web.conftest import PERIOD, WEB, Shipped

CALL = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1000, "outputTokens": 100}
CALL_COST = 0.004


def pages(caller: Caller, path: str, name: str) -> Iterator[list[dict[str, Any]]]:
    """Every page of a list, following its cursors."""
    cursor = ""
    for _ in range(50):  # a cursor that does not move on must not hold the tests up
        answer = caller.json(path + cursor)
        yield answer[name]
        if answer["nextCursor"] is None:
            return
        cursor = f"&cursor={answer['nextCursor']}"
    pytest.fail("the list does not end")


def link_anew(store: Store, shipped: Shipped) -> int:
    """Links everything again; answers how many runs changed."""
    return sum(
        link_repository(store, shipped.organization.id, number, full=True).changed
        for number in (shipped.repository_id, 0)
    )


def balanced(store: Store, shipped: Shipped) -> bool:
    return not check(store, shipped.organization.id).findings


def test_a_run_comes_back_as_it_was_sent(alice: Caller) -> None:
    sent = CALL | {
        "requestId": "r-1", "correlationId": "c-1", "sessionId": "s-1", "timestamp": "2025-01-10T11:00:00.123Z",
        "promptId": "write-v2", "environment": "ci", "tool": "editor", "tags": {"a": "b"}, "repo": WEB,
        "branch": "feat/x", "commitSha": "A" * 40, "prNumber": 7, "latency": 812, "actor": "bob", "success": False,
        "error": "timeout", "requestedModel": "gpt-5.4-pro",
    }  # fmt: skip
    made = alice.post("/integrations/run", sent).json["run"]
    run = alice.json(f"/runs/{made['id']}")["run"]
    same = sent.keys() - {"inputTokens", "outputTokens", "commitSha"}
    assert {name: run[name] for name in same} == {name: sent[name] for name in same}
    assert (run["commitSha"], run["commitRole"]) == ("a" * 40, "head_before")
    assert run["tokens"]["inputUncached"] == 1000
    assert run["tokens"]["outputText"] == 100
    assert run["tokensUsed"] == sum(run["tokens"].values()) == 1100
    assert run["source"] == "api"
    assert (run["linkState"], run["linkedCost"], run["links"]) == ("pending", 0, [])


@pytest.mark.parametrize("limit", [1, 3, 4, 100])
def test_paging_shows_each_run_once_even_at_one_instant(alice: Caller, limit: int) -> None:
    times = ["2025-01-10T10:00:00Z"] * 7 + ["2025-01-09T10:00:00Z"] * 2 + ["2025-01-11T10:00:00Z"]
    runs = [CALL | {"timestamp": at, "requestId": f"r{n}"} for n, at in enumerate(times)]
    made = alice.post("/integrations/batch", {"runs": runs}).json["runs"]
    shown = list(pages(alice, f"/runs?limit={limit}", "runs"))
    assert all(len(page) == limit for page in shown[:-1])
    assert 1 <= len(shown[-1]) <= limit
    flat = [run for page in shown for run in page]
    assert Counter(run["id"] for run in flat) == Counter(run["id"] for run in made)
    order = [(run["timestamp"], run["id"]) for run in flat]
    assert order == sorted(order, reverse=True)


def test_a_run_that_comes_meanwhile_moves_no_page(alice: Caller) -> None:
    for n in range(4):
        alice.post("/integrations/run", CALL | {"timestamp": f"2025-01-1{n}T10:00:00Z"})
    walk = pages(alice, "/runs?limit=2", "runs")
    first = next(walk)
    alice.post("/integrations/run", CALL | {"timestamp": "2025-01-20T10:00:00Z"})
    rest = [run for page in walk for run in page]
    assert [run["timestamp"][:10] for run in first + rest] == [f"2025-01-1{n}" for n in (3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("state=counted", {"login", "search", "failed-search", "unpriced"}),
        ("state=unlinked", {"stray", "homeless"}),
        ("state=not_code", {"live"}),
        ("state=pending", set()),
        ("reason=no_repo", {"homeless"}),
        ("reason=no_candidate", {"stray"}),
        ("priced=false", {"unpriced"}),
        ("priced=true&state=not_code", {"live"}),
        ("repo=none", {"homeless"}),
        (f"repo={WEB.upper()}&state=unlinked", {"stray"}),
        ("team=Storefront", {"search"}),
        ("team=storefront&state=unlinked", set()),
        ("promptId=write-v2", {"login"}),
        ("sessionId=s-1", {"homeless"}),
        ("model=gpt-unheard-of", {"unpriced"}),
        ("provider=OPENAI&reason=no_repo", {"homeless"}),
        ("provider=anthropic", set()),
        ("startDate=2025-01-20&endDate=2025-01-21", {"stray", "homeless"}),
        ("startDate=2025-01-22T00:00:00Z", {"live"}),
        ("period=7d", set()),
        ("", {"login", "search", "failed-search", "stray", "homeless", "live", "unpriced"}),
    ],
)
def test_filters(shipped: Shipped, alice: Caller, query: str, names: set[str]) -> None:
    assert {run["requestId"] for run in alice.json(f"/runs?{query}")["runs"]} == names


def test_price_lines_sum_to_the_cost(alice: Caller) -> None:
    usages = [
        {"inputTokens": 1001, "outputTokens": 103, "cacheReadTokens": 401, "reasoningTokens": 7},
        {"tokensUsed": 77},
        {"inputTokens": 1, "outputTokens": 0},
        {"inputTokens": 999_999, "outputTokens": 333},
    ]
    for provider, model in (("openai", "gpt-5.4"), ("anthropic", "claude-sonnet-4-5")):
        for tokens in usages:
            body = {"provider": provider, "model": model} | tokens
            made = alice.post("/integrations/run", body).json["run"]
            run = alice.json(f"/runs/{made['id']}")["run"]
            lines = run["price"]["lines"]
            nanos = [round(line["cost"] * 10**9) for line in lines]
            assert sum(nanos) == round(run["cost"] * 10**9) > 0
            assert sum(line["quantity"] for line in lines) == run["tokensUsed"]
            assert run["price"]["version"] == run["priceVersion"]
            for line, cost in zip(lines, nanos, strict=True):
                assert abs(line["quantity"] * line["dollarsPerMillion"] * 1000 - cost) <= 1, line


# Links.


def test_links_with_their_evidence(shipped: Shipped, alice: Caller) -> None:
    links = {link["requestId"]: link for link in alice.json("/links")["links"]}
    assert {name: (link["pullRequest"], link["rule"], link["outcome"]) for name, link in links.items()} == {
        "login": (1, "B1", "merged"),
        "unpriced": (1, "X2", "merged"),
        "search": (2, "X2", "open"),
        "failed-search": (3, "X2", "abandoned"),
    }
    login = links["login"]
    assert (login["run"], login["repo"], login["title"]) == (shipped.ids["login"], WEB, "Sign in by link")
    assert (login["state"], login["cost"], login["share"], login["confidence"]) == ("counted", CALL_COST, 1, 0.9)
    assert login["evidence"]["matched"] == "feat/login"
    assert login["sentence"]
    assert alice.json(f"/runs/{shipped.ids['login']}")["run"]["links"] == [login]
    assert links["unpriced"]["cost"] == 0


def test_links_page_by_page(shipped: Shipped, alice: Caller) -> None:
    found = [link["run"] for page in pages(alice, "/links?limit=3", "links") for link in page]
    assert sorted(found) == sorted(shipped.ids[name] for name in ("login", "unpriced", "search", "failed-search"))
    assert len(alice.json(f"/links?repo={WEB}&state=counted")["links"]) == 4
    assert alice.json("/links?state=suggested")["links"] == []
    assert [link["run"] for link in alice.json(f"/links?run={shipped.ids['login']}")["links"]] == [shipped.ids["login"]]
    assert alice.json("/links?run=run_0000000000000")["links"] == []


def decide(caller: Caller, shipped: Shipped, run: str, **decision: Any) -> dict[str, Any]:
    response = caller.post(f"/runs/{shipped.ids[run]}/links", decision)
    assert response.status_code == 200, response.text
    assert response.json["success"] is True
    return response.json["run"]


def kept(caller: Caller, shipped: Shipped, run: str) -> tuple[str, float, list[tuple[int, str, str]]]:
    """State and linked cost of a run, and number, rule and state of its links."""
    found = caller.json(f"/runs/{shipped.ids[run]}")["run"]
    links = [(link["pullRequest"], link["rule"], link["state"]) for link in found["links"]]
    return found["linkState"], found["linkedCost"], links


def test_confirm(store: Store, shipped: Shipped, alice: Caller) -> None:
    run = decide(alice, shipped, "stray", action="confirm", prNumber=1)
    assert run["linkState"] == "counted"
    expected = ("counted", CALL_COST, [(1, "M1", "counted")])
    assert kept(alice, shipped, "stray") == expected
    assert "alice@example.com" in alice.json(f"/runs/{shipped.ids['stray']}")["run"]["links"][0]["sentence"]
    assert link_anew(store, shipped) == 0
    assert kept(alice, shipped, "stray") == expected
    assert balanced(store, shipped)


def test_confirm_a_run_that_names_no_repository(store: Store, shipped: Shipped, alice: Caller) -> None:
    body = error_of(
        alice.post(f"/runs/{shipped.ids['homeless']}/links", {"action": "confirm", "prNumber": 2}), 400, "invalid_input"
    )
    assert body["field"] == "repo"
    decide(alice, shipped, "homeless", action="confirm", prNumber=2, repo=WEB)
    link_anew(store, shipped)
    assert kept(alice, shipped, "homeless") == ("counted", CALL_COST, [(2, "M1", "counted")])
    assert balanced(store, shipped)


def test_reject(store: Store, shipped: Shipped, alice: Caller) -> None:
    decide(alice, shipped, "login", action="reject", prNumber=1)
    for _ in range(2):
        state, cost, links = kept(alice, shipped, "login")
        assert (state, cost) == ("unlinked", 0)
        assert [link for link in links if link[2] == "counted"] == []
        link_anew(store, shipped)
    run = alice.json(f"/runs/{shipped.ids['login']}")["run"]
    assert run["unlinkedReason"] == "rejected"
    assert balanced(store, shipped)


def test_move(store: Store, shipped: Shipped, alice: Caller) -> None:
    decide(alice, shipped, "login", action="move", fromPrNumber=1, prNumber=2)
    for _ in range(2):
        state, cost, links = kept(alice, shipped, "login")
        assert (state, cost) == ("counted", CALL_COST)
        assert [link for link in links if link[2] == "counted"] == [(2, "M1", "counted")]
        link_anew(store, shipped)
    assert balanced(store, shipped)


def test_a_move_is_kept_whole_or_not_at_all(store: Store, shipped: Shipped, alice: Caller) -> None:
    before = kept(alice, shipped, "login")
    refuse(store, "link_decisions", when="NOT NEW.confirmed")
    body = {"action": "move", "fromPrNumber": 1, "prNumber": 2}
    assert alice.post(f"/runs/{shipped.ids['login']}/links", body).status_code == 500
    link_anew(store, shipped)
    assert kept(alice, shipped, "login") == before, "not even the half that came first"


def test_a_second_word_replaces_the_first(store: Store, shipped: Shipped, alice: Caller) -> None:
    decide(alice, shipped, "login", action="reject", prNumber=1)
    decide(alice, shipped, "login", action="confirm", prNumber=1)
    decide(alice, shipped, "login", action="confirm", prNumber=1)
    link_anew(store, shipped)
    assert kept(alice, shipped, "login") == ("counted", CALL_COST, [(1, "M1", "counted")])
    assert balanced(store, shipped)


@pytest.mark.parametrize(
    ("run", "decision", "status", "field"),
    [
        ("login", {}, 400, "action"),
        ("login", {"action": "praise", "prNumber": 1}, 400, "action"),
        ("login", {"action": "confirm"}, 400, "prNumber"),
        ("login", {"action": "confirm", "prNumber": "1"}, 400, "prNumber"),
        ("login", {"action": "confirm", "prNumber": 0}, 400, "prNumber"),
        ("login", {"action": "confirm", "prNumber": 1 << 63}, 400, "prNumber"),
        ("login", {"action": "confirm", "prNumber": 99}, 404, "prNumber"),
        ("login", {"action": "confirm", "prNumber": 1, "repo": "web"}, 400, "repo"),
        ("login", {"action": "confirm", "prNumber": 1, "repo": "acme/other"}, 400, "repo"),
        ("homeless", {"action": "confirm", "prNumber": 1, "repo": "acme/other"}, 404, "prNumber"),
        ("login", {"action": "move", "prNumber": 1}, 400, "fromPrNumber"),
        ("login", {"action": "move", "prNumber": 1, "fromPrNumber": 1}, 400, "fromPrNumber"),
        ("login", {"action": "move", "prNumber": 2, "fromPrNumber": 99}, 404, "prNumber"),
        ("live", {"action": "confirm", "prNumber": 1}, 400, "action"),
    ],
)
def test_decisions_that_cannot_be(
    shipped: Shipped, alice: Caller, run: str, decision: dict[str, Any], status: int, field: str
) -> None:
    before = kept(alice, shipped, run)
    code = "invalid_input" if status == 400 else "not_found"
    assert error_of(alice.post(f"/runs/{shipped.ids[run]}/links", decision), status, code)["field"] == field
    assert kept(alice, shipped, run) == before


# ROI.


def test_roi_by_repository(shipped: Shipped, alice: Caller) -> None:
    report = alice.json(f"/roi/repositories?{PERIOD}")
    assert (report["scope"], report["organization"], report["timezone"]) == ("repository", "Acme", "UTC")
    total = report["total"]
    assert total["runs"] == 6 + 1
    assert total["cost"] == pytest.approx(5 * CALL_COST, abs=1e-12)
    assert total["notCodeCost"] == pytest.approx(CALL_COST, abs=1e-12)
    assert total["totalCost"] == pytest.approx(6 * CALL_COST, abs=1e-12)
    assert total["linkedShare"] == pytest.approx(3 / 5)
    spend = total["spend"]
    assert {name: spend[name] for name in ("merged", "open", "abandoned", "unlinked", "notCode")} == {
        "merged": CALL_COST,
        "open": CALL_COST,
        "abandoned": CALL_COST,
        "unlinked": 2 * CALL_COST,
        "notCode": CALL_COST,
    }
    assert report["unlinkedReasons"] == {"no_repo": CALL_COST, "no_candidate": CALL_COST}
    assert {row["name"]: row["cost"] for row in report["repositories"]} == {
        WEB: 4 * CALL_COST, "No repository": CALL_COST,
    }  # fmt: skip
    assert report["coverage"]["priced"] == pytest.approx(6 / 7)


@pytest.mark.parametrize("scope", ["repositories", "teams"])
@pytest.mark.parametrize("filters", ["", "&provider=openai", "&provider=anthropic", "&team=Storefront"])
def test_roi_as_json_and_as_csv_agree(shipped: Shipped, alice: Caller, scope: str, filters: str) -> None:
    path = f"/roi/{scope}?{PERIOD}{filters}"
    report = alice.json(path)
    response = alice.get(f"{path}&format=csv")
    assert response.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(response.text)))
    label = "Repository" if scope == "repositories" else "Team"
    *named, code, not_code, total = rows
    assert [row[label] for row in (code, not_code, total)] == ["Code", "Not code", "Total"]
    assert [(row[label], float(row["Cost (USD)"])) for row in named] == [
        (row["name"], row["cost"]) for row in report[scope]
    ]
    figures = report["total"]
    assert float(code["Cost (USD)"]) == figures["cost"]
    assert float(not_code["Cost (USD)"]) == figures["notCodeCost"]
    assert float(total["Cost (USD)"]) == figures["totalCost"]
    assert int(total["Runs"]) == figures["runs"]
    assert sum(Decimal(row["Cost (USD)"]) for row in named) == Decimal(code["Cost (USD)"])
    assert sum(int(row["Runs"]) for row in named) == int(code["Runs"])
    for column, bucket in (
        ("Merged", "merged"),
        ("Open", "open"),
        ("Abandoned", "abandoned"),
        ("Not linked", "unlinked"),
    ):
        assert float(code[f"{column} (USD)"]) == figures["spend"][bucket]


def test_roi_by_team_and_by_repository_have_one_total(shipped: Shipped, alice: Caller) -> None:
    by_repository, by_team = (alice.json(f"/roi/{scope}?{PERIOD}") for scope in ("repositories", "teams"))
    assert by_repository["total"]["spend"] == by_team["total"]["spend"]
    assert by_repository["days"] == by_team["days"]
    assert {row["name"]: row["cost"] for row in by_team["teams"]} == {"Storefront": CALL_COST, "No team": 4 * CALL_COST}


def test_roi_by_pull_request(shipped: Shipped, alice: Caller) -> None:
    found = [row for page in pages(alice, f"/roi/pull-requests?{PERIOD}&limit=1", "pullRequests") for row in page]
    assert {(row["repo"], row["number"], row["outcome"], row["runs"], row["cost"]) for row in found} == {
        (WEB, 1, "merged", 2, CALL_COST),
        (WEB, 2, "open", 1, CALL_COST),
        (WEB, 3, "abandoned", 1, CALL_COST),
    }
    assert len(found) == 3
    merged = alice.json(f"/roi/pull-requests?{PERIOD}&outcome=merged")["pullRequests"]
    assert [row["number"] for row in merged] == [1]
    assert merged[0]["cycleHours"] == 21  # from the first commit at noon to nine the next morning
    linked = alice.json(f"/roi/repositories?{PERIOD}")["total"]["linkedShare"]
    assert sum(row["cost"] for row in found) == pytest.approx(linked * 5 * CALL_COST, abs=1e-12)


def test_roi_follows_a_decision(shipped: Shipped, alice: Caller) -> None:
    decide(alice, shipped, "stray", action="confirm", prNumber=1)
    spend = alice.json(f"/roi/repositories?{PERIOD}")["total"]["spend"]
    assert (spend["merged"], spend["unlinked"]) == (2 * CALL_COST, CALL_COST)
    row = alice.json(f"/roi/pull-requests?{PERIOD}&outcome=merged")["pullRequests"][0]
    assert (row["runs"], row["cost"]) == (3, 2 * CALL_COST)


def test_roi_of_nothing(alice: Caller) -> None:
    for scope in ("repositories", "teams"):
        report = alice.json(f"/roi/{scope}")
        assert report[scope] == []
        assert (report["total"]["cost"], report["total"]["linkedShare"], report["dataThrough"]) == (0, None, None)
        assert alice.get(f"/roi/{scope}?format=csv").status_code == 200
    assert alice.json("/roi/pull-requests")["pullRequests"] == []


def test_names_are_no_formulas_in_csv(store: Store, alice: Caller, shipped: Shipped) -> None:
    with store.write() as tx:
        tx.exec_driver_sql("UPDATE teams SET name = '=HYPERLINK(1)'")
    text = alice.get(f"/roi/teams?{PERIOD}&format=csv").text
    assert "'=HYPERLINK(1)" in text
    assert "\n=HYPERLINK" not in text
