"""A warm worker: one long-lived process that executes one run after another."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import structlog
from dagster import DagsterInstance
from dagster._utils.interrupts import capture_interrupts

from kamu_assets.orchestration.failures import is_outage_error
from kamu_assets.orchestration.workers.execution import RunExecutor
from kamu_assets.orchestration.workers.liveness import HEARTBEAT_SECONDS, own_identity
from kamu_assets.orchestration.workers.telling import Telling
from kamu_assets.orchestration.workers.warm_queue import CANCELS_TOPIC, RUNS_TOPIC, WarmQueue
from kamu_assets.orchestration.workers.warm_up import warm_up

log = structlog.get_logger(__name__)

# Looks by itself this often, should a wake-up be lost.
IDLE_SECONDS = 5.0
# While the database is away.
FAILED_SECONDS = 1.0
# For a run to end that was interrupted, before it is interrupted once more.
PATIENCE_SECONDS = 15.0
# For receivers that are being told when the worker leaves, and then to note that others are to be told again.
LEAVING_SECONDS = 3.0
MAX_MEMORY_BYTES = 1 << 30
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class WarmWorker:
    """Claims runs and executes them until told to stop, or until it is due for replacement."""

    def __init__(
        self,
        *,
        instance: DagsterInstance,
        queue: WarmQueue,
        runs: RunExecutor,
        telling: Telling,
        max_runs: int,
        max_memory: int = MAX_MEMORY_BYTES,
    ) -> None:
        self._instance = instance
        self._queue = queue
        self._runs = runs
        self._telling = telling
        self._max_runs = max_runs
        self._max_memory = max_memory
        self._identity = own_identity()
        self._stop = threading.Event()
        self._signals = _Signals()
        self._current: str | None = None
        # The run that was interrupted last, and when.
        self._interrupted: tuple[str | None, float] = (None, 0.0)
        # Whether the database went away before it said what became of a claim, or of the end of a run.
        self._uncertain = False
        # Held while the current run changes, so that a cancellation never hits the next run.
        self._switching = threading.Lock()

    def main(self) -> None:
        """Work until SIGTERM; must be called from the main thread."""
        self._signals.record()
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        warm_up(self._instance)
        beating = threading.Thread(target=self._beat, name="warm-worker-heartbeat", daemon=True)
        with self._queue.listen(RUNS_TOPIC) as listener:
            self._queue.beat(self._identity)
            beating.start()
            threading.Thread(target=self._telling.follow, args=(self._identity,), name="telling", daemon=True).start()
            # What queued up while no worker was there.
            self._drain()
            while not self._is_due():
                listener.wait(FAILED_SECONDS if self._uncertain else IDLE_SECONDS)
                self._drain()
        self._telling.leave(LEAVING_SECONDS)
        self._stop.set()
        self._queue.leave(self._identity)

    def _on_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stop.set()
        self._queue.wake()

    def _is_due(self) -> bool:
        return self._stop.is_set() or self._max_runs <= 0 or resident_bytes() > self._max_memory

    def _drain(self) -> None:
        """Execute what waits; a database that is away ends this, and the next look finds out what it still has."""
        try:
            while not self._is_due() and (run_id := self._next()):
                self._max_runs -= 1
                self._execute(run_id)
        except Exception as error:
            if not is_outage_error(error):
                raise
            log.warning("worker_waits", reason=str(error).partition("\n")[0])
            self._uncertain = True

    def _next(self) -> str | None:
        held = self._queue.held(self._identity) if self._uncertain else ()
        self._uncertain = False
        return next(iter(held), None) or self._queue.claim(self._identity)

    def _execute(self, run_id: str) -> None:
        with self._claimed(run_id):
            self._runs.execute(run_id, worker=self._identity)

    @contextmanager
    def _claimed(self, run_id: str) -> Iterator[None]:
        try:
            with capture_interrupts():
                with self._switching:
                    self._current = run_id
                try:
                    yield
                finally:
                    with self._switching:
                        self._current = None
                # Only where somebody was told what became of it: else it is still ours, and is looked at again.
                self._queue.done(run_id)
        finally:
            if self._signals.terminated():
                self._stop.set()

    def _beat(self) -> None:
        """Tell that we live and hear of cancellations, on a thread of its own."""
        beaten = time.monotonic()
        with self._queue.listen(CANCELS_TOPIC) as listener:
            while not self._stop.is_set():
                try:
                    # Whether tapped or not: taps come at any time, and some are lost.
                    listener.wait(HEARTBEAT_SECONDS)
                    if time.monotonic() - beaten >= HEARTBEAT_SECONDS:
                        self._queue.beat(self._identity)
                        beaten = time.monotonic()
                    self._cancel_current()
                except Exception:
                    log.exception("worker_heartbeat_failed")
                    self._stop.wait(1)

    def _cancel_current(self) -> None:
        wanted = self._queue.cancels(self._identity)
        self._telling.cancel(wanted)
        with self._switching:
            if self._current in wanted and not self._is_ending():
                self._interrupted = (self._current, time.monotonic())
                os.kill(os.getpid(), signal.SIGINT)

    def _is_ending(self) -> bool:
        """Whether the run was interrupted already: what it does about that should not be interrupted as well."""
        run_id, at = self._interrupted
        return run_id == self._current and time.monotonic() - at < PATIENCE_SECONDS


class _Signals:
    """Remembers SIGTERM while Dagster has its own handlers installed and may swallow it."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def record(self) -> None:
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def terminated(self) -> bool:
        """Whether SIGTERM came since the last time."""
        try:
            return signal.SIGTERM in os.read(self._read, 4096)
        except BlockingIOError:
            return False


def resident_bytes() -> int:
    """Memory of this process (proc_pid_statm(5))."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
