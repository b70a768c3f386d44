"""Beside the run that a worker computes: runs that tell receivers, and wait for them most of the time.

Each has a thread, so that a receiver which takes its time holds up neither a worker nor other receivers.
"""

import threading
import time
from collections.abc import Callable, Collection
from typing import Protocol

import structlog

from kamu_assets.orchestration.failures import is_outage_error
from kamu_assets.orchestration.workers.warm_queue import RUNS_TOPIC, TELLING_PER_WORKER, WarmQueue

log = structlog.get_logger(__name__)

# Looks by itself this often, should a wake-up be lost.
IDLE_SECONDS = 5.0
FAILED_SECONDS = 1.0


class Executes(Protocol):
    """Executes runs, several at the same time."""

    def execute(self, run_id: str, *, worker: str) -> None: ...


class Telling:
    """Claims such runs from a thread of its own; `recall` has one of them, by its id, wait no longer."""

    def __init__(
        self,
        *,
        queue: WarmQueue,
        runs: Executes,
        recall: Callable[[str], object],
        places: int = TELLING_PER_WORKER,
    ) -> None:
        self._queue = queue
        self._runs = runs
        self._recall = recall
        self._places = places
        self._changed = threading.Condition()
        self._current: set[str] = set()
        self._over = threading.Event()
        # Whether the database went away before it said what became of a claim, or of the end of a run.
        self._uncertain = False

    def follow(self, worker: str) -> None:
        """Until `leave`: on a thread of its own."""
        with self._queue.listen(RUNS_TOPIC) as listener:
            while not self._over.is_set():
                try:
                    self.claim(worker)
                except Exception as error:
                    self._uncertain = True
                    if is_outage_error(error):
                        log.warning("worker_waits", reason=str(error).partition("\n")[0])
                    else:
                        log.exception("telling_failed")
                    self._over.wait(FAILED_SECONDS)
                listener.wait(IDLE_SECONDS)

    def claim(self, worker: str) -> int:
        """Begin what waits, as far as there are places; tells how many runs."""
        begun = 0
        if self._uncertain:
            for run_id in self._queue.held(worker, telling=True):
                begun += self._begin(run_id, worker)
            self._uncertain = False
        while not self._over.is_set() and len(self._current) < self._places and self._queue.has_receivers():
            claimed = self._queue.claim(worker, telling=True)
            if claimed is None:
                break
            begun += self._begin(claimed, worker)
        return begun

    def cancel(self, runs: Collection[str]) -> None:
        """Have those of the runs that are at work here wait no longer."""
        with self._changed:
            mine = self._current.intersection(runs)
        for run_id in mine:
            self._recall(run_id)

    def leave(self, seconds: float) -> bool:
        """Begin none any more; who is still at work after so long waits no longer. Tells whether all have ended."""
        self._over.set()
        if self.wait_until_idle(seconds):
            return True
        with self._changed:
            late = {*self._current}
        self.cancel(late)
        return self.wait_until_idle(seconds)

    def wait_until_idle(self, seconds: float) -> bool:
        """Whether all that was begun has ended, waiting for that so long."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._current, seconds)

    def _begin(self, run_id: str, worker: str) -> bool:
        with self._changed:
            if run_id in self._current:
                return False
            self._current.add(run_id)
        # It may be left behind when the process ends: its flow is tried again, as those of all dead workers.
        threading.Thread(target=self._execute, args=(run_id, worker), name="telling", daemon=True).start()
        return True

    def _execute(self, run_id: str, worker: str) -> None:
        began = time.monotonic()
        try:
            self._runs.execute(run_id, worker=worker)
            self._queue.done(run_id)
        except Exception as error:
            self._uncertain = True
            if not is_outage_error(error):
                log.exception("telling_failed", run=run_id, seconds=time.monotonic() - began)
        finally:
            with self._changed:
                was_full = len(self._current) >= self._places
                self._current.discard(run_id)
                self._changed.notify_all()
            if was_full:
                # Whoever was tapped when it was done found no place yet.
                self._queue.wake()
