"""One Dagster run per attempt of a flow, created and submitted in process: no code server is asked."""

from collections.abc import Callable
from typing import cast

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.events import DagsterEvent, DagsterEventType
from dagster._core.storage.tags import PARENT_RUN_ID_TAG, PRIORITY_TAG, ROOT_RUN_ID_TAG
from dagster._core.workspace.context import BaseWorkspaceRequestContext

from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.model import Flow
from kamu_assets.flows.orchestrator import RunState, RunStatus
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.catalog import Catalog
from kamu_assets.orchestration.catalog_state import CatalogRow
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.failures import failure_of, is_outage, is_recoverable, message_of, rewritten_input_of
from kamu_assets.orchestration.names import (
    ASSET_JOB,
    RUNTIME_WARM,
    TAG_ACCOUNT,
    TAG_ATTEMPT,
    TAG_DATASET,
    TAG_ENGINES,
    TAG_FLOW,
    TAG_FLOW_TYPE,
    TAG_LAUNCHED_BY,
    TAG_LOST,
    TAG_RUNTIME,
    TAG_STOPPED,
    asset_key,
)
from kamu_assets.orchestration.origins import job_code_origin, remote_job_origin
from kamu_assets.orchestration.scoped import ScopedJobs
from kamu_assets.orchestration.shards import Shard, shard_count, shard_of
from kamu_assets.orchestration.warm_queue import WarmQueue
from kamu_assets.orchestration.warm_up import warm_up

_STATES = {
    DagsterRunStatus.NOT_STARTED: RunState.MISSING,
    DagsterRunStatus.QUEUED: RunState.WAITING,
    DagsterRunStatus.STARTING: RunState.WAITING,
    DagsterRunStatus.SUCCESS: RunState.SUCCEEDED,
    DagsterRunStatus.FAILURE: RunState.FAILED,
    DagsterRunStatus.CANCELED: RunState.CANCELED,
}

_LAUNCHED_BY = {
    CauseKind.MANUAL: "request",
    CauseKind.AUTO_POLLING: "trigger",
    CauseKind.INPUT_UPDATED: "new data",
    CauseKind.DAGSTER_UI: "Dagster",
}

WORKER_DIED = "the worker process died"


class DagsterOrchestrator:
    """Executes flows as Dagster runs (the `Orchestrator` of the flows)."""

    def __init__(
        self,
        *,
        instance: DagsterInstance,
        config: AdapterConfig,
        catalog: Catalog,
        jobs: ScopedJobs,
        queue: WarmQueue,
        tell: Callable[[DatasetID], object],
    ) -> None:
        self._instance = instance
        self._config = config
        self._catalog = catalog
        self._jobs = jobs
        self._queue = queue
        self._tell = tell

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
        if run is None and flow.attempt > 1 and flow.dataset_id is not None:
            # The attempt before may have died between its commit and its report; this one tells only of its own.
            self._tell(flow.dataset_id)
        run = run or self._create(flow)
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
                return RunStatus(RunState.SUCCEEDED if self._materialized(run_id) else RunState.IDLE)
            case RunState.FAILED if reason := run.tags.get(TAG_STOPPED):
                return RunStatus(state, reason)
            case RunState.FAILED if run.tags.get(TAG_LOST):
                return RunStatus(RunState.LOST, WORKER_DIED if run.tags[TAG_LOST] == "true" else run.tags[TAG_LOST])
            case RunState.FAILED:
                return _failed(failure_of(self._instance, run_id))
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

    def _create(self, flow: Flow) -> DagsterRun:
        if flow.dataset_id is None:
            raise ValueError("the flow has no dataset")
        row = self._catalog.row(flow.dataset_id)
        scoped = self._jobs.of([row])
        return self._instance.create_run(
            job_name=ASSET_JOB,
            run_id=flow.run_id,
            run_config={},
            status=DagsterRunStatus.NOT_STARTED,
            tags=_tags(flow, row),
            root_run_id=flow.root_run_id,
            parent_run_id=flow.parent_run_id,
            step_keys_to_execute=None,
            execution_plan_snapshot=scoped.plan_snapshot,
            job_snapshot=scoped.job_snapshot,
            parent_job_snapshot=None,
            asset_selection=frozenset([asset_key(row.account, row.name)]),
            asset_check_selection=None,
            resolved_op_selection=None,
            op_selection=None,
            remote_job_origin=remote_job_origin(self._config, self._shard(row)),
            job_code_origin=job_code_origin(),
            asset_graph=scoped.job.asset_layer.asset_graph,
        )

    def _shard(self, row: CatalogRow) -> Shard:
        return shard_of(self._config, row.id, row.account, count=shard_count(self._config))

    def _materialized(self, run_id: str) -> bool:
        found = self._instance.get_records_for_run(run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION, limit=1)
        return bool(found.records)


def _failed(event: DagsterEvent | None) -> RunStatus:
    if event is None:
        return RunStatus(RunState.FAILED)
    # Its worker marks it, unless the outage went on until that, too, had failed.
    state = RunState.LOST if is_outage(event) else RunState.FAILED
    return RunStatus(state, message_of(event), is_recoverable(event), rewritten_input_of(event))


def _tags(flow: Flow, row: CatalogRow) -> dict[str, str]:
    tags = {
        TAG_FLOW: str(flow.id),
        TAG_DATASET: str(flow.dataset_id),
        TAG_ACCOUNT: row.account,
        TAG_FLOW_TYPE: flow.type.value,
        TAG_ATTEMPT: str(flow.attempt),
        TAG_RUNTIME: RUNTIME_WARM,
        TAG_LAUNCHED_BY: _LAUNCHED_BY[flow.cause.kind],
        PRIORITY_TAG: str(flow.priority),
    }
    if row.engine is not None:
        tags[TAG_ENGINES] = row.engine
    if flow.root_run_id and flow.parent_run_id:
        tags |= {ROOT_RUN_ID_TAG: flow.root_run_id, PARENT_RUN_ID_TAG: flow.parent_run_id}
    return tags
