"""Limits by the minute, counted in Redis for all web processes together.

Only plans that have limits ask for them. When Redis is away everything is allowed: a refused run is lost, one too many
does no harm.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from limits.strategies import MovingWindowRateLimiter

AWAY_SECONDS = 5  # how long a Redis that is away is left alone

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """One request counted, or refused."""

    limit: int  # a minute
    remaining: int
    reset: int  # seconds until one more is allowed where none is left, else until the oldest is forgotten
    allowed: bool


class RateLimits:
    """Sliding minutes by name. Opens no connection before the first limited request."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("unix://", "redis+unix://", 1) if url.startswith("unix://") else url
        self._lock = threading.Lock()
        self._limiter: MovingWindowRateLimiter | None = None
        self._away_until = 0.0

    def take(self, name: str, per_minute: int) -> Taken | None:
        """Counts one request of this name. None: Redis is away, so it is not known how many there were."""
        if time.monotonic() < self._away_until:
            return None
        from limits import RateLimitItemPerMinute

        item = RateLimitItemPerMinute(per_minute)
        try:
            limiter = self._open()
            allowed = limiter.hit(item, name)
            reset, remaining = limiter.get_window_stats(item, name)
        except RedisError as error:
            if not self._away_until:
                _log.warning("Redis away, rate limits are not kept: %s", error)
            self._away_until = time.monotonic() + AWAY_SECONDS
            return None
        self._away_until = 0.0
        seconds = max(1, math.ceil(reset - time.time()))
        return Taken(per_minute, max(0, remaining) if allowed else 0, min(60, seconds), allowed)

    def _open(self) -> MovingWindowRateLimiter:
        with self._lock:
            if self._limiter is None:
                # Slow to load, and a server without limited plans never needs them.
                from limits.storage import RedisStorage
                from limits.strategies import MovingWindowRateLimiter

                storage = RedisStorage(
                    self._url, key_prefix="costlens:limits", socket_timeout=1, socket_connect_timeout=1
                )
                self._limiter = MovingWindowRateLimiter(storage)
            return self._limiter
