"""A warm worker: one long-lived process that executes one run after another, for its own datasets only."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import structlog
from dagster import DagsterEvent, DagsterInstance, DagsterRun, DagsterRunStatus, JobDefinition
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.events import DagsterEventType, RunFailureReason
from dagster._core.execution.api import execute_run_iterator
from dagster._utils.interrupts import capture_interrupts

from kamu_assets.errors import KamuError
from kamu_assets.flows.model import FlowOutcome, OutcomeKind
from kamu_assets.flows.service import FlowService
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.catalog import Catalog
from kamu_assets.orchestration.catalog_state import CatalogRow
from kamu_assets.orchestration.liveness import HEARTBEAT_SECONDS, own_identity
from kamu_assets.orchestration.names import TAG_FLOW, TAG_LOST
from kamu_assets.orchestration.run_log import RunLog
from kamu_assets.orchestration.scoped import DefinitionsBuilder, ScopedJobs
from kamu_assets.orchestration.warm_queue import CANCELS_TOPIC, RUNS_TOPIC, WarmQueue
from kamu_assets.orchestration.warm_up import warm_up

log = structlog.get_logger(__name__)

# Looks by itself this often, should a wake-up be lost.
IDLE_SECONDS = 5.0
MAX_MEMORY_BYTES = 1 << 30
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass
class _Seen:
    """What a run's events told."""

    log: RunLog
    materialized: bool = False
    interrupted: bool = False

    def note(self, event: DagsterEvent) -> None:
        self.log.note(event)
        if event.event_type is DagsterEventType.ASSET_MATERIALIZATION:
            self.materialized = True
        if event.event_type is DagsterEventType.RUN_FAILURE and event.event_specific_data is not None:
            self.interrupted = event.job_failure_data.failure_reason is RunFailureReason.UNEXPECTED_TERMINATION


class WarmWorker:
    """Claims runs and executes them until told to stop, or until it is due for replacement."""

    def __init__(
        self,
        *,
        instance: DagsterInstance,
        queue: WarmQueue,
        catalog: Catalog,
        builder: DefinitionsBuilder,
        flows: FlowService,
        max_runs: int,
        max_memory: int = MAX_MEMORY_BYTES,
    ) -> None:
        self._instance = instance
        self._queue = queue
        self._catalog = catalog
        self._builder = builder
        self._jobs = ScopedJobs(builder)
        self._flows = flows
        self._max_runs = max_runs
        self._max_memory = max_memory
        self._identity = own_identity()
        self._stop = threading.Event()
        self._signals = _Signals()
        self._current: str | None = None
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
            # What queued up while no worker was there.
            self._drain()
            while not self._is_due():
                listener.wait(IDLE_SECONDS)
                self._drain()
        self._stop.set()
        self._queue.leave(self._identity)

    def _on_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stop.set()
        self._queue.wake()

    def _is_due(self) -> bool:
        return self._stop.is_set() or self._max_runs <= 0 or resident_bytes() > self._max_memory

    def _drain(self) -> None:
        while not self._is_due() and (run_id := self._queue.claim(self._identity)):
            self._max_runs -= 1
            self._execute(run_id)

    def _execute(self, run_id: str) -> None:
        with self._claimed(run_id):
            run = self._instance.get_run_by_id(run_id)
            if run is None or run.is_finished:
                return
            if run.status is DagsterRunStatus.CANCELING:
                # Asked for between our claim and now, before an interrupt could reach it.
                self._instance.report_run_canceled(run)
                self._flows.run_finished(run_id, FlowOutcome(OutcomeKind.ABORTED))
                return
            try:
                self._run(run)
            except KamuError as error:
                # It could not even begin: its dataset is gone, say.
                self._give_up(run, str(error))
            except Exception as error:
                log.exception("run_not_started", run=run_id)
                self._give_up(run, str(error) or type(error).__name__)

    @contextmanager
    def _claimed(self, run_id: str) -> Iterator[None]:
        with capture_interrupts():
            with self._switching:
                self._current = run_id
            try:
                yield
            finally:
                with self._switching:
                    self._current = None
                self._queue.done(run_id)
        if self._signals.terminated():
            self._stop.set()

    def _run(self, run: DagsterRun) -> None:
        rows = self._catalog.named(run.asset_selection or ())
        datasets = [row.id for row in rows]
        for dataset in datasets:
            self._flows.run_started(run.tags.get(TAG_FLOW), run.run_id, dataset)
        self._instance.report_engine_event(f"Picked up by warm worker {self._identity}", run)
        seen = _Seen(RunLog(run))
        for event in execute_run_iterator(InMemoryJob(self._job(run, rows)), seen.log.quiet_run(), self._instance):
            seen.note(event)
        self._settle(run, seen, datasets)

    def _job(self, run: DagsterRun, rows: Sequence[CatalogRow]) -> JobDefinition:
        if rows:
            # Dagster's UI asks for the checks with every materialization. Ours read all of a dataset: they run alone.
            return self._jobs.of(rows).job
        checked = self._catalog.named({key.asset_key for key in run.asset_check_selection or ()})
        return self._jobs.of(checked, verify=True).job if checked else self._builder.job(run.job_name)

    def _settle(self, run: DagsterRun, seen: _Seen, datasets: Sequence[DatasetID]) -> None:
        if seen.interrupted:
            # The node is stopping; the flow goes on with another attempt when it starts again.
            self._instance.add_run_tags(run.run_id, {TAG_LOST: "true"})
            return
        outcome = _outcome(self._final_status(run), seen)
        self._flows.run_finished(run.run_id, outcome, datasets=datasets)
        seen.log.tell(outcome)

    def _final_status(self, run: DagsterRun) -> DagsterRunStatus:
        ended = self._instance.get_run_by_id(run.run_id)
        if ended is None:
            return DagsterRunStatus.FAILURE
        if ended.status is not DagsterRunStatus.CANCELING:
            return ended.status
        # The request to cancel came after the last step: nothing of ours can be interrupted any more.
        self._instance.report_run_canceled(ended)
        return DagsterRunStatus.CANCELED

    def _give_up(self, run: DagsterRun, message: str) -> None:
        self._instance.report_run_failed(run, message)
        self._flows.run_finished(run.run_id, FlowOutcome(OutcomeKind.FAILED, message))

    def _beat(self) -> None:
        """Tell that we live and hear of cancellations, on a thread of its own."""
        with self._queue.listen(CANCELS_TOPIC) as listener:
            while not self._stop.is_set():
                try:
                    if listener.wait(HEARTBEAT_SECONDS):
                        self._cancel_current()
                    else:
                        self._queue.beat(self._identity)
                except Exception:
                    log.exception("worker_heartbeat_failed")
                    self._stop.wait(1)

    def _cancel_current(self) -> None:
        wanted = self._queue.cancels(self._identity)
        with self._switching:
            if self._current in wanted:
                os.kill(os.getpid(), signal.SIGINT)


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


def _outcome(status: DagsterRunStatus, seen: _Seen) -> FlowOutcome:
    match status:
        case DagsterRunStatus.SUCCESS:
            return FlowOutcome(OutcomeKind.SUCCESS if seen.materialized else OutcomeKind.UP_TO_DATE)
        case DagsterRunStatus.CANCELED:
            return FlowOutcome(OutcomeKind.ABORTED)
        case _:
            return FlowOutcome(OutcomeKind.FAILED, seen.log.failure)


def resident_bytes() -> int:
    """Memory of this process (proc_pid_statm(5))."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
