"""Group commit: requests that come while a transaction runs share the next one, and the disk is waited for once.

The first request leads: it takes the writer, closes the open group, records everyone's work in one transaction, wakes
the first of those who came meanwhile to lead the next group, and then its followers, each of whom wakes the next. No
timer and no thread of its own: a request that comes alone is recorded at once.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from itertools import pairwise
from typing import Generic, TypeVar

from costlens.domain.errors import Unavailable
from costlens.store.engine import Store, Tx

GROUP_WEIGHT = 4_000  # a group takes requests up to this, so that no transaction holds the writer for long
WAITING_WEIGHT = 20_000  # beyond this the answer is 503, before memory grows

Work = TypeVar("Work")
Answer = TypeVar("Answer")


class _Turn(Enum):
    WAIT = "wait"
    LEAD = "lead"  # the group before is done, this one is first in line
    DONE = "done"  # stored: the answer is there
    ALONE = "alone"  # the group failed: try without the neighbours
    REFUSED = "refused"  # the store was busy or away


class _Place(Generic[Work, Answer]):
    """One request in line."""

    def __init__(self, work: Work, weight: int) -> None:
        self.work, self.weight = work, weight
        self.turn = _Turn.WAIT
        self.answers: tuple[Answer, ...] = ()  # one, once it is stored
        self.refusal: Unavailable | None = None
        # Whom to wake next, and as what. Not all at once: threads that wait for the interpreter wake up every 5 ms to
        # ask for it, each time for nothing while others have it.
        self.next: tuple[_Place[Work, Answer], _Turn] | None = None
        self._asleep = threading.Lock()  # taken until it is woken; cheaper than an Event
        self._asleep.acquire()

    def wait(self) -> None:
        self._asleep.acquire()
        if self.next is not None:
            follower, turn = self.next
            follower.wake(turn)

    def wake(self, turn: _Turn) -> None:
        self.turn = turn
        self._asleep.release()


class GroupCommit(Generic[Work, Answer]):
    """The line of one process for one store.

    `record` does the work of several requests in one transaction and answers each, in order. It may be called again
    with the same work after a roll-back.
    """

    def __init__(
        self,
        record: Callable[[Tx, Sequence[Work]], Sequence[Answer]],
        *,
        group_weight: int = GROUP_WEIGHT,
        waiting_weight: int = WAITING_WEIGHT,
    ) -> None:
        self._record = record
        self._group_weight, self._waiting_weight = group_weight, waiting_weight
        self._lock = threading.Lock()  # guards the three below; never held while the database is asked
        self._line: deque[_Place[Work, Answer]] = deque()
        self._waiting = 0  # weight of the line
        self._led = False
        self._idle = threading.Event()
        self._idle.set()
        self._entrance = threading.Lock()  # held by the one that enters

    def give_way(self, seconds: float = 1.0) -> None:
        """Waits while a group is recorded.

        All threads share one interpreter: whoever starts work of its own now slows the one that has the database's
        writer, for which other processes wait.
        """
        self._idle.wait(seconds)

    @contextmanager
    def entering(self) -> Iterator[None]:
        """Around the short work of a request before `submit`: gives way, and lets one in after the other.

        Threads that wait for each other's lock sleep; threads that wait for the interpreter wake up every 5 ms to ask
        for it. Both waits together take a second at most.
        """
        deadline = time.monotonic() + 1.0
        entered = self._entrance.acquire(timeout=1.0)
        try:
            self.give_way(max(0.0, deadline - time.monotonic()))
            yield
        finally:
            if entered:
                self._entrance.release()

    def submit(self, store: Store, work: Work, weight: int = 1) -> Answer:
        """The answer to this work, after the commit. Raises what `record` raises for it alone, or Unavailable."""
        place: _Place[Work, Answer] = _Place(work, weight)
        with self._lock:
            if self._line and self._waiting + weight > self._waiting_weight:
                raise Unavailable("Too much is waiting to be stored; nothing was stored, send it again", retry_after=1)
            self._line.append(place)
            self._waiting += weight
            leads, self._led = not self._led, True
        if not leads:
            place.wait()
        if leads or place.turn is _Turn.LEAD:
            self._lead(store, place)
        if place.turn is _Turn.ALONE:
            return store.transact(lambda tx: self._record(tx, (work,)))[0]
        if place.refusal is not None:
            # A new one: an exception raised in several threads gathers the tracebacks of all.
            raise Unavailable(place.refusal.message, retry_after=place.refusal.retry_after) from place.refusal
        return place.answers[0]

    def _lead(self, store: Store, first: _Place[Work, Answer]) -> None:
        group: list[_Place[Work, Answer]] = []
        turn = _Turn.ALONE

        def work(tx: Tx) -> Sequence[Answer]:
            # Closed as late as possible: whoever came while this waited for the writer is still taken along.
            if not group:
                group.extend(self._close())
            self._idle.clear()
            try:
                return self._record(tx, [place.work for place in group])
            finally:
                self._idle.set()

        try:
            answers = store.transact(work)
            for place, answer in zip(group, answers, strict=True):
                place.answers = (answer,)
            turn = _Turn.DONE
        except Unavailable as error:
            if not group:
                group.extend(self._close())
            for place in group:
                place.refusal = error
            turn = _Turn.REFUSED
        except Exception:
            # One of the group may be the reason: each tries alone, and only that one fails. Alone, it fails at once.
            if len(group) == 1:
                raise
        finally:
            if not group:
                group.extend(self._close())
            self._pass_on()
            first.turn = turn
            followers = [place for place in group if place is not first]
            for place, following in pairwise(followers):
                place.next = following, turn
            if followers:
                followers[0].wake(turn)

    def _close(self) -> list[_Place[Work, Answer]]:
        """Takes the next group out of the line: the first request in any case, others up to the weight."""
        with self._lock:
            group = [self._line.popleft()]
            weight = group[0].weight
            while self._line and weight + self._line[0].weight <= self._group_weight:
                group.append(self._line.popleft())
                weight += group[-1].weight
            self._waiting -= weight
            return group

    def _pass_on(self) -> None:
        with self._lock:
            if self._line:
                self._line[0].wake(_Turn.LEAD)
            else:
                self._led = False
