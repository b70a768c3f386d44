"""How often a worker interrupts what it executes, and that it says meanwhile that it lives."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import pytest
from dagster import DagsterInstance

from kamu_assets.orchestration.workers import worker
from kamu_assets.orchestration.workers.execution import RunExecutor
from kamu_assets.orchestration.workers.telling import Telling
from kamu_assets.orchestration.workers.warm_queue import WarmQueue
from kamu_assets.orchestration.workers.worker import WarmWorker


class EveryRunIsCancelled:
    """A queue, as far as cancellations need it."""

    def __init__(self) -> None:
        self.beats = 0
        self.looked = 0
        self.taps: Iterator[bool] = iter(())
        self.on_silence: Callable[[], object] = list

    def cancels(self, _worker: str) -> Sequence[str]:
        self.looked += 1
        return ["first", "second"]

    def beat(self, _worker: str) -> None:
        self.beats += 1

    @contextmanager
    def listen(self, _topic: str) -> Iterator[EveryRunIsCancelled]:
        yield self

    def wait(self, _seconds: float) -> bool:
        tapped = next(self.taps, None)
        if tapped is None:
            self.on_silence()
        return bool(tapped)


def a_worker(queue: EveryRunIsCancelled) -> WarmWorker:
    return WarmWorker(
        instance=cast("DagsterInstance", None),
        queue=cast("WarmQueue", queue),
        runs=cast("RunExecutor", None),
        telling=Telling(queue=cast("WarmQueue", None), runs=cast("RunExecutor", None), recall=list),
        max_runs=1,
    )


def test_a_run_that_ends_already_is_not_interrupted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _pid, number: sent.append(number))
    warm = a_worker(EveryRunIsCancelled())

    for current in ("first", "first", None, "second"):
        warm._current = current
        warm._cancel_current()

    assert sent == [signal.SIGINT] * 2
    monkeypatch.setattr(worker, "PATIENCE_SECONDS", 0)
    warm._cancel_current()
    assert len(sent) == 3


@pytest.mark.parametrize("tapped", [True, False])
def test_a_worker_beats_and_looks_whether_it_is_tapped_or_not(tapped: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a parameter of the test
    monkeypatch.setattr(worker, "HEARTBEAT_SECONDS", 0)
    queue = EveryRunIsCancelled()
    warm = a_worker(queue)
    queue.taps, queue.on_silence = iter([tapped] * 3), warm._stop.set

    warm._beat()

    assert (queue.beats, queue.looked) == (4, 4)
