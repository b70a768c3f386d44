"""Finds what dead processes left: runs whose worker is gone or hangs, runs that were launched but never queued."""

from collections.abc import Callable
from functools import partial

import structlog
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from kamu_assets.clock import Clock
from kamu_assets.database.silence import Silence
from kamu_assets.odf.timestamp import NANOS_PER_SECOND
from kamu_assets.orchestration.failures import is_outage_error
from kamu_assets.orchestration.names import TAG_LOST, TAG_STOPPED
from kamu_assets.orchestration.workers.ending import end_canceled
from kamu_assets.orchestration.workers.launcher import HybridRunLauncher
from kamu_assets.orchestration.workers.liveness import end
from kamu_assets.orchestration.workers.warm_queue import WarmQueue

log = structlog.get_logger(__name__)

# Between a run's STARTING event and its row in the queue lie milliseconds.
STRANDED_SECONDS = 10


class Reaper:
    """Run by the scheduler process, at its start and then every few seconds."""

    def __init__(
        self, *, instance: DagsterInstance, queue: WarmQueue, clock: Clock, silence: Silence | None = None
    ) -> None:
        self._instance = instance
        self._queue = queue
        self._clock = clock
        self._silence = silence or Silence()
        # Why workers had to be ended.
        self._reasons: dict[str, str] = {}

    def end_silent(self) -> int:
        """Kill workers of this machine that live and say nothing, before others take their runs; tells how many."""
        killed = [worker for worker in self._silence.heard(self._queue.heartbeats()) if end(worker)]
        for worker in killed:
            log.error("worker_hangs", worker=worker, silent_seconds=self._silence.seconds)
            self._reasons[worker] = f"it gave no sign of life for {self._silence.seconds:g} s and was ended"
        return len(killed)

    def bury_lost(self) -> int:
        """Fail the runs of dead workers, marked so that their flows try again; tells how many."""
        lost = self._queue.lost()
        for run_id, worker in lost:
            log.warning("worker_lost", run=run_id, worker=worker)
            self._for_itself(partial(self._bury, run_id, worker), run_id)
        for _, worker in lost:
            self._reasons.pop(worker, None)
        return len(lost)

    def _for_itself(self, care: Callable[[], object], run_id: str) -> None:
        """What cannot be done for one run keeps nobody from the others, unless nothing can be done at all."""
        try:
            care()
        except Exception as error:
            if is_outage_error(error):
                raise
            log.exception("run_not_settled", run=run_id)

    def _bury(self, run_id: str, worker: str) -> None:
        run = self._instance.get_run_by_id(run_id)
        if run is not None and run.status is DagsterRunStatus.CANCELING:
            self._instance.report_run_canceled(run, f"Worker {worker} died while the run was being canceled.")
        elif run is not None and not run.is_finished and (reason := run.tags.get(TAG_STOPPED)):
            # Its worker ended itself, since the run did not listen: it would not the next time either.
            self._instance.report_run_failed(run, reason)
        elif run is not None and not run.is_finished:
            reason = self._reasons.get(worker)
            self._instance.add_run_tags(run_id, {TAG_LOST: f"worker {worker}: {reason}" if reason else "true"})
            died = f"Worker {worker} died while it executed this run"
            self._instance.report_run_failed(run, f"{died}: {reason}." if reason else f"{died}.")
        self._queue.done(run_id)

    def requeue_stranded(self) -> int:
        """Queue runs that Dagster believes started and no worker knows of: their launcher died half way.

        Those that it believes to be being canceled get the end that they had: they would keep others of their dataset
        in Dagster's queue for ever.
        """
        launcher = self._instance.run_launcher
        if not isinstance(launcher, HybridRunLauncher):
            return 0
        before = (self._clock.now().ns - STRANDED_SECONDS * NANOS_PER_SECOND) / NANOS_PER_SECOND
        stranded = 0
        statuses = [DagsterRunStatus.STARTING, DagsterRunStatus.CANCELING]
        for record in self._instance.get_run_records(RunsFilter(statuses=statuses)):
            run = record.dagster_run
            if record.update_timestamp.timestamp() < before and not self._queue.contains(run.run_id):
                log.warning("run_stranded", run=run.run_id, status=run.status.value)
                is_canceled = run.status is DagsterRunStatus.CANCELING
                care = partial(end_canceled, self._instance, run) if is_canceled else partial(launcher.put, run)
                self._for_itself(care, run.run_id)
                stranded += 1
        return stranded
