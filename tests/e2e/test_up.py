"""`costlens up` as people run it: what it prints, what it serves, and how it ends."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import httpx
import pytest

from tests.databases import database_setting
from tests.e2e.facts import REPOSITORY, code_run, write_snapshot
from tests.e2e.servers import PLAIN, Server, a_run, every_run, free_port, run, serving, valkey, wait_until

SET_UP = re.compile(r"Create the first owner: (http\S+/set-up/\S+)")


@pytest.fixture(scope="module")
def server(database: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("up") / "data", **database) as started:
        yield started


def test_up_prints_a_set_up_link_that_opens_and_readyz_says_ready(server: Server) -> None:
    wait_until(lambda: SET_UP.search(server.log), 5, server.log)
    link = SET_UP.findall(server.log)[-1]
    assert link.startswith(server.url)
    assert httpx.get(link, **PLAIN).status_code == 200
    wait_until(lambda: server.ready()["checks"]["worker"], 10, server.log)
    assert server.ready() == {
        "status": "ready",
        "checks": {
            "database": True,
            "migrations": True,
            "queue": True,
            "worker": True,
            "rollups": {"checkedAt": None, "drift": 0},
            "prices": {"version": f"genai-prices {metadata.version('genai-prices')}"},
        },
    }


def test_a_run_is_stored_then_linked_by_the_worker_after_an_import(server: Server, tmp_path: Path) -> None:
    with server.client(server.organization()) as client:
        answer = client.post("/integrations/run", json=a_run(**code_run(7, 1)))
        assert answer.status_code == 200
        stored = client.get(f"/runs/{answer.json()['run']['id']}").json()["run"]
        assert stored["requestId"] == "code-7-1"
        assert stored["links"] == []

        done = server.answer("github", "import", str(write_snapshot(tmp_path / "pulls.jsonl", 7)))
        assert done["pulls"] == 1
        wait_until(lambda: client.get("/links").json()["links"], 10, server.log)
        (link,) = client.get("/links").json()["links"]
    assert (link["requestId"], link["repo"], link["pullRequest"]) == ("code-7-1", REPOSITORY, 7)
    assert (link["state"], link["share"]) == ("counted", 1.0)
    assert link["cost"] == answer.json()["run"]["cost"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything_and_the_data_is_there_after_the_next_start(
    server: Server, how: signal.Signals, tmp_path: Path
) -> None:
    name = f"Shop {how.name}"
    key = server.organization(name)
    with server.client(key) as client:
        assert client.post("/integrations/run", json=a_run()).status_code == 200
    assert server.stop(how, seconds=15) == 0
    assert server.pids() == {}
    assert not (server.data / "queue.sock").exists()
    assert server.log.rstrip().endswith("Stopped.")

    before = len(server.log)
    server.start()
    with server.client(key) as client:
        assert [stored["requestId"] for stored in every_run(client)] == ["request-1"]
    wait_until(lambda: "sign-in-link" in server.log[before:], 5, server.log)
    assert "set-up" not in server.log[before:], "an owner exists"
    assert server.check()


def test_a_used_port_is_one_clear_line(server: Server, tmp_path: Path) -> None:
    done = run("up", "--port", str(server.port), "--data", str(tmp_path / "other"), env=server.environment)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"Error: Cannot listen on 127.0.0.1:{server.port}: Address already in use; choose another --port"
    ]


def test_a_second_start_in_the_same_folder_is_refused_and_disturbs_nothing(server: Server) -> None:
    done = run("up", "--port", str(free_port()), "--data", str(server.data), env=server.environment)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"Error: Another `costlens up` works in {server.data}; stop it, or choose another --data"
    ]
    assert server.ready()["checks"]["queue"], "its queue still answers"


def test_two_servers_side_by_side_share_nothing_even_with_a_long_path(engine: str, tmp_path: Path) -> None:
    long = tmp_path / ("a" * 60) / ("b" * 60) / "data"
    long.parent.mkdir(parents=True)
    assert len(str(long)) > 100
    with (
        database_setting(engine) as one_database,
        database_setting(engine) as other_database,
        serving(long, **one_database) as first,
        serving(tmp_path / "second", **other_database) as second,
    ):
        assert {first.pid(name) for name in ("queue", "web", "worker")}.isdisjoint(second.pids())
        key = first.organization()
        with first.client(key) as one, second.client(key) as other:
            assert one.post("/integrations/run", json=a_run(**code_run(3, 1))).status_code == 200
            assert other.get("/runs").status_code == 401, "a key of the other server"
            first.answer("github", "import", str(write_snapshot(tmp_path / "pulls.jsonl", 3)))
            wait_until(lambda: one.get("/links").json()["links"], 10, first.log)
        assert first.stop() == 0
        assert first.pids() == {}
        assert second.ready()["checks"]["queue"]
        with second.client(second.organization()) as other:
            assert other.post("/integrations/run", json=a_run(**code_run(4, 1))).status_code == 200
            second.answer("github", "import", str(write_snapshot(tmp_path / "pulls.jsonl", 4)))
            wait_until(lambda: other.get("/links").json()["links"], 10, second.log)


def test_redis_url_is_used_instead_of_an_embedded_queue(tmp_path: Path) -> None:
    # On one engine: where jobs wait has nothing to do with where runs are kept.
    port = free_port()
    with valkey(tmp_path, "--port", str(port), "--bind", "127.0.0.1"):
        wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, 5)
        with serving(tmp_path / "data", REDIS_URL=f"redis://127.0.0.1:{port}/0") as server:
            assert not any("valkey" in line for line in server.pids().values())
            with server.client(server.organization()) as client:
                client.post("/integrations/run", json=a_run(**code_run(5, 1)))
                server.answer("github", "import", str(write_snapshot(tmp_path / "pulls.jsonl", 5)))
                wait_until(lambda: client.get("/links").json()["links"], 10, server.log)
            assert server.stop() == 0
            assert server.pids() == {}


def test_a_queue_that_is_away_at_the_start_is_told_and_used_when_it_comes(tmp_path: Path) -> None:
    port = free_port()
    with serving(tmp_path / "data", REDIS_URL=f"redis://127.0.0.1:{port}/0") as server:
        assert "The queue at REDIS_URL does not answer" in server.log
        assert server.ready()["checks"] == {
            "database": True,
            "migrations": True,
            "queue": False,
            "worker": None,
            "rollups": {"checkedAt": None, "drift": 0},
            "prices": {"version": f"genai-prices {metadata.version('genai-prices')}"},
        }
        with server.client(server.organization()) as client:
            assert client.post("/integrations/run", json=a_run(1, **code_run(6, 1))).status_code == 200
            with valkey(tmp_path, "--port", str(port), "--bind", "127.0.0.1"):
                wait_until(lambda: server.ready()["checks"]["worker"], 40, server.log)
                server.answer("github", "import", str(write_snapshot(tmp_path / "pulls.jsonl", 6)))
                wait_until(lambda: client.get("/links").json()["links"], 60, server.log)
