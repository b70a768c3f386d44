"""One Dagster run per attempt of a flow, created and submitted in process: no code server is asked."""

from collections.abc import Callable
from typing import cast

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.events import DagsterEventType
from dagster._core.workspace.context import BaseWorkspaceRequestContext

from kamu_assets.flows.model import Flow
from kamu_assets.flows.orchestrator import RunState, RunStatus
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.catalog.rows import Catalog
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.failures import (
    failure_of,
    fault_in,
    is_by_node,
    is_outage,
    is_recoverable,
    message_of,
    retry_after_in,
    rewritten_input_of,
)
from kamu_assets.orchestration.names import INTERRUPTED, LEFT, TAG_LOST, TAG_STOPPED
from kamu_assets.orchestration.operations import did_nothing
from kamu_assets.orchestration.run_making import RunMaker
from kamu_assets.orchestration.scoped import ScopedJobs
from kamu_assets.orchestration.workers.warm_up import warm_up

_STATES = {
    DagsterRunStatus.NOT_STARTED: RunState.MISSING,
    DagsterRunStatus.QUEUED: RunState.WAITING,
    DagsterRunStatus.STARTING: RunState.WAITING,
    DagsterRunStatus.SUCCESS: RunState.SUCCEEDED,
    DagsterRunStatus.FAILURE: RunState.FAILED,
    DagsterRunStatus.CANCELED: RunState.CANCELED,
}

_EVALUATION = DagsterEventType.ASSET_CHECK_EVALUATION
WORKER_DIED = "the worker process died"
NOT_BEGUN = "its run could not be given to a worker"


class DagsterOrchestrator:
    """Executes flows as Dagster runs (the `Orchestrator` of the flows)."""

    def __init__(
        self,
        *,
        instance: DagsterInstance,
        config: AdapterConfig,
        catalog: Catalog,
        jobs: ScopedJobs,
        tell: Callable[[DatasetID], object],
    ) -> None:
        self._instance = instance
        self._catalog = catalog
        self._jobs = jobs
        self._tell = tell
        self._runs = RunMaker(instance=instance, config=config, catalog=catalog, jobs=jobs)

    def warm_up(self) -> None:
        """Make the first flow's run as quickly as later ones."""
        warm_up(self._instance)
        for dataset in self._catalog.ids()[:1]:
            _ = self._jobs.of([self._catalog.row(dataset)]).plan_snapshot

    def submit(self, flow: Flow) -> None:
        """Create and start the run `flow.run_id`. Repeating it is harmless, whatever became of the run."""
        if flow.run_id is None:
            raise ValueError("the flow has no attempt")
        run = self._instance.get_run_by_id(flow.run_id)
        if run is None and flow.attempt > 1 and isinstance(flow.scope, DatasetID):
            # The attempt before may have died between its commit and its report; this one tells only of its own.
            self._tell(flow.scope)
        run = run or self._runs.make(flow)
        if run.status is DagsterRunStatus.NOT_STARTED:
            # Our coordinator asks the workspace only about runs that the UI made.
            self._instance.submit_run(run.run_id, workspace=cast("BaseWorkspaceRequestContext", None))

    def status(self, run_id: str) -> RunStatus:
        """What became of the run."""
        run = self._instance.get_run_by_id(run_id)
        if run is None:
            return RunStatus(RunState.MISSING)
        state = _STATES.get(run.status, RunState.RUNNING)
        match state:
            case RunState.SUCCEEDED:
                return self._succeeded(run)
            case RunState.FAILED if reason := run.tags.get(TAG_STOPPED):
                return RunStatus(state, reason)
            case RunState.FAILED if reason := run.tags.get(TAG_LOST):
                lost = RunState.LEFT if reason in {LEFT, INTERRUPTED} else RunState.LOST
                return RunStatus(lost, WORKER_DIED if reason == "true" else reason)
            case RunState.FAILED:
                return self._failed(run_id)
        return RunStatus(state)

    def cancel(self, run_id: str) -> None:
        """Stop the run, queued or running; nothing happens when it has ended."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return
        if run.status is DagsterRunStatus.NOT_STARTED:
            self._instance.report_run_canceled(run)
        else:
            self._instance.run_coordinator.cancel_run(run_id)

    def _succeeded(self, run: DagsterRun) -> RunStatus:
        """What came of it: nothing, perhaps, or a verdict that something is wrong."""
        for record in self._instance.get_records_for_run(run.run_id, of_type=_EVALUATION, limit=100).records:
            event = record.event_log_entry.dagster_event
            if event is not None and (fault := fault_in(event)):
                return RunStatus(RunState.FAILED, fault, recoverable=False)
        did = self._materialized(run.run_id) if run.asset_selection else not did_nothing(run)
        return RunStatus(RunState.SUCCEEDED if did else RunState.IDLE)

    def _materialized(self, run_id: str) -> bool:
        kind = DagsterEventType.ASSET_MATERIALIZATION
        return bool(self._instance.get_records_for_run(run_id, of_type=kind, limit=1).records)

    def _failed(self, run_id: str) -> RunStatus:
        event = failure_of(self._instance, run_id)
        if event is None:
            return RunStatus(RunState.FAILED)
        record = self._instance.get_run_record_by_id(run_id)
        if record is None or record.start_time is None:
            # Dagster ends what it cannot hand over, also when the database was away for that moment only.
            return RunStatus(RunState.LOST, NOT_BEGUN)
        # Its worker marks it, unless the outage went on until that, too, had failed.
        state = RunState.LOST if is_outage(event) else RunState.FAILED
        return RunStatus(
            state,
            message_of(event),
            is_recoverable(event),
            rewritten_input_of(event),
            retry_after=retry_after_in(event),
            by_node=is_by_node(event),
        )
