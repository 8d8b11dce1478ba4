"""A server that plays GitHub's sign-in as its documentation has it: OAuth with PKCE, `/user`, addresses, organizations.

It holds a program to what it must send: the client's secret, the redirect that was asked for, the verifier of the
challenge, each code once. Errors of the token come with status 200, as GitHub's do.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, jsonify, redirect, request
from werkzeug.serving import make_server
from werkzeug.wrappers import Response as BaseResponse

CLIENT_ID, CLIENT_SECRET = "Iv1.costlens", "not a real secret"


@dataclass(slots=True)
class Someone:
    """A person on GitHub."""

    id: int
    login: str
    emails: list[tuple[str, bool, bool]]  # address, primary, verified
    name: str | None = None
    organizations: list[tuple[str, int]] = field(default_factory=list)


@dataclass(slots=True)
class GithubPeer:
    """What the server knows, and what it was asked."""

    url: str = ""
    people: dict[str, Someone] = field(default_factory=dict)
    client_id: str = CLIENT_ID  # of a GitHub App
    away: bool = False  # answers everything with 502
    calls: list[str] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Settings of a CostLens that knows this GitHub."""
        return {
            "GITHUB_URL": self.url,
            "GITHUB_API_URL": f"{self.url}/api/v3",
            "GITHUB_CLIENT_ID": self.client_id,
            "GITHUB_CLIENT_SECRET": CLIENT_SECRET,
        }

    def add(
        self, login: str, *emails: str, organizations: tuple[tuple[str, int], ...] = (), number: int = 0
    ) -> Someone:
        """Somebody with verified addresses, the first one the primary."""
        kept = [(email, at == 0, True) for at, email in enumerate(emails)]
        someone = Someone(number or 1000 + len(self.people), login, kept, f"{login.title()} Example")
        someone.organizations = list(organizations)
        self.people[login] = someone
        return someone

    def forget(self) -> None:
        """Makes it a GitHub without people."""
        for each in (self.people, self.calls, self.scopes, self.codes, self.tokens):
            each.clear()
        self.away, self.client_id = False, CLIENT_ID


def peer_app(peer: GithubPeer) -> Flask:
    """The server."""
    app = Flask("github")

    @app.before_request
    def note() -> Response | None:
        peer.calls.append(f"{request.method} {request.path}")
        return Response("Bad gateway", 502) if peer.away else None

    @app.get("/login/oauth/authorize")
    def authorize() -> str | tuple[str, int]:
        asked = request.args.to_dict()
        if asked.get("client_id") != peer.client_id or asked.get("response_type") != "code":
            return "Application not found", 404
        if asked.get("code_challenge_method") != "S256" or not asked.get("code_challenge") or not asked.get("state"):
            return "A challenge and a state are missing", 400
        peer.scopes.append(asked.get("scope", ""))
        buttons = "".join(
            f'<p><a href="/login/as/{login}?{urlencode(asked)}">Continue as {login}</a></p>' for login in peer.people
        )
        return f'<title>GitHub</title>{buttons}<p><a href="/login/cancel?{urlencode(asked)}">Cancel</a></p>'

    @app.get("/login/as/<login>")
    def grant(login: str) -> BaseResponse:
        code = secrets.token_hex(10)
        peer.codes[code] = request.args.to_dict() | {"login": login}
        return back({"code": code})

    @app.get("/login/cancel")
    def cancel() -> BaseResponse:
        return back({"error": "access_denied", "error_description": "The user has denied your application access."})

    def back(values: dict[str, str]) -> BaseResponse:
        asked = request.args
        return redirect(f"{asked['redirect_uri']}?{urlencode(values | {'state': asked['state']})}")

    @app.post("/login/oauth/access_token")
    def token() -> Response:
        form = request.form
        if (form.get("client_id"), form.get("client_secret")) != (peer.client_id, CLIENT_SECRET):
            return jsonify(error="incorrect_client_credentials", error_description="The client_id or secret is wrong.")
        begun = peer.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if begun is None or begun["code_challenge"] != challenge or begun["redirect_uri"] != form.get("redirect_uri"):
            return jsonify(error="bad_verification_code", error_description="The code is incorrect or expired.")
        text = f"gho_{secrets.token_hex(18)}"
        peer.tokens[text] = begun["login"]
        return jsonify(access_token=text, token_type="bearer", scope=begun.get("scope", ""))

    def whose() -> Someone | None:
        text = request.headers.get("Authorization", "").partition(" ")[2]
        return peer.people.get(peer.tokens.get(text, ""))

    def answer(make: Any) -> Any:
        someone = whose()
        return make(someone) if someone else (jsonify(message="Bad credentials"), 401)

    @app.get("/api/v3/user")
    def user() -> Any:
        return answer(lambda who: jsonify(id=who.id, login=who.login, name=who.name, email=None))

    @app.get("/api/v3/user/emails")
    def emails() -> Any:
        return answer(
            lambda who: jsonify(
                [{"email": e, "primary": p, "verified": v, "visibility": None} for e, p, v in who.emails]
            )
        )

    @app.get("/api/v3/user/repos")
    def repositories() -> Any:
        repository = {"id": 501, "full_name": "acme/web", "private": True, "default_branch": "main"}
        return answer(lambda who: jsonify([repository]))

    @app.get("/api/v3/user/orgs")
    def organizations() -> Any:
        page, size = int(request.args.get("page", 1)), int(request.args.get("per_page", 30))
        return answer(
            lambda who: jsonify(
                [{"login": name, "id": id} for name, id in who.organizations[(page - 1) * size : page * size]]
            )
        )

    return app


@contextmanager
def github_peer() -> Iterator[GithubPeer]:
    """The server on a free port."""
    peer = GithubPeer()
    server = make_server("127.0.0.1", 0, peer_app(peer), threaded=True)
    peer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        server.shutdown()
        thread.join()
