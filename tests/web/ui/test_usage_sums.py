"""Whatever the filters: rows of prompts and models add up to their totals, which are those of the runs themselves."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from costlens.config import load_settings
from costlens.factory import create_app
from costlens.services.keys import create_key
from costlens.services.linking import link_repository
from costlens.services.organizations import create_organization, create_team
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.web.formats import money
from costlens.web.ui import model_pages, prompt_pages
from tests.databases import database_url
from tests.web.caller import Caller
from tests.web.people import Person, signed_in

ZONE = "America/St_Johns"  # half an hour off, and its clocks change on 9 March 2025
FIRST = date(2025, 3, 3)
MODELS = (("openai", "gpt-5.4"), ("openai", "gpt-5.4-mini"), ("azure", "gpt-5.4"), ("openai", "gpt-unheard-of"))
PROMPTS = (None, "review-v1", "review-v2", "review-v10", "write", "plan-v1", "none-of-these", "=1+1")
REPOSITORIES = (None, "acme/web", "acme/api")
NOTHING = "none"


@dataclass(frozen=True, slots=True)
class World:
    app: Flask
    person: Person
    runs: list[Any]  # as they are stored
    teams: dict[str, int]
    repositories: dict[str, int]


def _call(rng: random.Random, number: int) -> dict[str, Any]:
    provider, model = rng.choice(MODELS)
    at = datetime(2025, 3, 3, tzinfo=UTC) + timedelta(minutes=rng.randrange(12 * 24 * 60))
    call = {
        "requestId": f"r{number}",
        "provider": provider,
        "model": model,
        "inputTokens": rng.randrange(1000, 100_000),
        "cacheReadTokens": rng.choice((0, 900)),
        "outputTokens": rng.randrange(1000),
        "timestamp": at.isoformat(),
        "success": rng.random() < 0.8,
        "promptId": rng.choice(PROMPTS),
        "repo": rng.choice(REPOSITORIES),
        "tool": rng.choice((None, "editor")),
        "environment": rng.choice((None, "ci", "production")),
        "latency": rng.choice((None, 700)),
    }
    return {name: value for name, value in call.items() if value is not None}


@pytest.fixture(scope="module")
def world(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    rng = random.Random(8)
    with database_url(engine) as url:
        folder = tmp_path_factory.mktemp("usage") / "data"
        made = load_settings({"COSTLENS_DATA": str(folder), "DATABASE_URL": url})
        store = Store(url, folder=made.data)
        app = create_app(made)
        organization = create_organization(
            store, "Acme", "alice@example.com", plan="self-hosted", timezone=ZONE
        ).organization
        teams = {name: create_team(store, organization.id, name) for name in ("Payments", "Web")}
        keys = [create_key(store, "Acme", f"of {name}", team=name) for name in (None, *teams)]
        for place, key in enumerate(keys):
            body = {"runs": [_call(rng, 1000 * place + number) for number in range(150)]}
            assert Caller(app, key).post("/integrations/batch", body).json["processed"] == 150
        link_repository(store, organization.id, 0)  # the others stay pending
        with store.read() as tx:
            repositories = {row.name: row.id for row in tx.execute(select(t.repositories.c.name, t.repositories.c.id))}
            runs = tx.execute(select(t.runs)).all()
        yield World(app, signed_in(app, store, "alice@example.com"), runs, teams, repositories)
        app.extensions["costlens"].store.close()
        store.close()


USAGE = {
    "team": st.sampled_from((NOTHING, "Payments", "Web")),
    "repository": st.sampled_from((NOTHING, "acme/web", "acme/api")),
    "provider": st.sampled_from(("openai", "azure")),
    "model": st.sampled_from(("gpt-5.4", "gpt-unheard-of")),
    "environment": st.sampled_from((NOTHING, "ci", "production")),
    "tool": st.sampled_from((NOTHING, "editor")),
}
OF_RUNS = USAGE | {
    "prompt": st.sampled_from((NOTHING, "review-v2", "=1+1")),
    "result": st.sampled_from(("succeeded", "failed")),
    "price": st.sampled_from(("known", "none")),
    "state": st.sampled_from(("code", "pending", "unlinked", "not_code")),
}
DAYS = st.tuples(st.integers(0, 11), st.integers(0, 11)).map(sorted)
QUICK = settings(
    max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def query_of(world: World, asked: dict[str, str], days: list[int]) -> dict[str, str]:
    """The filters as a page's address says them."""
    ids = {"team": world.teams, "repository": world.repositories}
    query = {name: str(ids.get(name, {}).get(value, value)) for name, value in asked.items()}
    first, last = (FIRST + timedelta(days=day) for day in days)
    return query | {"from": first.isoformat(), "to": last.isoformat()}


