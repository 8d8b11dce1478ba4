"""GitHub as the emulator plays it (npm `emulate`), behind a thin proxy of ours that counts the calls and plays what the
emulator lacks: the forms that create and install an App, the manifest's conversion, the list of an installation's
repositories.
"""

from __future__ import annotations

import base64
import http.client
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.e2e.servers import free_port, wait_until
from tests.peers import node, node_modules
from tests.services.test_github_trouble import app_key

REPOSITORY = "acme/web"
SECRET = "the secret of the App's webhook"
TOKEN = "token-of-alice"


@dataclass(slots=True)
class Emulator:
    """The emulator, and the proxy that callers use."""

    url: str  # of the proxy
    client: httpx.Client  # of alice, at the emulator itself
    key: str
    calls: list[str] = field(default_factory=list)
    setup_url: str = ""  # told by the manifest
    opened: int = 0  # pull requests so far
    before_answer: Callable[[str], None] = lambda call: None  # told of a call that is done and not answered yet

    def api(self, verb: str, path: str, body: Any = None) -> Any:
        """Does something on GitHub as alice, who owns everything there."""
        answer = self.client.request(verb, path, json=body)
        assert answer.status_code < 300, (verb, path, answer.status_code, answer.text)
        return answer.json()

    def open_pull(self) -> int:
        """Opens the next pull request, with a commit of its own, and answers its number."""
        self.opened = number = self.opened + 1
        branch = f"change-{number}"
        main = self.api("GET", f"/repos/{REPOSITORY}/git/ref/heads/main")["object"]["sha"]
        self.api("POST", f"/repos/{REPOSITORY}/git/refs", {"ref": f"refs/heads/{branch}", "sha": main})
        content = base64.b64encode(str(number).encode()).decode()
        file = {"message": f"Do {number}", "content": content, "branch": branch}
        self.api("PUT", f"/repos/{REPOSITORY}/contents/file-{number}.txt", file)
        made = {"title": f"Change number {number}", "head": branch, "base": "main", "body": f"Body of {number}"}
        assert self.api("POST", f"/repos/{REPOSITORY}/pulls", made)["number"] == number
        return number


@contextmanager
def emulating(folder: Path, *, pull_requests: str = "read") -> Iterator[Emulator]:
    """The emulator with an App that is installed on one repository, with this permission; gone afterwards."""
    port = free_port()
    key = app_key()
    direct = f"http://127.0.0.1:{port}"
    seed = {
        "tokens": {TOKEN: {"login": "alice", "scopes": ["repo", "admin:repo_hook"]}},
        "github": {
            "users": [{"login": "alice", "name": "Alice", "email": "alice@example.com"}],
            "orgs": [{"login": "acme", "members": [{"login": "alice", "role": "admin"}]}],
            "repos": [{"owner": "acme", "name": "web", "private": False, "default_branch": "main"}],
            "apps": [
                {
                    "app_id": 77, "slug": "costlens-acme", "name": "CostLens Acme", "private_key": key,
                    "permissions": {"metadata": "read", "contents": "read", "pull_requests": pull_requests},
                    "installations": [{"installation_id": 1, "account": "acme"}],
                }
            ],
        },
    }  # fmt: skip
    (folder / "seed.json").write_text(json.dumps(seed))
    command = (node(), str(node_modules() / "emulate/dist/index.js"), "start", "--service", "github",
               "--port", str(port), "--base-url", direct, "--seed", str(folder / "seed.json"))  # fmt: skip
    with (folder / "emulator.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    client = httpx.Client(
        base_url=direct, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20, trust_env=False, verify=False
    )
    emulator = Emulator("", client, key)
    server = _Server(("127.0.0.1", 0), _proxy(emulator))
    emulator.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        wait_until(lambda: _answers(client), 20, (folder / "emulator.log").read_text)
        yield emulator
    finally:
        server.shutdown()
        server.server_close()
        client.close()
        process.kill()
        process.wait()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/rate_limit").status_code == 200
    except httpx.TransportError:
        time.sleep(0.1)
        return False


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that was killed goes away in the middle."""


def _proxy(emulator: Emulator) -> type[BaseHTTPRequestHandler]:
    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = 1 << 16

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self._do("GET")

        def do_POST(self) -> None:
            self._do("POST")

        def do_PATCH(self) -> None:
            self._do("PATCH")

        def do_DELETE(self) -> None:
            self._do("DELETE")

        def _do(self, verb: str) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            emulator.calls.append(f"{verb} {self.path}")
            played = _played(emulator, verb, urlsplit(self.path).path, urlsplit(self.path).query, body)
            if played is None:
                played = self._forwarded(verb, body)
            status, headers, text = played
            emulator.before_answer(f"{verb} {self.path}")
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def _forwarded(self, verb: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", emulator.client.base_url.port, timeout=20)
            passed = {name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers}
            connection.request(verb, self.path, body or None, passed)
            answer = connection.getresponse()
            text = answer.read()
            kept = ("content-type", "link", "location")
            headers = {name: value for name, value in answer.getheaders() if name.lower() in kept}
            connection.close()
            return answer.status, headers, text

    return Proxy


def _played(
    emulator: Emulator, verb: str, path: str, query: str, body: bytes
) -> tuple[int, dict[str, str], bytes] | None:
    """What the emulator lacks. None: it does not."""
    if verb == "POST" and path.endswith("/settings/apps/new"):
        manifest = json.loads(parse_qs(body.decode())["manifest"][0])
        emulator.setup_url = manifest["setup_url"]
        state = parse_qs(query)["state"][0]
        return _page("Create GitHub App", f"{manifest['redirect_url']}?code=a-code&state={state}")
    if path == "/apps/costlens-acme/installations/new":
        return _page("Install", f"{emulator.setup_url}?installation_id=1&setup_action=install")
    if path == "/app-manifests/a-code/conversions":
        app = {
            "id": 77, "slug": "costlens-acme", "html_url": f"{emulator.url}/apps/costlens-acme", "pem": emulator.key,
            "webhook_secret": SECRET, "client_id": "Iv1.x", "client_secret": "shh",
        }  # fmt: skip
        return 201, {"Content-Type": "application/json"}, json.dumps(app).encode()
    if path == "/installation/repositories":
        repos = [emulator.api("GET", f"/repos/{REPOSITORY}")]
        told = json.dumps({"total_count": len(repos), "repositories": repos}).encode()
        return 200, {"Content-Type": "application/json"}, told
    return None


def _page(label: str, target: str) -> tuple[int, dict[str, str], bytes]:
    html = f'<!DOCTYPE html><title>GitHub</title><a href="{escape(target)}">{label}</a>'
    return 200, {"Content-Type": "text/html"}, html.encode()
