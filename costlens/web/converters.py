"""What stands in the path of a route."""

from __future__ import annotations

from flask import Flask
from werkzeug.routing import IntegerConverter, Map

_LARGEST_ID = 2**63 - 1  # that a database can hold


class _Id(IntegerConverter):
    """`<int:…>` as a number that a query can ask for; any larger one is no such page."""

    def __init__(self, map: Map) -> None:
        super().__init__(map, max=_LARGEST_ID)


def set_up_converters(app: Flask) -> None:
    """Bounds the numbers of all routes that are added from here on."""
    app.url_map.converters["int"] = _Id
