"""What /readyz tells besides ready or not."""

from __future__ import annotations

import functools
from importlib import metadata
from typing import Any

from costlens.domain.shown import instant
from costlens.store.engine import Store
from costlens.store.rollup_check import last_check


def rollups(store: Store) -> dict[str, Any]:
    """When sums were last compared with runs (null: never), and how many rows were wrong then. Raises Unavailable."""
    with store.read() as tx:
        at, drift = last_check(tx)
    return {"checkedAt": instant(at), "drift": drift}


@functools.cache
def prices() -> dict[str, str]:
    """Which list prices are in use, without loading them."""
    return {"version": f"genai-prices {metadata.version('genai-prices')}"}
