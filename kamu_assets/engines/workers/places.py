"""Who may run now, so that long jobs do not keep short ones waiting, nor one owner of many jobs all others.

Whoever comes takes one of `size` places. With `patience`, a job that has run longer leaves its place to a newcomer: it
moves to one of as many slow places, at low priority, or, when those are taken, ends and starts again there later.
A free place goes to the owner with the fewest jobs, of those to the one who waits longest; one owner may fill half of
the queue.
"""

import contextlib
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kamu_assets.engines.workers.limits import JobCancelledError, PoolBusyError, PoolClosedError
from kamu_assets.monitoring import metrics

WAIT_SECONDS: Final = 60.0
_WATCH_SECONDS: Final = 0.1
_LOW_PRIORITY: Final = 10


class JobEvictedError(Exception):
    """The job has to make room and start again in a slow place."""


@dataclass(eq=False)
class Place:
    """Where one job runs."""

    is_slow: bool = False
    is_evicted: bool = False
    since: float = field(default_factory=time.monotonic)
    # The process of the job, once it has one.
    pid: int | None = None
    owner: str | None = None


@dataclass(frozen=True, eq=False)
class _Waiter:
    owner: str | None
    is_slow: bool


class Places:
    """Safe to use from any number of threads."""

    def __init__(self, name: str, size: int, *, max_waiting: int, patience: float | None) -> None:
        self._name = name
        self._size = size
        self._max_waiting = max_waiting
        self._patience = patience
        self._changed = threading.Condition()
        self._taken: set[Place] = set()
        # Those that wait, and for a moment whoever comes.
        self._queue: list[_Waiter] = []
        self._waiting = 0
        self._closed = False

    def take(self, cancel: threading.Event | None, *, slow: bool = False, owner: str | None = None) -> Place:
        """Wait for a place; PoolBusyError when that takes too long or too many wait."""
        with self._changed:
            waiter = _Waiter(owner, slow)
            self._queue.append(waiter)
            try:
                if not self._may_go(waiter):
                    self._wait(waiter, cancel)
            finally:
                self._queue.remove(waiter)
            if self._closed:
                raise PoolClosedError(self._name)
            place = Place(is_slow=slow, owner=owner)
            self._taken.add(place)
            metrics.JOBS_RUNNING.add(self._name)
            return place

    def give_back(self, place: Place) -> None:
        with self._changed:
            self._taken.discard(place)
            metrics.JOBS_RUNNING.add(self._name, by=-1)
            self._changed.notify_all()

    @property
    def is_refusing(self) -> bool:
        """Whether whoever comes is sent away."""
        return self._waiting >= self._max_waiting

    def close(self) -> None:
        """Refuse whoever waits and whoever comes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _wait(self, waiter: _Waiter, cancel: threading.Event | None) -> None:
        self._refuse_crowd(waiter)
        deadline = time.monotonic() + WAIT_SECONDS
        self._waiting += 1
        metrics.JOBS_WAITING.add(self._name)
        try:
            while not self._may_go(waiter) and not self._closed:
                if cancel is not None and cancel.is_set():
                    raise JobCancelledError(self._name)
                left = deadline - time.monotonic()
                if left <= 0:
                    raise PoolBusyError(self._name, self._waiting - 1)
                watched = cancel is not None or self._patience is not None
                self._changed.wait(min(left, _WATCH_SECONDS) if watched else left)
        finally:
            self._waiting -= 1
            metrics.JOBS_WAITING.add(self._name, by=-1)
            # Whoever comes next may be the first now.
            self._changed.notify_all()

    def _refuse_crowd(self, waiter: _Waiter) -> None:
        own = sum(each.owner == waiter.owner for each in self._queue if each is not waiter)
        if self.is_refusing:
            raise PoolBusyError(self._name, self._waiting)
        if waiter.owner is not None and own >= self._max_waiting / 2:
            raise PoolBusyError(self._name, own)

    def _may_go(self, waiter: _Waiter) -> bool:
        """Whether a place is free, and nobody comes before."""
        if self._is_full(slow=waiter.is_slow):
            return False
        rivals = [each for each in self._queue if each.is_slow is waiter.is_slow]
        return min(rivals, key=lambda each: self._jobs(each.owner)) is waiter

    def _jobs(self, owner: str | None) -> int:
        return sum(place.owner == owner for place in self._taken)

    def _is_full(self, *, slow: bool) -> bool:
        if not slow:
            self._make_room()
        return self._count(slow=slow) >= self._size

    def _count(self, *, slow: bool) -> int:
        return sum(place.is_slow is slow for place in self._taken)

    def _make_room(self) -> None:
        """Let the job that overstays longest leave, one at a time."""
        fast = [place for place in self._taken if not place.is_slow]
        if self._patience is None or len(fast) < self._size or any(place.is_evicted for place in fast):
            return
        longest = min(fast, key=lambda place: place.since)
        if longest.since > time.monotonic() - self._patience:
            return
        if self._count(slow=True) < self._size:
            longest.is_slow = True
            _step_back(longest.pid)
        else:
            longest.is_evicted = True


def _step_back(pid: int | None) -> None:
    """Lower the priority of every thread of a process: Linux has one for each."""
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(task.name), _LOW_PRIORITY)
