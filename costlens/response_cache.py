"""Answers of models kept in Redis for an organization that turned it on, and how often one was found.

Entries end by their own time, and those that end soonest are dropped first when an organization's share of memory is
full. When Redis is away nothing is found and nothing is kept.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec
from redis import Redis
from redis.exceptions import RedisError

from costlens.domain.errors import Unavailable

SHARE_BYTES = 64 << 20  # of one organization
ENTRY_BYTES = 1 << 20
DAYS_KEPT = 400
AWAY_SECONDS = 5  # how long a Redis that is away is left alone

# KEYS: entry, index (entry → end of its life), sizes, total. ARGV: entry's name, value, size, milliseconds, end, now,
# share, prefix of entries. Drops what has ended, then what ends soonest, until the new entry fits.
_PUT = """
local function drop(name)
  local size = tonumber(redis.call('HGET', KEYS[3], name) or 0)
  redis.call('DEL', ARGV[8] .. name)
  redis.call('ZREM', KEYS[2], name)
  redis.call('HDEL', KEYS[3], name)
  return redis.call('DECRBY', KEYS[4], size)
end
drop(ARGV[1])
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[6], 'LIMIT', 0, 100)) do drop(name) end
local total = tonumber(redis.call('GET', KEYS[4]) or 0)
while total + tonumber(ARGV[3]) > tonumber(ARGV[7]) do
  local first = redis.call('ZRANGE', KEYS[2], 0, 0)
  if #first == 0 then break end
  total = drop(first[1])
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[5], ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
redis.call('INCRBY', KEYS[4], ARGV[3])
return 1
"""

_log = logging.getLogger(__name__)


class Cached(msgspec.Struct):
    """One kept answer."""

    response: bytes  # JSON, as it came
    tokens: int
    cost_nanos: int | None  # None: no price is known
    cached_at: str


@dataclass(frozen=True, slots=True)
class CacheDay:
    day: date
    hits: int
    misses: int
    stored: int
    saved_nanos: int


class ResponseCache:
    """Kept answers by organization. Opens no connection before the first use."""

    def __init__(self, url: str, *, share: int = SHARE_BYTES) -> None:
        self._url, self._share = url, share
        self._lock = threading.Lock()
        self._redis: Redis | None = None
        self._away_until = 0.0

    def find(self, organization_id: int, name: str, today: date) -> Cached | None:
        """A kept answer, counted as a hit or a miss. None: none, or Redis is away."""
        if time.monotonic() < self._away_until:
            return None
        try:
            redis = self._open()
            kept: Any = redis.get(_entry(organization_id, name))
            found = msgspec.msgpack.decode(kept, type=Cached) if kept is not None else None
            with redis.pipeline(transaction=False) as counts:
                day = _day(organization_id, today)
                counts.hincrby(day, "misses" if found is None else "hits", 1)
                if found is not None and found.cost_nanos:
                    counts.hincrby(day, "saved", found.cost_nanos)
                counts.expire(day, DAYS_KEPT * 86_400)
                counts.execute()
        except (RedisError, msgspec.DecodeError) as error:
            self._is_away(error)
            return None
        self._away_until = 0.0
        return found

    def keep(self, organization_id: int, name: str, entry: Cached, seconds: int, today: date) -> bool:
        """Keeps an answer for that long. False: it is too large, or Redis is away."""
        value = msgspec.msgpack.encode(entry)
        if len(value) > min(ENTRY_BYTES, self._share) or time.monotonic() < self._away_until:
            return False
        now = int(time.time() * 1000)
        root = _root(organization_id)
        keys = (_entry(organization_id, name), f"{root}:ends", f"{root}:sizes", f"{root}:bytes")
        life = seconds * 1000
        try:
            redis = self._open()
            given = (name, value, len(value), life, now + life, now, self._share, f"{root}:entry:")
            redis.eval(_PUT, len(keys), *keys, *given)
            redis.hincrby(_day(organization_id, today), "stored", 1)
        except RedisError as error:
            self._is_away(error)
            return False
        self._away_until = 0.0
        return True

    def clear(self, organization_id: int) -> None:
        """Forgets every kept answer of an organization. Raises Unavailable."""
        root = _root(organization_id)
        try:
            redis = self._open()
            for key in redis.scan_iter(match=f"{root}:entry:*", count=500):
                redis.unlink(key)
            redis.delete(f"{root}:ends", f"{root}:sizes", f"{root}:bytes")
        except RedisError as error:
            raise Unavailable("The cache is away; try again in a moment", retry_after=5) from error

    def days(self, organization_id: int, days: Sequence[date]) -> list[CacheDay]:
        """Counts of these days. Raises Unavailable."""
        try:
            with self._open().pipeline(transaction=False) as asked:
                for day in days:
                    asked.hgetall(_day(organization_id, day))
                rows = asked.execute()
        except RedisError as error:
            raise Unavailable("The cache is away; try again in a moment", retry_after=5) from error
        names = (b"hits", b"misses", b"stored", b"saved")
        return [CacheDay(day, *(int(row.get(name, 0)) for name in names)) for day, row in zip(days, rows, strict=True)]

    def _is_away(self, error: Exception) -> None:
        if not self._away_until:
            _log.warning("Redis away, nothing is cached: %s", error)
        self._away_until = time.monotonic() + AWAY_SECONDS

    def _open(self) -> Redis:
        with self._lock:
            if self._redis is None:
                self._redis = Redis.from_url(self._url, socket_timeout=1, socket_connect_timeout=1)
            return self._redis


def _root(organization_id: int) -> str:
    return f"costlens:cache:{organization_id}"


def _entry(organization_id: int, name: str) -> str:
    return f"{_root(organization_id)}:entry:{name}"


def _day(organization_id: int, day: date) -> str:
    return f"{_root(organization_id)}:day:{day.isoformat()}"
