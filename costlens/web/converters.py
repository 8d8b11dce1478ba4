"""What stands in the path of a route."""

from __future__ import annotations

from flask import Flask
from werkzeug.routing import IntegerConverter


class _Id(IntegerConverter):
    """`<int:…>` as a number that a database can hold; any longer one is of no route, whatever the method."""

    regex = "[0-9]{1,18}"


def set_up_converters(app: Flask) -> None:
    """Bounds the numbers of all routes that are added from here on."""
    app.url_map.converters["int"] = _Id
