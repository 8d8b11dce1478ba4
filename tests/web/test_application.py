"""What the application leaves out of Flask's work is not missed."""

from __future__ import annotations

import inspect
import io
from typing import Any

import pytest
from flask import Flask
from werkzeug.exceptions import HTTPException

from tests.databases import only_sqlite

pytestmark = only_sqlite


def answer(app: Flask, path: str, method: str = "GET", **environ: Any) -> tuple[str, dict[str, str], Any]:
    """Status, headers and the iterable of an answer, as a server gets them."""
    told: list[Any] = []
    given = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "costs.example.com",
        "wsgi.input": io.BytesIO(),
        "wsgi.url_scheme": "http",
        **environ,
    }
    body = app.wsgi_app(given, lambda status, headers, _=None: told.extend((status, headers)))  # type: ignore[arg-type,return-value]
    return told[0], dict(told[1]), body


def test_nothing_is_a_coroutine(app: Flask) -> None:
    hooks = [app.before_request_funcs, app.after_request_funcs]
    called = [
        *app.view_functions.values(),
        *(one for some in hooks for each in some.values() for one in each),
        *(one for each in app.teardown_request_funcs.values() for one in each),
    ]
    assert len(called) > 100
    assert not [one for one in called if inspect.iscoroutinefunction(one)]


def test_a_whole_answer_is_a_list_which_a_server_sends_in_one_go(app: Flask) -> None:
    status, headers, body = answer(app, "/healthz")
    assert status == "200 OK"
    assert isinstance(body, list)
    assert headers["Content-Length"] == str(len(b"".join(body)))
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_head_has_the_length_and_no_body(app: Flask) -> None:
    status, headers, body = answer(app, "/healthz", "HEAD")
    assert status == "200 OK"
    assert int(headers["Content-Length"]) > 0
    assert b"".join(body) == b""


HOSTS = ["costs.example.com", "costs.example.com:8080", "[::1]:8080", "Costs.Example.com", "", "bücher.example.com"]


@pytest.mark.parametrize("host", [*HOSTS, "costs example com", "a" * 70 + ".example.com"])
@pytest.mark.parametrize("path", ["/healthz", "//healthz", "/prompts/caf\u00c3\u00a9", ""])
def test_a_request_is_placed_as_flask_places_it(app: Flask, host: str, path: str) -> None:
    def placed(create: Any) -> Any:
        environ = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "/below",
            "PATH_INFO": path,
            "QUERY_STRING": "a=%C3%A9&b=1",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "8080",
            "HTTP_HOST": host,
            "wsgi.url_scheme": "https",
        }
        try:
            found = create(app, app.request_class(environ))
        except HTTPException as error:
            return type(error)
        # A path that does not begin with a slash is matched as one that does, whoever made it so.
        names = ("server_name", "script_name", "subdomain", "url_scheme", "default_method", "query_args", "websocket")
        return found.path_info.lstrip("/"), *(getattr(found, name) for name in names)

    assert placed(type(app).create_url_adapter) == placed(Flask.create_url_adapter)


@pytest.mark.parametrize("terminated", [True, False])
def test_a_body_is_read_to_its_length_and_not_past_the_limit(app: Flask, alice_key: str, terminated: bool) -> None:
    body = b'{"provider":"openai","model":"gpt-4o","inputTokens":1,"outputTokens":1}'
    limit = app.config["MAX_CONTENT_LENGTH"]
    head: dict[str, Any] = {"HTTP_AUTHORIZATION": f"Bearer {alice_key}", "CONTENT_TYPE": "application/json"}
    if terminated:
        head["wsgi.input_terminated"] = True
    good = answer(
        app, "/integrations/run", "POST", CONTENT_LENGTH=str(len(body)), **head | {"wsgi.input": io.BytesIO(body)}
    )
    assert good[0] == "200 OK"
    large = answer(app, "/integrations/run", "POST", CONTENT_LENGTH=str(limit + 1), **head)
    assert large[0].startswith("413")
