"""What the factory gives to every request: settings, store and queue."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app

from costlens.config import Settings
from costlens.queue import JobQueue
from costlens.rate_limits import RateLimits
from costlens.response_cache import ResponseCache
from costlens.store.engine import Store


@dataclass(frozen=True, slots=True)
class Context:
    settings: Settings
    store: Store
    queue: JobQueue
    limits: RateLimits
    cache: ResponseCache


def context() -> Context:
    """The context of the application that serves this request."""
    found: Context = current_app.extensions["costlens"]
    return found
