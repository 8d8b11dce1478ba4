"""Commands on the sums, on a server that takes runs meanwhile: check, repair, another time zone, prices, classes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from costlens.config import load_settings
from costlens.store import tables as t
from costlens.store.engine import Store
from tests.e2e.servers import PLAIN, Server, serving

CALL = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1000, "outputTokens": 100, "latency": 800}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database: dict[str, str]) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("ledger") / "data", **database) as started:
        yield started


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    """A caller whose organization has runs of a model without a price."""
    with server.client(server.organization()) as opened:
        runs = [CALL | {"model": "house-model", "promptId": "review-v2"} for _ in range(3)]
        assert opened.post("/integrations/batch", json={"runs": [CALL, *runs]}).status_code == 200
        yield opened


@pytest.fixture(scope="module")
def store(server: Server, client: httpx.Client) -> Iterator[Store]:
    opened = Store(load_settings(server.environment).database_url)
    yield opened
    opened.close()


def test_check_tells_what_differs_and_repairs_it(server: Server, store: Store) -> None:
    assert "acme: right (1 days)" in server.check()
    with store.write() as tx:
        tx.execute(t.rollup_15m.update().values(runs=t.rollup_15m.c.runs + 2))
    done = server.run("db", "check")
    assert done.returncode == 1
    assert "rollup_15m" in done.stdout
    assert "+4 runs, +0.000000000 dollars" in done.stdout
    assert done.stderr == "Error: Rollups differ from runs: costlens db check --repair\n"
    assert httpx.get(f"{server.url}/readyz", **PLAIN).json()["checks"]["rollups"]["drift"] == 2
    done = server.run("db", "check", "--repair", "--organization", "Acme")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 repaired" in done.stdout
    server.check()
    ready = httpx.get(f"{server.url}/readyz", **PLAIN)
    assert (ready.status_code, ready.json()["checks"]["rollups"]["drift"]) == (200, 0)
    assert server.run("db", "rebuild", "--organization", "nobody").returncode == 1


def test_another_time_zone_cuts_days_anew_while_runs_come_in(server: Server, client: httpx.Client) -> None:
    stop, sent, failed = threading.Event(), [0], list[Any]()

    def send() -> None:
        while not stop.wait(0.02):
            at = datetime.now(UTC) - timedelta(hours=sent[0] % 400)
            answer = client.post("/integrations/run", json=CALL | {"timestamp": at.isoformat()})
            if answer.status_code != 200:
                failed.append(answer.text)
            sent[0] += 1

    thread = threading.Thread(target=send)
    thread.start()
    try:
        changed = server.answer("organization", "set", "Acme", "--timezone", "Asia/Kathmandu")
    finally:
        stop.set()
        thread.join()
    assert changed["timezone"] == "Asia/Kathmandu"
    assert failed == []
    assert sent[0] > 50
    server.check()
    body = client.get("/analytics/overview?days=30&groupBy=model").json()
    assert sum(group["runs"] for group in body["groups"]) == body["totalRuns"] == sent[0] + 4


def test_reprice_is_a_dry_run_until_it_is_applied(server: Server, client: httpx.Client, store: Store) -> None:
    with store.write() as tx:
        organization = tx.scalar(t.organizations.select())
        row = {"organization_id": organization, "provider": "openai", "model": "house-model"}
        row |= {"effective_from": datetime(2024, 1, 1, tzinfo=UTC), "created_at": datetime.now(UTC)}
        tx.execute(t.price_overrides.insert().values(row | {"picos": {"input_uncached": 1_000_000}}))
    figures = {"runs": 3, "oldCost": 0, "newCost": 0.003, "difference": 0.003, "unpricedBefore": 3, "unpricedAfter": 0}
    for applied, arguments in ((False, ()), (True, ("--apply",))):
        told = server.answer("reprice", "Acme", "--model", "house-model", *arguments)
        assert (told["applied"], told["runs"], told["changed"]) == (applied, 3, figures)
        assert told["models"] == [{"provider": "openai", "model": "house-model", **figures}]
    done = server.run("reprice", "Acme", "--since", "2024-01-01", "--provider", "OpenAI", "--apply")
    assert done.stdout.splitlines()[-1].startswith("0 of ")
    assert client.get("/runs?limit=1").json()["runs"][0]["cost"] is not None
    server.check()


def test_the_table_of_a_dry_run_names_each_model(server: Server, client: httpx.Client, store: Store) -> None:
    with store.write() as tx:
        tx.execute(t.price_overrides.update().values(picos={"input_uncached": 2_000_000}))
    done = server.run("reprice", "Acme")
    assert done.returncode == 0
    assert "openai/house-model" in done.stdout
    assert "0.003000" in done.stdout
    assert "3 of " in done.stdout.splitlines()[-1]
    assert "--apply stores it" in done.stdout.splitlines()[-1]


def test_reclassify_moves_runs_out_of_code_and_back(server: Server, client: httpx.Client, store: Store) -> None:
    def states() -> set[str]:
        return {run["linkState"] for run in client.get("/runs?promptId=review-v2").json()["runs"]}

    done = server.run("reclassify", "Acme", "--prompt", "review-v2", "--not-code")
    assert (done.returncode, done.stdout) == (0, "3 runs are not code now\n")
    assert states() == {"not_code"}
    server.check()
    assert server.answer("reclassify", "Acme", "--prompt", "review-v2", "--code") == {"runs": 3, "code": True}
    assert states() <= {"pending", "unlinked"}
    server.check()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("reclassify", "Acme", "--not-code"), "Say which runs"),
        (("reclassify", "Acme", "--key", "cl_00000000", "--code"), "No key begins like this"),
        (("reclassify", "Acme", "--prompt", "p"), "--code"),
        (("reprice", "nobody"), "No organization named"),
    ],
)
def test_a_mistake_is_one_clear_line(server: Server, client: httpx.Client, arguments: Any, message: str) -> None:
    done = server.run(*arguments)
    assert done.returncode != 0
    assert message in done.stderr.splitlines()[-1]


def test_json_is_json_alone(server: Server, client: httpx.Client) -> None:
    done = server.run("reprice", "Acme", "--json")
    assert json.loads(done.stdout)["applied"] is False
    assert done.stderr == ""
