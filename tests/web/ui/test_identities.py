"""The pages of people and their identities, and the same over the API."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from costlens.domain.names import identities_of
from costlens.services.keys import create_key
from costlens.services.linking import link_repository
from costlens.services.sync import import_records
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.services.ledger import a_commit, a_pull
from tests.web.caller import Caller, error_of
from tests.web.people import Person, audit_of, rows_of

NOW = datetime.now(UTC).replace(microsecond=0)
WORK, HOME = identities_of(email="carol@example.com"), identities_of(login="carolj", email="cj@home.example")


@pytest.fixture
def keys(app: Flask, store: Store, acme: Organization) -> dict[str, Caller]:
    """A shared key for runs, and one that may change settings."""
    scopes = {"ci": "ingest", "boss": "read admin"}
    made = {name: create_key(store, "Acme", name, scopes=some) for name, some in scopes.items()}
    return {name: Caller(app, key) for name, key in made.items()}


@pytest.fixture(autouse=True)
def worked(store: Store, acme: Organization, keys: dict[str, Caller]) -> None:
    """carol commits at work and at home; runs name her, a nickname that nobody commits as, and nobody."""
    at = NOW - timedelta(days=1)
    work = replace(a_commit("a1", at), author=WORK, author_name="Carol Jones")
    home = replace(a_commit("b1", at), author=HOME, author_name="Carol Jones")
    bot = replace(a_commit("d1", at), author=identities_of(login="dependabot[bot]"))
    records = [a_pull(1, work, author=WORK), a_pull(2, home, author=HOME[:1]), bot]
    import_records(store, acme.id, records, now=NOW)
    when = (at - timedelta(hours=1)).isoformat()
    for actor in ("carol@example.com", "cj99", None):
        named = {"repo": "acme/web", "branch": "feature/2"} | ({"actor": actor} if actor else {})
        run = {"provider": "openai", "model": "gpt-4o", "inputTokens": 1000, "outputTokens": 100, "timestamp": when}
        assert keys["ci"].post("/integrations/run", run | {"metadata": named}).status_code == 200
    link(store, acme)


def link(store: Store, acme: Organization) -> list[str]:
    """Links what is due; the state of each run."""
    with store.read() as tx:
        (repository_id,) = tx.scalars(t.repositories.select().with_only_columns(t.repositories.c.id))
    link_repository(store, acme.id, repository_id, now=NOW)
    return [row.link_state for row in rows_of(store, t.runs)]


def people_of(caller: Caller, query: str = "") -> dict[str, Any]:
    """People by the value of their last identity."""
    return {one["identities"][-1]["value"]: one for one in caller.json(f"/people{query}")["people"]}


def test_a_suggestion_is_merged_on_the_page_and_links_follow(
    store: Store, acme: Organization, owner: Person, member: Person
) -> None:
    assert link(store, acme)[0] == "suggested"
    page = owner.get("identities")
    assert "both have the name “Carol Jones”" in page
    first, second = re.findall(r'name="(?:first|second)" value="(\d+)"', page)[:2]
    seen = member.get("identities")
    assert "both have the name" in seen
    assert "Not the same" not in seen
    assert member.post("identities/merge", first=first, second=second).status_code == 403

    said = owner.send("identities/merge", first=first, second=second)
    assert said == "They are one person, Carol Jones; the links follow in a moment"
    assert link(store, acme)[0] == "counted"
    assert "both have the name" not in owner.get("identities")
    assert audit_of(store, acme.id)[-1] == ("alice@example.com", "person.merged", "Carol Jones")

    person = min(first, second, key=int)
    page = owner.get(f"identities/{person}")
    chosen = re.findall(r'name="identity" value="(email:cj@home.example)"', page)
    assert "Choose some of the identities" in owner.send(f"identities/{person}/split")
    said = owner.send(f"identities/{person}/split", identity=chosen)
    assert said == "A person of their own, with 0 runs and 1 commit; the links follow in a moment"
    assert "set apart by hand" in owner.get(f"identities/{int(max(r.id for r in rows_of(store, t.people)))}")
    assert link(store, acme)[0] != "counted"


def test_a_dismissed_suggestion_is_gone(store: Store, owner: Person) -> None:
    page = owner.get("identities")
    first, second = re.findall(r'name="(?:first|second)" value="(\d+)"', page)[:2]
    assert owner.send("identities/dismiss", first=first, second=second) == "Carol Jones and Carol Jones stay two people"
    assert "Maybe the same person" not in owner.get("identities")
    assert "No such person" in owner.send("identities/merge", first=first, second="999999")


def test_spend_of_nobody_and_of_strangers_has_its_fix(store: Store, acme: Organization, owner: Person) -> None:
    page = owner.get("identities")
    assert "Key ci" in page
    assert "names nobody, last 90 days" in page
    join = re.search(r'aria-label="Who cj99 is">(.*?)</select>', page, re.DOTALL)
    assert join
    second = re.findall(r'<option value="(\d+)"', join[1])[0]
    stranger = next(row.person_id for row in rows_of(store, t.identities) if row.value == "cj99")
    owner.send("identities/merge", first=str(stranger), second=second)
    assert "Who cj99 is" not in owner.get("identities")


def test_people_are_searched_and_bots_are_marked(owner: Person) -> None:
    page = owner.get("identities?q=DEPENDA")
    assert "1 person with “DEPENDA”" in text_of_page(page)
    assert re.search(r'dependabot\[bot\]</a>\s*<span class="chip">bot</span>', page)
    assert "No name, login or address holds “nobody at all”" in text_of_page(owner.get("identities?q=nobody at all"))
    assert "Carol Jones" in owner.get("identities?from=x")
    assert "Nobody yet" in owner.get("identities?from=100")


def text_of_page(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page))


def test_the_same_over_the_api(
    app: Flask, store: Store, acme: Organization, keys: dict[str, Caller], charlie_key: str
) -> None:
    boss, charlie = keys["boss"], Caller(app, charlie_key)
    found = boss.json("/people/suggestions")
    (pair,) = found["suggestions"]
    ids = [one["id"] for one in pair["people"]]
    assert pair["evidence"] == "both have the name “Carol Jones”"
    assert [one["name"] for one in found["strangers"]] == ["cj99"]
    assert found["nobody"] == [{"key": "ci", "runs": 1, "cost": 0.0035}]
    assert people_of(boss, "?q=dependabot")["dependabot[bot]"]["bot"] is True
    pages = [boss.json(f"/people?limit=2{cursor}") for cursor in ("", "&cursor=2", "&cursor=4")]
    assert [len(page["people"]) for page in pages] == [2, 2, 0]
    assert [page["nextCursor"] for page in pages] == ["2", None, None]
    error_of(boss.get("/people?cursor=x"), 400, "invalid_input")

    merged = boss.post("/people/merge", {"people": ids}).json
    assert merged["person"]["id"] == min(ids)
    assert (merged["person"]["commits"], merged["person"]["pullRequests"], merged["person"]["runs"]) == (2, 2, 1)
    assert link(store, acme)[0] == "counted"
    person = boss.json(f"/people/{min(ids)}")["person"]
    by_value = {one["value"]: one for one in person["identities"]}
    assert by_value["cj@home.example"] | {"commits": 1, "pullRequests": 0, "runs": 0} == by_value["cj@home.example"]
    assert by_value["carolj"]["pullRequests"] == 1
    assert by_value["carol@example.com"]["cost"] == 0.0035

    body = {"person": min(ids), "identities": [{"kind": "email", "value": "CJ@home.example"}]}
    error_of(charlie.get(f"/people/{min(ids)}"), 404, "not_found")
    outside = Caller(app, create_key(store, "Initech", "boss", scopes="admin"))
    error_of(outside.post("/people/split", body), 404, "not_found")
    parted = boss.post("/people/split", body).json
    assert (parted["runs"], parted["commits"], parted["pullRequests"]) == (0, 1, 0)
    error_of(boss.post("/people/split", body), 400, "invalid_input")
    error_of(boss.get("/people/999999"), 404, "not_found")
    error_of(boss.post("/people/merge", {"people": [1]}), 400, "invalid_input")
    error_of(boss.post("/people/merge", {"people": [1, 1]}), 400, "invalid_input")
    error_of(keys["ci"].post("/people/merge", {"people": ids}), 403, "forbidden")
    assert boss.post("/people/dismiss", {"people": [min(ids), parted["person"]["id"]]}).json == {"success": True}
    actions = [(who, what) for who, what, _ in audit_of(store, acme.id) if what.startswith("person.")]
    assert actions == [("key boss", f"person.{what}") for what in ("merged", "split", "kept_apart")]
