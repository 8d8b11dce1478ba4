"""Flask, cut to what this application uses: a tracked run spends more time in the framework than in its own work.

Everything here goes through what Flask and Werkzeug leave to subclasses, and answers are the same byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Any

from flask import Flask, Request, Response
from werkzeug.datastructures import Headers
from werkzeug.routing import Map, MapAdapter
from werkzeug.utils import cached_property
from werkzeug.wsgi import get_host

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Incoming(Request):
    """A request whose body comes from a server that keeps to Content-Length."""

    @cached_property
    def stream(self) -> IO[bytes]:
        # Werkzeug would count the bytes of each read. Where the server ends the body by itself and the length it
        # came with is within the limit, there is nothing to count.
        length, limit = self.content_length, self.max_content_length
        if "wsgi.input_terminated" in self.environ and length is not None and (limit is None or length <= limit):
            return self.input_stream
        return super().stream


class Outgoing(Response):
    """An answer that a server can send in one go when all of it is there."""

    def get_app_iter(self, environ: WSGIEnvironment) -> Iterable[bytes]:
        # A list, unlike any other iterable, tells the server that no more will come: it writes head and body at once.
        if self.is_sequence and not self._on_close and environ["REQUEST_METHOD"] != "HEAD" and self.status_code == 200:
            return list(self.iter_encoded())
        return super().get_app_iter(environ)


class JsonAnswer(Outgoing):
    """A whole body of JSON, whose length is set and which says nothing of another address."""

    default_mimetype = "application/json"

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        # Otherwise a copy, in which addresses are made whole and the length is set.
        return self.headers if "Content-Length" in self.headers else super().get_wsgi_headers(environ)


class Application(Flask):
    """The Flask application."""

    request_class = Incoming
    response_class = Outgoing

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Itself: no view, hook or handler here is a coroutine, and Flask would ask a dozen times a request."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """The same as Flask's where neither hosts nor subdomains choose a route, without reading the host twice."""
        if request is None:
            return super().create_url_adapter(None)
        environ = request.environ
        request.host = get_host(environ, request.trusted_hosts)
        return MapAdapter(
            self.url_map,
            _server_name(self.url_map, request.host),
            request.root_path,
            "",
            request.scheme,
            request.path,
            request.method,
            environ.get("QUERY_STRING", ""),
        )


@lru_cache(maxsize=256)  # a server has few names
def _server_name(url_map: Map, host: str) -> str:
    """The host as it stands in the addresses of redirects. Raises BadHost."""
    return url_map.bind(host, subdomain="").server_name
