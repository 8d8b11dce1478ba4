"""The API as openapi.json describes it, tried by a program that reads the description: a real server, both engines.

A short look with a fixed seed; `python -m benchmarks.fuzz` is the long one.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from tests.e2e.servers import PLAIN, Server, serving

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)


@pytest.fixture(scope="module")
def server(database: dict[str, str]) -> Iterator[Server]:
    with TemporaryDirectory() as folder, serving(Path(folder) / "data", **database) as started:
        yield started


def test_every_answer_is_as_described(server: Server) -> None:
    server.organization()
    key = server.answer("key", "create", "Acme", "--name", "all", "--scopes", "ingest,read,admin")["apiKey"]
    command = (
        *(str(Path(sys.executable).with_name("st")), "run", f"{server.url}/openapi.json"),
        *("-H", f"Authorization: Bearer {key}", "--seed", "1", "--max-examples", "4"),
        *("--phases", "examples,fuzzing,stateful", "--checks", ",".join(CHECKS)),
        *("--suppress-health-check", "all", "--no-color"),
    )
    done = subprocess.run(command, cwd=server.data, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Stateful" in done.stdout
    with server.client(key) as client:
        described = client.get("/openapi.json").json()
        operations = sum(len(methods) for methods in described["paths"].values())
    assert f"Tested: {operations}" in done.stdout
    server.check()  # raises where a sum differs from its runs


def test_the_description_has_the_reader_s_host(server: Server) -> None:
    for host in (server.url, "http://costlens.example.com"):
        headers = {"Host": host.removeprefix("http://")}
        answer = httpx.get(f"{server.url}/openapi.json", headers=headers, **PLAIN)
        assert answer.json()["servers"] == [{"url": host}]
        assert f"curl -X POST {host}/integrations/run" in answer.text
