"""The people of a replay under several e-mail addresses each, and made one again the way an owner does it.

Runs name one address of a person by their session, commits another by their sha, and pull requests the login, so that
at first few runs are by who commits. Only the display name is the same: what the product suggests of it is confirmed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx

from benchmarks.linking import rows


def address(login: str, chosen_by: str, addresses: int) -> str:
    """One of a person's addresses, whose letters say nothing of the person."""
    number = int(hashlib.sha256(chosen_by.encode()).hexdigest(), 16) % addresses
    return _addresses(login, addresses)[number]


def _addresses(login: str, addresses: int) -> list[str]:
    return [f"{hashlib.sha256(f'{login} {n}'.encode()).hexdigest()[:10]}@mail{n}.example" for n in range(addresses)]


def split_runs(lines: Iterable[str], addresses: int) -> list[str]:
    """Runs whose actor is an address, another one in each session."""
    done = []
    for line in lines:
        run = json.loads(line)
        named = run["metadata"]
        if named.get("actor"):
            named["actor"] = address(named["actor"], named.get("sessionId") or run["requestId"], addresses)
        done.append(json.dumps(run))
    return done


def split_facts(folder: Path, visible: Path, place: Path, addresses: int) -> list[Path]:
    """Files of people, commits and the visible pull requests in which each commit names one address."""

    def commit(row: dict[str, Any]) -> dict[str, Any]:
        login = row.pop("author")
        return row | {"authorEmail": address(login, row["sha"], addresses), "authorName": _name(login)}

    def pull(row: dict[str, Any]) -> dict[str, Any]:
        return row | {"commits": [commit(one) for one in row["commits"]]}

    people = []
    for login in (row["login"] for row in rows(folder / "people.jsonl")):
        people.append({"login": login, "name": _name(login)})
        people += [{"type": "person", "emails": [one], "name": _name(login)} for one in _addresses(login, addresses)]
    files = {
        "people": people,
        "commits": map(commit, rows(folder / "commits.jsonl")),
        "pulls": map(pull, rows(visible)),
    }
    paths = []
    for name, told in files.items():
        paths.append(place / f"split-{name}.jsonl")
        paths[-1].write_text("".join(json.dumps(row) + "\n" for row in told))
    return paths


def _name(login: str) -> str:
    return f"Person {login}"


def confirm_suggestions(client: httpx.Client) -> int:
    """Confirms over HTTP every suggestion, until there are none; how many merges that took."""
    merges, now = 0, dict[int, int]()  # person → whom it became

    def today(person: int) -> int:
        while person in now:
            person = now[person]
        return person

    while pairs := client.get("/people/suggestions").raise_for_status().json()["suggestions"]:
        for pair in pairs:
            first, second = (today(one["id"]) for one in pair["people"])
            if first != second:
                answer = client.post("/people/merge", json={"people": [first, second]}).raise_for_status().json()
                now[first if answer["person"]["id"] == second else second] = answer["person"]["id"]
                merges += 1
    return merges
