"""What the reports of the command line share: a call of the server, and tables in plain text."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import click
import httpx


def fetch(path: str, query: Mapping[str, str | None]) -> httpx.Response:
    """A GET on the server. Raises ClickException with one clear line."""
    told = {name: value for name, value in query.items() if value is not None}
    # Not an empty mapping, for which httpx takes away what the path itself asks.
    return _call("GET", path, params=told or None)


def send(path: str, body: Mapping[str, object]) -> httpx.Response:
    """A POST of what is not None. Raises ClickException with one clear line."""
    return _call("POST", path, json={name: value for name, value in body.items() if value is not None})


def _call(method: str, path: str, **what: Any) -> httpx.Response:
    url = os.environ.get("COSTLENS_URL", "http://127.0.0.1:8787").rstrip("/")
    key = os.environ.get("COSTLENS_API_KEY")
    if not key:
        raise click.ClickException("Set COSTLENS_API_KEY to a key that `costlens key create` prints")
    if not key.isascii():
        raise click.ClickException("COSTLENS_API_KEY holds characters that no key has")
    try:
        answer = httpx.request(method, f"{url}{path}", headers={"Authorization": f"Bearer {key}"}, timeout=30, **what)
    except httpx.HTTPError as error:
        raise click.ClickException(f"No answer from {url}: {error}") from error
    if answer.status_code not in (200, 202):
        try:
            message = answer.json()["error"]
        except (ValueError, KeyError):
            message = f"status {answer.status_code}"
        raise click.ClickException(f"{url} says: {message}")
    return answer


def dollars(amount: float | None) -> str:
    """Two decimals, four where two would show $0.00 for what is not nothing."""
    if amount is None:
        return "–"
    return f"${amount:,.4f}" if 0 < amount < 0.01 else f"${amount:,.2f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    """Columns as wide as they need, text to the left and figures to the right."""
    widths = [max(len(str(row[column])) for row in (head, *rows)) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = [
            f"{cell:<{width}}" if n in left else f"{cell:>{width}}"
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join([line(head), "  ".join("─" * width for width in widths), *map(line, rows)])
