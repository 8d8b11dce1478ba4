"""The list of runs: filters, days on top, paging, files; the page of one run; search."""

from __future__ import annotations

import csv
import io
import json
import re
from urllib.parse import quote

import pytest

from costlens.store.engine import Store
from costlens.web.ui import run_pages
from tests.web.caller import Caller
from tests.web.conftest import WEB, Shipped
from tests.web.people import Person, text_of

RUN = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1000, "outputTokens": 100, "latency": 800}  # 0.004
JANUARY = "from=2025-01-01&to=2025-01-31"
RUNS = f"/app/acme/runs?{JANUARY}"


def ids_of(person: Person, query: str) -> list[str]:
    """The runs of a page, in its order."""
    response = person.client.get(f"/app/acme/runs?{query}")
    assert response.status_code == 200, text_of(response)
    return list(dict.fromkeys(re.findall(r"/app/acme/runs/(run_\w+)", response.text)))


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("result=failed", ["failed-search"]),
        ("price=none", ["unpriced"]),
        ("price=known&state=counted", ["failed-search", "search", "login"]),
        ("prompt=none&environment=production", ["live"]),
        ("prompt=write-v2", ["login"]),
        ("session=s-1", ["homeless"]),
        ("repository=none", ["homeless"]),
        ("team=none&state=unlinked", ["homeless", "stray"]),
        ("tool=none&state=not_code", ["live"]),
        ("dir=asc&model=gpt-unheard-of", ["unpriced"]),
    ],
)
def test_every_filter_narrows_rows_days_and_files_alike(
    shipped: Shipped, owner: Person, query: str, names: list[str]
) -> None:
    wanted = [shipped.ids[name] for name in names]
    assert ids_of(owner, f"{JANUARY}&{query}") == wanted
    text = owner.client.get(f"{RUNS}&{query}").text
    total = re.search(r"<tfoot>.*?colspan=\"6\">(\d+) run", text, re.DOTALL)
    assert total
    assert int(total[1]) == len(wanted)
    days = [int(number) for number in re.findall(r"<title>[^<]*: (\d+) run", text)]
    assert sum(days) == 2 * len(wanted)  # each of the two drawings has them
    lines = owner.client.get(f"{RUNS}&{query}&format=ndjson").text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == wanted
    rows = csv.DictReader(io.StringIO(owner.client.get(f"{RUNS}&{query}&format=csv").text))
    assert [row["id"] for row in rows] == wanted
    assert [run["id"] for run in owner.client.get(f"{RUNS}&{query}&format=json").json["runs"]] == wanted


