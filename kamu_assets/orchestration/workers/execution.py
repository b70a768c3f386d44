"""One run from its start to what becomes of its flow."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from dagster import DagsterEvent, DagsterInstance, DagsterRun, DagsterRunStatus, JobDefinition
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.events import DagsterEventType, RunFailureReason
from dagster._core.execution.api import execute_run_iterator

from kamu_assets.errors import KamuError
from kamu_assets.flows.model import FlowOutcome, OutcomeKind
from kamu_assets.flows.service import FlowService
from kamu_assets.orchestration.asked_runs import (
    Asked,
    RenamedError,
    asked_of,
    name_flows,
    require_name,
    subjects_of,
    types_of,
)
from kamu_assets.orchestration.catalog.rows import Catalog
from kamu_assets.orchestration.catalog.state import CatalogRow
from kamu_assets.orchestration.failures import fault_in, is_outage, is_outage_error, is_recoverable_error, message_of
from kamu_assets.orchestration.names import INTERRUPTED, LEFT, TAG_FLOW, TAG_LOST, TAG_STOPPED
from kamu_assets.orchestration.operations import did_nothing
from kamu_assets.orchestration.scoped import DefinitionsBuilder, ScopedJobs
from kamu_assets.orchestration.workers.run_log import RunLog
from kamu_assets.orchestration.workers.run_output import captured
from kamu_assets.orchestration.workers.time_limit import TimeLimit, Watch, limit_of

log = structlog.get_logger(__name__)

TOO_LATE = "Its flow has come to an end without it, or in it before."


@dataclass
class _Seen:
    """What a run's events told."""

    log: RunLog
    materialized: bool = False
    # What a verification found.
    fault: str | None = None
    # Why the run deserves another attempt, if it does.
    lost: str | None = None

    def note(self, event: DagsterEvent) -> None:
        self.log.note(event)
        if event.event_type is DagsterEventType.ASSET_MATERIALIZATION:
            self.materialized = True
        self.fault = self.fault or fault_in(event)
        if event.event_type is DagsterEventType.RUN_FAILURE and event.event_specific_data is not None:
            reason = event.job_failure_data.failure_reason
            if reason is RunFailureReason.UNEXPECTED_TERMINATION:
                # The node is stopping; the flow goes on with another attempt when it starts again.
                self.lost = LEFT
        # Of the run where the step's own could not be written.
        if event.event_type in {DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE} and is_outage(event):
            self.lost = message_of(event)


