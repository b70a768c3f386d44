"""Runs that tell receivers, beside each other."""

from __future__ import annotations

import threading
from typing import cast

from kamu_assets.orchestration.workers.telling import Telling
from kamu_assets.orchestration.workers.warm_queue import WarmQueue


class OneAfterTheOther:
    """A queue, as far as telling needs it; whoever is tapped looks at once, in the same thread."""

    def __init__(self, *runs: str) -> None:
        self._waiting = list(runs)
        self.telling: Telling | None = None

    def has_receivers(self) -> bool:
        return bool(self._waiting)

    def claim(self, _worker: str, *, telling: bool) -> str | None:
        assert telling
        try:
            return self._waiting.pop(0)
        except IndexError:
            return None

    def done(self, _run_id: str) -> None:
        self.wake()

    def wake(self) -> None:
        if self.telling is not None:
            self.telling.claim("worker")


class Executes:
    """Tells which runs it has had; none ends before it may."""

    def __init__(self, runs: int) -> None:
        self.seen: list[str] = []
        self.may_end = threading.Event()
        self._left = threading.Semaphore(0)
        self._runs = runs

    def execute(self, run_id: str, *, worker: str) -> None:
        assert worker == "worker"
        assert self.may_end.wait(20)
        self.seen.append(run_id)
        self._left.release()

    def all_came(self) -> bool:
        return all(self._left.acquire(timeout=20) for _ in range(self._runs))


def test_whoever_waited_for_a_place_begins_as_soon_as_there_is_one() -> None:
    queue, runs = OneAfterTheOther("first", "second", "third"), Executes(3)
    telling = Telling(queue=cast("WarmQueue", queue), runs=runs, recall=list, places=1)
    queue.telling = telling

    assert telling.claim("worker") == 1
    runs.may_end.set()

    assert runs.all_came()
    assert sorted(runs.seen) == ["first", "second", "third"]
    assert telling.wait_until_idle(20)


def test_whoever_leaves_has_late_ones_wait_no_longer() -> None:
    queue, runs = OneAfterTheOther("late"), Executes(1)
    recalled: list[str] = []

    def recall(run_id: str) -> None:
        recalled.append(run_id)
        runs.may_end.set()

    telling = Telling(queue=cast("WarmQueue", queue), runs=runs, recall=recall)
    telling.claim("worker")

    assert telling.leave(0.05) or telling.wait_until_idle(20)
    assert (recalled, runs.seen) == (["late"], ["late"])
    queue.wake()
    assert runs.seen == ["late"]
