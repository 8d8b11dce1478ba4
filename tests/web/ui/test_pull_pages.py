"""Pull requests, their list and their repository: figures computed by hand, the same on screen, in JSON and in CSV."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.web.caller import Caller, error_of
from tests.web.people import Person, audit_of, notice, text_of
from tests.web.worked import DATES, SNAPSHOT, WEB, Worked, worked

PULL = f"/roi/pull-requests/{WEB}"
REPOSITORY = f"/app/acme/repositories/{WEB}"


@pytest.fixture
def made(store: Store, acme: Organization, alice: Caller) -> Worked:
    return worked(store, acme, alice)


def look(person: Person, path: str, status: int = 200) -> str:
    """The words of a page."""
    response = person.client.get(path)
    assert response.status_code == status, text_of(response)
    return text_of(response)


def cost_of(alice: Caller, number: int) -> float:
    """Build cost of a pull request."""
    answer: float = alice.json(f"{PULL}/{number}")["pullRequest"]["cost"]
    return answer


def form(person: Person, path: str, **values: str) -> str:
    """Sends a form, and answers what the page that it leads to says came of it."""
    response: TestResponse = person.client.post(f"/app/acme/{path}", data=values)
    assert response.status_code == 303, text_of(response)
    assert response.location.startswith("/app/acme/")
    return notice(person.client.get(response.location).text)


def test_a_pull_request_on_screen_and_in_json(made: Worked, owner: Person, alice: Caller) -> None:
    answer = alice.json(f"{PULL}/1")
    pull, course = answer["pullRequest"], answer["timeline"]
    assert (pull["cost"], pull["runs"], pull["suggestedCost"], pull["cycleHours"]) == (4.5, 3, 0, 21)
    assert [course[f"{name}Hours"] for name in ("coding", "pickup", "review", "cycle")] == [1, 5, 15, 21]
    assert (course["reviewer"], course["firstReviewAt"]) == ("bob", "2025-01-10T18:00:00.000Z")
    assert [(each["model"], each["runs"], each["cost"]) for each in answer["models"]] == [
        ("claude-sonnet-4-5", 2, 3.25),
        ("gpt-5.4", 1, 1.25),
    ]
    assert [(each["date"], each["cost"]) for each in answer["days"]] == [("2025-01-10", 3.75), ("2025-01-11", 0.75)]
    assert answer["days"][0]["models"] == {"claude-sonnet-4-5": 2.5, "gpt-5.4": 1.25}
    assert [(run["requestId"], run["rule"], run["linkedCost"]) for run in answer["runs"]] == [
        ("c", "B1", 0.75),
        ("b", "X2", 2.5),
        ("a", "X2", 1.25),
    ]
    assert answer["prompts"] is pull["runCost"] is None  # a snapshot tells no diff
    assert (answer["rank"]["percentile"], answer["rank"]["pullRequests"]) == (None, 1)
    assert pull["aiAssisted"] == {"state": "linked", "sign": None, "mark": None}

    page = look(owner, f"/app/acme/pulls/{WEB}/1")
    for words in (
        "Sign in by link #1", "merged alice into main from work/1 +214 −38 in 6 files", "AI-assisted: linked",
        "Build cost $4.50 3 counted runs, whole life", "Cycle time 21.0 h", "coding 1 h 0 min", "pickup 5 h 0 min",
        "review 15 h 0 min", "First review 10 Jan, 18:00 · bob", "claude-sonnet-4-5 $3.25", "gpt-5.4 $1.25",
        "10 Jan 2025 $2.50 $1.25 $3.75", "11 Jan 2025 $0.75 $0.00 $0.75", "Total $3.25 $1.25 $4.50",
        "the run names pull request #1 (X2, 1.00)",
        "same branch work/1 , same author, 20 hours after the commit (B1, 0.90)",
        "Run cost since merge unknown", "Build cost 3,300 $4.50",
    ):  # fmt: skip
        assert words in page, (words, page)
    assert f'href="https://github.com/{WEB}/pull/1"' in owner.client.get(f"/app/acme/pulls/{WEB}/1").text
    for path in (f"pulls/{WEB}/77", "pulls/acme/none/1", f"pulls/{WEB}/99999999999999"):
        look(owner, f"/app/acme/{path}", 404)


def test_the_list_is_the_same_in_every_form(made: Worked, owner: Person, alice: Caller) -> None:
    expected = [("3", 0.5, 1), ("2", 3.0, 1), ("1", 4.5, 3)]  # by merge, else creation
    rows = list(csv.DictReader(io.StringIO(owner.client.get(f"/app/acme/pulls?{DATES}&format=csv").text)))
    assert [(row["number"], float(row["cost"]), int(row["runs"])) for row in rows] == expected
    lines = owner.client.get(f"/app/acme/pulls?{DATES}&format=ndjson").text.splitlines()
    body = owner.client.get(f"/app/acme/pulls?{DATES}&format=json").json
    api = alice.json("/roi/pull-requests?startDate=2025-01-01&endDate=2025-01-31")
    assert [json.loads(line) for line in lines] == body["pullRequests"] == api["pullRequests"]
    assert [(str(row["number"]), row["cost"], row["runs"]) for row in body["pullRequests"]] == expected
    assert body["total"] == {"pullRequests": 3, "runs": 5, "cost": 8}
    page = look(owner, f"/app/acme/pulls?{DATES}")
    for words in (
        "Sign in by link acme/web #1 merged alice",
        "$4.50",
        "$3.00",
        "$0.50",
        "Total 3 pull requests 5 $8.00",
    ):
        assert words in page
    html = owner.client.get(f"/app/acme/pulls?{DATES}").text
    assert f'href="/app/acme/pulls/{WEB}/1"' in html
    error = owner.client.get(f"/app/acme/pulls?{DATES}&format=xml")
    assert error.status_code == 400


@pytest.mark.parametrize(
    ("sort", "falling", "rising"),
    [
        ("ended", [3, 2, 1], [1, 2, 3]),
        ("cost", [1, 2, 3], [3, 2, 1]),
        ("runs", [1, 3, 2], [2, 3, 1]),
        ("cycle", [1, 3, 2], [1, 2, 3]),  # unknown ones last, either way
    ],
)
def test_a_sorted_list_pages_by_its_last_row(
    made: Worked, alice: Caller, sort: str, falling: list[int], rising: list[int]
) -> None:
    for direction, expected in (("desc", falling), ("asc", rising)):
        found: list[int] = []
        cursor = ""
        for _ in range(4):
            answer = alice.json(
                f"/roi/pull-requests?startDate=2025-01-01&endDate=2025-01-31&limit=1&sort={sort}&direction={direction}{cursor}"
            )
            found += [row["number"] for row in answer["pullRequests"]]
            if answer["nextCursor"] is None:
                break
            cursor = f"&cursor={answer['nextCursor']}"
        assert found == expected


def test_the_sign_of_ai_picks_rows(made: Worked, alice: Caller, owner: Person) -> None:
    def numbers(ai: str) -> list[int]:
        answer = alice.json(f"/roi/pull-requests?startDate=2025-01-01&endDate=2025-01-31&ai={ai}")
        return sorted(row["number"] for row in answer["pullRequests"])

    assert (numbers("linked"), numbers("declared"), numbers("none_seen")) == ([1, 2, 3], [4], [5])
    assert "Marked as made by hand" in form(owner, f"pulls/{WEB}/1/mark", said="manual")
    assert "Marked as made with AI" in form(owner, f"pulls/{WEB}/5/mark", said="ai")
    made.import_again()
    made.import_again(SNAPSHOT[3] | {"title": "Sign in by a link"})
    assert (numbers("linked"), numbers("declared"), numbers("none_seen")) == ([2, 3], [4, 5], [1])
    share = alice.json("/roi/summary?startDate=2025-01-01&endDate=2025-01-31")["aiAssisted"]
    assert (share["linked"], share["declared"], share["noneSeen"]) == (0, 2, 1)
    assert cost_of(alice, 1) == 4.5  # no money moves
    page = look(owner, f"/app/acme/pulls/{WEB}/1")
    assert "AI-assisted: none seen (a person said by hand)" in page
    form(owner, f"pulls/{WEB}/1/mark", said="")
    answer = alice.post(f"{PULL}/5/mark", {"as": None})
    assert answer.json["pullRequest"]["aiAssisted"] == {"state": "none_seen", "sign": None, "mark": None}
    assert (numbers("linked"), numbers("none_seen")) == ([1, 2, 3], [5])
    error_of(alice.post(f"{PULL}/5/mark", {"as": "robot"}), 400, "invalid_input")
    error_of(alice.post(f"{PULL}/77/mark", {"as": "ai"}), 404, "not_found")


def test_a_repository_and_its_tabs(made: Worked, owner: Person) -> None:
    page = look(owner, f"{REPOSITORY}?{DATES}")
    for words in (
        "AI cost $8.40 6 runs of code", "Linked 95.2 % $8.00 of it", "Not linked $0.40", "Not code $9.00 1 run,",
        "Total 3 pull requests 5 $8.00",
    ):  # fmt: skip
        assert words in page, (words, page)
    opened = look(owner, f"{REPOSITORY}?{DATES}&open=1")
    assert "same branch work/1" in opened
    assert opened.count("Unlink") >= 3
    prompts = look(owner, f"{REPOSITORY}?{DATES}&tab=prompts")
    for words in ("No promptId 5 100.0 % $2.63 $13.15", "write-v2 2 100.0 % $2.13 $4.25", "Total 7 $17.40"):
        assert words in prompts, (words, prompts)
    reasons = look(owner, f"{REPOSITORY}?{DATES}&tab=unlinked")
    for words in ("No matching work 1 $0.40", "Not code 1 $9.00", "Linked 5 $8.00", "Total 7 $17.40"):
        assert words in reasons, (words, reasons)
    everywhere = look(owner, f"/app/acme/unlinked?{DATES}")
    for words in ("No repository 1 $0.10", "Send repo (owner/name)", "Total 8 $17.50"):
        assert words in everywhere, (words, everywhere)
    assert "No direct work in this period" in look(owner, f"{REPOSITORY}?{DATES}&tab=commits")
    look(owner, f"{REPOSITORY}?{DATES}&tab=commits&format=csv", 400)
    look(owner, "/app/acme/repositories/acme/none", 404)
    assert f'href="{REPOSITORY}?' in owner.client.get(f"/app/acme/repositories?{DATES}").text


def test_corrections_in_place(made: Worked, owner: Person, alice: Caller, acme: Organization) -> None:
    run = f"runs/{made.ids['c']}/decide"
    page = f"/app/acme/pulls/{WEB}/1"

    def holds(**costs: float) -> None:
        """The costs are right at once, and no pass over anything changes them."""
        for _ in range(2):
            assert {f"p{number}": cost_of(alice, number) for number in (1, 2, 3)} == costs
            assert made.balanced
            assert made.relink() == 0

    assert form(owner, run, action="reject", from_number="1", back=f"{page}#runs").startswith("Unlinked")
    holds(p1=3.75, p2=3, p3=0.5)
    assert form(owner, run, action="undo", back=page).startswith("Undone")
    holds(p1=4.5, p2=3, p3=0.5)
    assert form(owner, run, action="move", from_number="1", number="#2", back=page) == "Moved to #2"
    holds(p1=3.75, p2=3.75, p3=0.5)
    force_pushed = SNAPSHOT[3] | {
        "commits": [{"sha": "f" * 40, "authoredAt": "2025-01-10T12:30:00Z", "author": "alice"}]
    }
    made.import_again(force_pushed)
    made.relink(full=False)
    holds(p1=3.75, p2=3.75, p3=0.5)
    assert "acme/web has no pull request 77" in form(owner, run, action="move", from_number="2", number="77", back=page)
    assert "“soon” is not the number" in form(owner, run, action="move", from_number="2", number="soon", back=page)
    holds(p1=3.75, p2=3.75, p3=0.5)
    assert form(owner, run, action="move", from_number="2", number="1, 2, 3", back=page).startswith("Split equally")
    holds(p1=4.0, p2=3.25, p3=0.75)
    assert form(owner, run, action="undo").startswith("Undone")
    assert "Nobody has decided" in form(owner, run, action="undo")
    assert form(owner, run, action="confirm", from_number="1").startswith("Confirmed")
    holds(p1=4.5, p2=3, p3=0.5)
    told = look(owner, f"/app/acme/runs/{made.ids['c']}")
    assert "alice@example.com confirmed acme/web #1" in told
    actions = [action for _, action, _ in audit_of(made.store, acme.id) if action.startswith("link.")]
    assert {"link.confirmed", "link.rejected", "link.undone"} == set(actions)


def test_a_run_without_a_repository_is_linked_by_hand_and_let_go(made: Worked, owner: Person, alice: Caller) -> None:
    run = f"runs/{made.ids['homeless']}/decide"
    assert "names no repository" in form(owner, run, action="move", number="1")
    assert form(owner, run, action="move", number="1", repo=WEB).startswith("Confirmed")
    assert (cost_of(alice, 1), made.relink()) == (4.6, 0)
    assert form(owner, run, action="undo").startswith("Undone")
    assert (cost_of(alice, 1), made.relink(), made.balanced) == (4.5, 0, True)
    assert alice.json(f"/runs/{made.ids['homeless']}")["run"]["unlinkedReason"] == "no_repo"


def test_what_is_code_is_said_of_a_run(made: Worked, owner: Person, alice: Caller) -> None:
    run = made.ids["a"]
    assert form(owner, f"runs/{run}/decide", action="not_code").startswith("Marked as not code")
    assert (cost_of(alice, 1), made.relink(), made.balanced) == (3.25, 0, True)
    assert "The run is not code" in form(owner, f"runs/{run}/decide", action="confirm", from_number="1")
    answer = alice.post(f"/runs/{run}/links", {"action": "code"})
    assert answer.json["run"]["linkState"] == "pending"
    assert "being linked" in look(owner, f"/app/acme/runs/{run}")
    made.relink(full=False)
    assert (cost_of(alice, 1), made.balanced) == (4.5, True)


def test_the_api_splits_and_undoes(made: Worked, alice: Caller) -> None:
    path = f"/runs/{made.ids['a']}/links"
    links = alice.post(path, {"action": "split", "prNumbers": [1, 2, 3]}).json["run"]["links"]
    assert [(link["pullRequest"], link["cost"]) for link in links] == [
        (1, 0.416666667),
        (2, 0.416666667),
        (3, 0.416666666),
    ]
    assert (made.balanced, made.relink()) == (True, 0)
    assert [link["rule"] for link in alice.post(path, {"action": "undo"}).json["run"]["links"]] == ["X2"]
    assert cost_of(alice, 1) == 4.5
    for body, field in (
        ({"action": "split", "prNumbers": [1]}, "prNumbers"),
        ({"action": "undo"}, "action"),
        ({"action": "confirm"}, "prNumber"),
        ({"action": "move", "prNumber": 2}, "fromPrNumber"),
    ):
        assert error_of(alice.post(path, body), 400, "invalid_input")["field"] == field
    error_of(alice.post(path, {"action": "split", "prNumbers": [1, 77]}), 404, "not_found")
    assert made.balanced


def test_a_form_leads_nowhere_else(made: Worked, owner: Person) -> None:
    for back in ("//example.com/", "/app/other/runs", "/app/acme/../../x", "https://example.com/app/acme/"):
        data = {"action": "reject", "from_number": "1", "back": back}
        response = owner.client.post(f"/app/acme/runs/{made.ids['c']}/decide", data=data)
        assert response.location == f"/app/acme/runs/{made.ids['c']}"
    assert owner.client.post("/app/acme/runs/run_0000000000000/decide", data={"action": "undo"}).status_code == 404


def test_rows_add_up_to_the_total_under_any_filter(made: Worked, owner: Person, app: Flask) -> None:
    owner.client.post(f"/app/acme/runs/{made.ids['b']}/decide", data={"action": "move", "number": "1, 2, 3"})

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        query=st.fixed_dictionaries(
            {
                "from": st.sampled_from(["2025-01-01", "2025-01-11", "2025-01-13"]),
                "to": st.sampled_from(["2025-01-13", "2025-01-31"]),
            },
            optional={
                "provider": st.sampled_from(["openai", "anthropic", "nobody"]),
                "outcome": st.sampled_from(["merged", "open", "abandoned", "closed"]),
                "ai": st.sampled_from(["linked", "declared", "none_seen"]),
                "team": st.just("none"),
                "sort": st.sampled_from(["cost", "runs", "cycle"]),
            },
        ),
        page=st.sampled_from(["pulls", f"repositories/{WEB}"]),
    )
    def adds_up(query: dict[str, str], page: str) -> None:
        body = owner.client.get(f"/app/acme/{page}", query_string=query | {"format": "json"}).json
        rows, total = body["pullRequests"], body["total"]
        assert (len(rows), sum(row["runs"] for row in rows)) == (total["pullRequests"], total["runs"])
        assert round(sum(row["cost"] for row in rows), 9) == total["cost"]
        file = owner.client.get(f"/app/acme/{page}", query_string=query | {"format": "csv"}).text
        assert round(sum(float(row["cost"]) for row in csv.DictReader(io.StringIO(file))), 9) == total["cost"]
        html = owner.client.get(f"/app/acme/{page}", query_string=query).text
        shown = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))
        if rows:
            count = f"{len(rows)} pull request{'' if len(rows) == 1 else 's'}"
            assert f"Total {count} {total['runs']} ${total['cost']:,.2f}" in shown
        else:
            assert total == {"pullRequests": 0, "runs": 0, "cost": 0}
            assert "Total" not in shown
        span = {name: value for name, value in query.items() if name in ("from", "to", "provider", "team")}
        words = re.sub(
            r"\s+",
            " ",
            re.sub(r"<[^>]*>", " ", owner.client.get("/app/acme/unlinked", query_string=span).text),
        )
        body_of_table = words.partition("What fixes it")[2].partition("Every run")[0]
        cells = [float(cell.replace(",", "")) for cell in re.findall(r"\$([\d,.]+)", body_of_table)]
        if not cells:
            assert "There are none under these filters in this period." in words
        else:
            *parts, whole = cells
            assert round(sum(parts), 2) == whole  # every run costs whole cents

    adds_up()