def test_pages_go_on_from_the_last_row(shipped: Shipped, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    newest_first = ids_of(owner, JANUARY)
    assert len(newest_first) == 7
    assert ids_of(owner, f"{JANUARY}&dir=asc") == newest_first[::-1]
    monkeypatch.setattr(run_pages, "PAGE", 3)
    for query, expected in ((JANUARY, newest_first), (f"{JANUARY}&dir=asc", newest_first[::-1])):
        found, path = [], f"/app/acme/runs?{query}"
        while path:
            page = owner.client.get(path).text
            found += list(dict.fromkeys(re.findall(r"/app/acme/runs/(run_\w+)", page)))
            following = re.search(r'<a href="([^"]*)" rel="next"', page)
            path = following[1].replace("&amp;", "&") if following else ""
        assert found == expected


def test_a_bar_leads_to_the_runs_of_its_day(shipped: Shipped, owner: Person) -> None:
    page = owner.client.get(f"{RUNS}&state=code").text
    bar = re.search(r'<a href="([^"]*)"[^>]*>\s*<title>12 Jan: 1 run, \$0.0040</title>', page)
    assert bar
    assert ids_of(owner, bar[1].replace("&amp;", "&").partition("?")[2]) == [shipped.ids["search"]]


def test_why_a_run_costs_what_it_does(alice: Caller, owner: Person) -> None:
    body = RUN | {"cacheReadTokens": 400, "sessionId": "s-9", "promptId": "review-v1"}
    before = alice.post("/integrations/run", RUN | {"sessionId": "s-9"}).json["run"]["id"]
    run = alice.post("/integrations/run", body | {"timestamp": "2099-01-01T00:00:00Z"})
    assert run.status_code == 400
    run = alice.post("/integrations/run", body).json["run"]["id"]
    page = text_of(owner.client.get(f"/app/acme/runs/{run}"))
    assert "Input, not cached 600 $2.50 $0.001500000" in page
    assert "Cache read 400 $0.25 $0.000100000" in page
    assert "Output 100 $15.00 $0.001500000" in page
    assert "$0.003100000 shown as $0.0031" in page
    assert "40.0 % of 1,000 input tokens" in page
    assert "Without cache $0.0040" in page
    assert "genai-prices" in page
    assert before in page  # its neighbour in the session
    assert owner.client.get(f"/app/acme/runs/{run}?format=json").json == alice.json(f"/runs/{run}")
    assert run in text_of(owner.client.get(f"/app/acme/runs/{before}"))


def test_a_reported_cost_stands_beside_the_list_price(alice: Caller, owner: Person) -> None:
    run = alice.post("/integrations/run", RUN | {"cost": 0.5}).json["run"]["id"]
    page = text_of(owner.client.get(f"/app/acme/runs/{run}"))
    assert "By these rates $0.004000000" in page
    assert "Cost of the run 1,100 $0.500000000" in page
    assert "The caller reported the cost" in page


def test_who_may_set_a_price_is_led_to_it(alice: Caller, owner: Person, member: Person) -> None:
    run = alice.post("/integrations/run", RUN | {"model": "house-model"}).json["run"]["id"]
    assert "Set a price</a>" in owner.client.get(f"/app/acme/runs/{run}").text
    assert "Set a price</a>" not in member.client.get(f"/app/acme/runs/{run}").text
    assert "unknown, not zero" in member.client.get(f"/app/acme/runs/{run}").text
    cheap = alice.post("/integrations/run", RUN | {"model": "gpt-4o-mini", "cacheReadTokens": 400}).json["run"]["id"]
    assert re.search(r'Rate per million">\s*\$0\.075\s', owner.client.get(f"/app/acme/runs/{cheap}").text)


def test_search_leads_to_what_is_meant(store: Store, shipped: Shipped, owner: Person, alice: Caller) -> None:
    alice.post("/integrations/batch", {"runs": [RUN | {"sessionId": "twice", "promptId": "write-v3"}] * 2})
    alice.post("/integrations/run", RUN | {"correlationId": "corr-1"})
    login = f"/app/acme/runs/{shipped.ids['login']}"
    for text, target in {
        shipped.ids["login"]: login,
        "login": login,  # the id of its request
        "#2": f"/app/acme/pulls/{WEB}/2",
        "web#2": f"/app/acme/pulls/{WEB}/2",
        f"https://github.com/{WEB}/pull/2": f"/app/acme/pulls/{WEB}/2",
        "twice": "/app/acme/runs?period=12m&session=twice",
        "WRIT": "/app/acme/prompts/write?period=12m",
        "unheard": "/app/acme/runs?period=12m&model=gpt-unheard-of",
        "acme/w": f"/app/acme/repositories/{WEB}",
    }.items():
        response = owner.client.get(f"/app/acme/search?q={quote(text)}")
        assert (response.status_code, response.location) == (302, target), text
    assert owner.client.get("/app/acme/search?q=corr-1").location.startswith("/app/acme/runs/run_")
    named = alice.post("/integrations/run", RUN | {"requestId": "write"}).json["run"]["id"]
    several = owner.client.get("/app/acme/search?q=write").text
    assert named in several
    assert "/app/acme/prompts/write?" in several
    for nothing in ("zzz", "100%", "a_b", "#999", "nobody/else#2"):
        assert "Nothing is called" in owner.client.get("/app/acme/search", query_string={"q": nothing}).text
    assert "What are you looking for?" in owner.client.get("/app/acme/search").text


def test_search_finds_nothing_of_another_organization(shipped: Shipped, charlie: Caller, owner: Person) -> None:
    theirs = charlie.post("/integrations/run", RUN | {"requestId": "secret", "sessionId": "hidden", "promptId": "mine"})
    for text in (theirs.json["run"]["id"], "secret", "hidden", "mine"):
        assert "Nothing is called" in owner.client.get(f"/app/acme/search?q={text}").text