class RunExecutor:
    """Executes runs in this process, each with the definitions of its own datasets only."""

    def __init__(
        self,
        *,
        instance: DagsterInstance,
        catalog: Catalog,
        builder: DefinitionsBuilder,
        flows: FlowService,
        time_limit_seconds: float,
        cancels: Callable[[str], Collection[str]],
        tell: Callable[[], object] = list,
    ) -> None:
        self._instance = instance
        self._catalog = catalog
        self._builder = builder
        self._jobs = ScopedJobs(builder)
        self._flows = flows
        self._time_limit_seconds = time_limit_seconds
        # Runs of a worker that somebody wants stopped.
        self._cancels = cancels
        # Whoever reads the logs of runs, that there is more to read.
        self._tell = tell

    def execute(self, run_id: str, *, worker: str) -> None:
        """Until its flow has an outcome, whatever happens; `worker` is who says so in Dagster's UI."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return
        if run.status is DagsterRunStatus.CANCELING:
            # Asked for between our claim and now, before an interrupt could reach it.
            self._instance.report_run_canceled(run)
            self._flows.run_finished(run_id, FlowOutcome(OutcomeKind.ABORTED))
            return
        if run.status is DagsterRunStatus.STARTED:
            # Begun by this worker, and left when the database went away: only another run can begin anew.
            self._lose(run_id, INTERRUPTED)
            return
        if self._flows.is_over(run_id):
            # Submitted by a scheduler that did not know yet that another one leads.
            self._instance.report_run_canceled(run, TOO_LATE)
            return
        try:
            about = subjects_of(run, self._catalog)
            with structlog.contextvars.bound_contextvars(run=run_id, datasets=about):
                self._run(run, worker, about)
        except Exception as error:  # noqa: BLE001 - told, whatever it is
            self._end_badly(run, error)

    def _end_badly(self, run: DagsterRun, error: Exception) -> None:
        message = str(error) or type(error).__name__
        if is_outage_error(error):
            log.warning("run_interrupted", run=run.run_id, reason=message.partition("\n")[0])
            self._lose(run.run_id, INTERRUPTED)
        elif isinstance(error, RenamedError):
            log.info("run_begins_anew", run=run.run_id, reason=message)
            self._lose(run.run_id, message)
        elif isinstance(error, KamuError):
            # It could not even begin: its dataset is gone, say.
            self._give_up(run, message, recoverable=is_recoverable_error(error))
        else:
            log.error("run_not_started", run=run.run_id, exc_info=error)
            self._give_up(run, message)

    def _run(self, run: DagsterRun, worker: str, about: Sequence[str]) -> None:
        limit = limit_of(run, setting_seconds=self._time_limit_seconds)
        require_name(run, self._catalog)
        rows = self._catalog.named(run.asset_selection or ())
        asked = self._begin(run)
        types = types_of(run, asked)
        # A job's page tells nowhere else which dataset it works on.
        what = f"{', '.join(types) or 'Run'} of {', '.join(about)}"
        self._instance.report_engine_event(f"{what}, picked up by warm worker {worker}", run)
        seen = _Seen(RunLog(run, about=about, types=types))
        job = InMemoryJob(self._job(run, rows))
        self._follow(run, job, seen, limit)
        canceled = seen.lost is not None and run.run_id in self._cancels(worker)
        self._settle(run, seen, asked, canceled=canceled)

    def _follow(self, run: DagsterRun, job: InMemoryJob, seen: _Seen, limit: TimeLimit) -> None:
        """Until the run has ended, or its time is over."""
        more = captured(self._instance, run, tell=self._tell)
        with more, Watch(limit, tell=partial(self._tell_why, run)) as watch:
            self._execute(job, seen)
        if watch.expired:
            seen.lost = None
            seen.log.blame(limit.message)

    def _execute(self, job: InMemoryJob, seen: _Seen) -> None:
        for event in execute_run_iterator(job, seen.log.quiet_run(), self._instance):
            seen.note(event)
            self._tell()

    def _begin(self, run: DagsterRun) -> Asked:
        """Tells what flows it is, if somebody started it by hand."""
        if TAG_FLOW in run.tags:
            self._flows.run_started(run.run_id)
            return {}
        asked = asked_of(run, self._catalog)
        adopted = self._flows.run_adopted(run.run_id, asked)
        if len(asked) == 1:
            name_flows(self._instance, run, adopted)
        return asked

    def _tell_why(self, run: DagsterRun, reason: str) -> None:
        """Before the run is stopped, so that whoever sees it stopped knows why."""
        self._instance.add_run_tags(run.run_id, {TAG_STOPPED: reason})
        self._instance.report_engine_event(reason, run)

    def _job(self, run: DagsterRun, rows: Sequence[CatalogRow]) -> JobDefinition:
        if rows:
            # Dagster's UI asks for `verify` with every materialization. It reads all of a dataset: it runs alone.
            return self._jobs.of(rows).job
        checks = run.asset_check_selection or ()
        checked = self._catalog.named({key.asset_key for key in checks})
        return self._jobs.of(checked, only=checks).job if checked else self._builder.job(run.job_name)

    def _settle(self, run: DagsterRun, seen: _Seen, asked: Asked, *, canceled: bool) -> None:
        if seen.lost is not None and not canceled:
            self._instance.add_run_tags(run.run_id, {TAG_LOST: seen.lost})
            return
        status = self._final_status(run, canceled=canceled)
        did = seen.materialized if run.asset_selection else not self._did_nothing(run.run_id)
        outcome = _outcome(status, seen, did=did)
        self._flows.run_finished(run.run_id, outcome, bindings=[*asked])
        seen.log.tell(outcome)
        self._tell()

    def _did_nothing(self, run_id: str) -> bool:
        ended = self._instance.get_run_by_id(run_id)
        return ended is not None and did_nothing(ended)

    def _final_status(self, run: DagsterRun, *, canceled: bool) -> DagsterRunStatus:
        ended = self._instance.get_run_by_id(run.run_id)
        if ended is None:
            return DagsterRunStatus.FAILURE
        if ended.status is not DagsterRunStatus.CANCELING and not canceled:
            return ended.status
        # The request to cancel came after the last step, where nothing of ours can be interrupted any more, or so early
        # that the start of the run hid it.
        self._instance.report_run_canceled(ended)
        return DagsterRunStatus.CANCELED

    def _lose(self, run_id: str, reason: str) -> None:
        """Leave the flow as it is, to be tried again, or ended as its run did, when there is a database to say so."""
        run = self._instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            self._instance.add_run_tags(run_id, {TAG_LOST: reason})
            self._instance.report_run_failed(run, reason)

    def _give_up(self, run: DagsterRun, message: str, *, recoverable: bool = True) -> None:
        self._instance.report_run_failed(run, message)
        self._flows.run_finished(run.run_id, FlowOutcome(OutcomeKind.FAILED, message, recoverable))


class TellingExecutor(RunExecutor):
    """Executes runs that tell receivers, several at the same time: each is on a thread, and nothing else is its own.

    Their time limit is that of webhooks, and no engine of theirs prints anything.
    """

    def _follow(self, run: DagsterRun, job: InMemoryJob, seen: _Seen, limit: TimeLimit) -> None:  # noqa: ARG002 - above
        self._execute(job, seen)


def _outcome(status: DagsterRunStatus, seen: _Seen, *, did: bool) -> FlowOutcome:
    match status:
        case DagsterRunStatus.SUCCESS if seen.fault is not None:
            return FlowOutcome(OutcomeKind.FAILED, seen.fault, recoverable=False)
        case DagsterRunStatus.SUCCESS:
            return FlowOutcome(OutcomeKind.SUCCESS if did else OutcomeKind.UP_TO_DATE)
        case DagsterRunStatus.CANCELED:
            return FlowOutcome(OutcomeKind.ABORTED)
        case _:
            told = seen.log
            return FlowOutcome(
                OutcomeKind.FAILED,
                told.failure,
                told.recoverable,
                told.rewritten_input,
                retry_after=told.retry_after,
                by_node=told.by_node,
            )