def matching(world: World, query: dict[str, str]) -> list[Any]:
    """The runs themselves that the filters mean."""
    names = {"team": "team_id", "repository": "repository_id", "prompt": "prompt_id"}
    first, last = date.fromisoformat(query["from"]), date.fromisoformat(query["to"])

    def means(row: Any) -> bool:
        if not first <= row.occurred_at.astimezone(ZoneInfo(ZONE)).date() <= last:
            return False
        for name, value in query.items():
            if name == "result" and row.success != (value == "succeeded"):
                return False
            if name == "price" and (row.cost_nanos is not None) != (value == "known"):
                return False
            if name == "state" and (row.link_state == "not_code" if value == "code" else row.link_state != value):
                return False
            if name in OF_RUNS and name not in ("result", "price", "state"):
                stored = getattr(row, names.get(name, name))
                if (str(stored) if stored is not None else NOTHING) != value:
                    return False
        return True

    return [row for row in world.runs if means(row)]


def nanos(dollars: float | None) -> int:
    return round((dollars or 0) * 1e9)


def counts_of(page: str, label: str = "Runs") -> list[int]:
    """What each row of the page says under this label, the total last."""
    found = re.findall(rf'data-label="{label}">\s*(?:<a [^>]*>)?([\d,]+)', page)
    return [int(number.replace(",", "")) for number in found]


@pytest.mark.parametrize("page", ["prompts", "models"])
def test_rows_add_up_to_the_runs(world: World, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_pages, "SHOWN", 2)  # the others are one row
    monkeypatch.setattr(model_pages, "SHOWN", 2)
    others = 0

    @QUICK
    @given(asked=st.fixed_dictionaries({}, optional=USAGE), days=DAYS)
    def holds(asked: dict[str, str], days: list[int]) -> None:
        nonlocal others
        query = query_of(world, asked, days)
        expected = matching(world, query)
        cost = sum(row.cost_nanos or 0 for row in expected)
        shown = world.person.client.get(f"/app/acme/{page}", query_string=query | {"format": "json"}).json
        rows = [*shown[page], *([shown["none"]] if shown.get("none") else [])]
        assert sum(row["runs"] for row in rows) == shown["total"]["runs"] == len(expected)
        assert sum(nanos(row["cost"]) for row in rows) == nanos(shown["total"]["cost"]) == cost
        assert sum(row["unpricedRuns"] for row in rows) == sum(row.cost_nanos is None for row in expected)
        assert sum(row["tokens"] for row in rows) == shown["total"]["tokens"]
        if page == "models":
            assert sum(nanos(row["cache"]["saved"]) for row in rows) == nanos(shown["total"]["cache"]["saved"])
        html = world.person.client.get(f"/app/acme/{page}", query_string=query).text
        counts = counts_of(html)
        if not expected:
            assert counts == []
            return
        assert sum(counts[:-1]) == counts[-1] == len(expected)
        assert money(cost) in html
        others += " other " in html

    holds()
    assert others > 0  # the row for the tail was among them


def test_the_list_of_runs_tells_the_same_as_its_days(world: World) -> None:
    @QUICK
    @given(asked=st.fixed_dictionaries({}, optional=OF_RUNS), days=DAYS)
    def holds(asked: dict[str, str], days: list[int]) -> None:
        query = query_of(world, asked, days)
        expected = matching(world, query)
        html = world.person.client.get("/app/acme/runs", query_string=query).text
        bars = re.findall(r"<title>([^<]*): ([\d,]+) runs?, ([^<]*)</title>", html)
        if not expected:
            assert "No run" in html
            return
        assert sum(int(runs.replace(",", "")) for _, runs, _ in bars[: len(bars) // 2]) == len(expected)
        cost = sum(row.cost_nanos or 0 for row in expected)
        total = re.search(r"<tfoot>.*?</tfoot>", html, re.DOTALL)
        assert total
        words = " ".join(re.sub(r"<[^>]*>", " ", total[0]).split())
        assert words == f"Total {len(expected)} run{'s' if len(expected) > 1 else ''} {money(cost)}"
        lines = world.person.client.get("/app/acme/runs", query_string=query | {"format": "ndjson"}).text.splitlines()
        assert len(lines) == len(expected)

    holds()
