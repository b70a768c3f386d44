"""Hands runs to warm workers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import structlog
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, StringSource
from dagster._config.config_schema import UserConfigSchema
from dagster._core.launcher import LaunchRunContext, RunLauncher
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.tags import PRIORITY_TAG
from dagster._serdes import ConfigurableClass
from dagster._serdes.config_class import ConfigurableClassData

from kamu_assets.clock import SystemClock
from kamu_assets.database.database import Database
from kamu_assets.database.errors import DatabaseUnavailableError
from kamu_assets.database.wakeups import Wakeups
from kamu_assets.durability import Durability
from kamu_assets.flows.model import FlowState, FlowType
from kamu_assets.flows.scopes import WebhookScope
from kamu_assets.flows.store import FlowStore
from kamu_assets.orchestration.names import TAG_DATASET, TAG_ENGINES, TAG_FLOW_TYPE, TAG_WEBHOOK
from kamu_assets.orchestration.workers.ending import end_canceled
from kamu_assets.orchestration.workers.runtimes import require_runtime
from kamu_assets.orchestration.workers.warm_queue import Cancellation, WarmQueue

log = structlog.get_logger(__name__)


class HybridRunLauncher(RunLauncher[DagsterInstance], ConfigurableClass):
    """Dagster's view of the warm queue."""

    def __init__(self, queue: WarmQueue, database: Database, inst_data: ConfigurableClassData | None = None) -> None:
        self.queue = queue
        self._database = database
        self._flows = FlowStore()
        self._inst_data = inst_data
        super().__init__()  # type: ignore[no-untyped-call] # Dagster's

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {"database_url": StringSource, "durability": StringSource, "run_directory": StringSource}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        database = Database.open(config_value["database_url"], durability=Durability(config_value["durability"]))
        wakeups = Wakeups(Path(config_value["run_directory"]))
        return cls(WarmQueue(database=database, wakeups=wakeups, clock=SystemClock()), database, inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        try:
            self.put(context.dagster_run)
        except DatabaseUnavailableError as error:
            # Dagster would fail the run. As it is, starting and nowhere queued, the reaper finds and queues it.
            log.warning("run_not_queued_yet", run=context.dagster_run.run_id, reason=str(error))

    def put(self, run: DagsterRun) -> None:
        """Queue a run for the workers, once."""
        require_runtime(run)
        self.queue.put(
            run.run_id,
            subject=subject_of(run),
            engines=run.tags.get(TAG_ENGINES),
            priority=priority_of(run),
        )

    def is_needed(self, run_id: str) -> bool:
        """Whether a flow waits to hear what became of the run."""
        with self._database.reading() as tx:
            return any(flow.state is FlowState.RUNNING for flow in self._flows.by_run(tx, run_id))

    def terminate(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        # A worker takes an interrupt for a cancellation only when this was said before. Said again it could come after
        # the end of the run and hide it.
        if run.status is not DagsterRunStatus.CANCELING:
            self._instance.report_run_canceling(run)
        if self.queue.cancel(run_id) is not Cancellation.ASKED or self.queue.owner(run_id) is None:
            self.queue.done(run_id)
            end_canceled(self._instance, run)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        if not self.queue.contains(run.run_id):
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "no worker has the run and it is not queued")
        if run.run_id in {lost for lost, _ in self.queue.lost()}:
            return CheckRunHealthResult(WorkerStatus.FAILED, "the worker process died")
        return CheckRunHealthResult(WorkerStatus.RUNNING)


def subject_of(run: DagsterRun) -> str | None:
    """The dataset, or the receiver, of whose runs there is one at a time; who only reads disturbs nobody."""
    if webhook := run.tags.get(TAG_WEBHOOK):
        return str(WebhookScope(webhook))
    return None if run.tags.get(TAG_FLOW_TYPE) == FlowType.VERIFY else run.tags.get(TAG_DATASET)


def priority_of(run: DagsterRun) -> int:
    """Dagster's priority tag: an integer as text, higher first."""
    text = run.tags.get(PRIORITY_TAG, "0")
    return int(text) if text.lstrip("-").isdigit() else 0
