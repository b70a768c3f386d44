"""The node's side of Dagster as objects in this process: each step happens when a test says so."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from dagster import AssetCheckKey, DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.events import DagsterEventType

from kamu_assets.auth.model import Caller
from kamu_assets.coordinator.garbage import GarbageCollection
from kamu_assets.database.database import Database
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.definitions.builder import NodeDefinitions
from kamu_assets.defs.checker import NodeChecker
from kamu_assets.defs.keeper import NodeKeeper
from kamu_assets.defs.operator import NodeOperator
from kamu_assets.defs.teller import NodeTeller
from kamu_assets.defs.updater import NodeUpdater
from kamu_assets.defs.verifier import NodeVerifier
from kamu_assets.flows.achievements import Achievements
from kamu_assets.flows.causes import CauseKind, FlowCause
from kamu_assets.flows.logs import service as logs
from kamu_assets.flows.model import Flow, FlowState, FlowType
from kamu_assets.flows.scheduling.backlog import Backlog
from kamu_assets.flows.scheduling.hearing import Hearing
from kamu_assets.flows.scheduling.scheduler import FlowScheduler
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.names import CHECK_VERIFY, RUNTIME_WARM, TAG_RUNTIME, key_of
from kamu_assets.orchestration.origins import flows_job_code_origin, job_code_origin
from kamu_assets.orchestration.reports.reporter import Reporter
from kamu_assets.orchestration.runs import DagsterOrchestrator
from kamu_assets.orchestration.scoped import DefinitionsBuilder, ScopedJobs
from kamu_assets.orchestration.workers.execution import RunExecutor, TellingExecutor
from kamu_assets.orchestration.workers.reaper import Reaper
from kamu_assets.orchestration.workers.telling import Telling
from kamu_assets.orchestration.workers.worker import WarmWorker
from kamu_assets.quality.results import QualityReport
from tests.support.coordination import a_coordinator, a_reorganization
from tests.support.dagster_home import DagsterHome, Parts, StandInCoordinator
from tests.support.heart import ADMIN
from tests.support.slow_services import SlowServices


@dataclass
class Adapter:
    """The node's processes as objects: each step happens when the test says so."""

    parts: Parts
    instance: DagsterInstance
    scheduler: FlowScheduler
    orchestrator: DagsterOrchestrator
    worker: WarmWorker
    reaper: Reaper
    reporter: Reporter

    def settle(self) -> None:
        """Schedule and execute until nothing is left to do."""
        while True:
            self.scheduler.step()
            if not self.work():
                return

    def report(self) -> None:
        """Report until nothing is left to tell."""
        while self.reporter.step():
            pass

    def pushed_root(self) -> DatasetEntry:
        """A new root that has nothing to poll."""
        return self.parts.root(f"{uuid4().hex[:12]}-root")

    def derivative(self, of: DatasetEntry) -> DatasetEntry:
        return self.parts.derivative(f"{uuid4().hex[:12]}-derivative", of)

    def polled_root(self) -> DatasetEntry:
        """A new root whose source has more records whenever it is asked."""
        return self.parts.root(f"polled-{uuid4().hex[:12]}")

    def work(self) -> int:
        """Execute what is queued; tells how many runs."""
        before = self.worker._max_runs
        self.worker._drain()
        told = self.worker._telling.claim(self.worker._identity)
        assert self.worker._telling.wait_until_idle(60)
        return before - self.worker._max_runs + told

    def events(self, run: DagsterRun, kind: DagsterEventType) -> int:
        return len(self.instance.get_records_for_run(run.run_id, of_type=kind).records)

    def run_of(self, entry: DatasetEntry) -> DagsterRun:
        flow = self.parts.flow_of(entry.id)
        assert flow is not None
        run = self.instance.get_run_by_id(str(flow.run_id))
        assert run is not None
        return run

    def materializations(self, entry: DatasetEntry) -> list[dict[str, object]]:
        """Metadata, newest first."""
        records = self.instance.fetch_materializations(key_of(entry.alias), limit=50).records
        found = [record.asset_materialization for record in records]
        return [{name: value.value for name, value in each.metadata.items()} for each in found if each]

    def ui_run(self, *entries: DatasetEntry) -> DagsterRun:
        """A run as Dagster's UI starts it: without any of our tags, but for the one our coordinator adds."""
        run = self.ui_run_to_submit(*entries, tags={TAG_RUNTIME: RUNTIME_WARM})
        return self.instance.launch_run(run.run_id, workspace=None)  # type: ignore[arg-type] # only the UI has one

    def job_run(self, name: str, run_config: Mapping[str, object]) -> DagsterRun:
        """A run of a job of the `flows` location as Dagster's UI starts it."""
        job = definitions_of(self.parts).job(name)
        run = self.instance.create_run_for_job(
            job, run_config=run_config, tags={TAG_RUNTIME: RUNTIME_WARM}, job_code_origin=flows_job_code_origin(name)
        )
        return self.instance.launch_run(run.run_id, workspace=None)  # type: ignore[arg-type] # as above

    def check_run(self, entry: DatasetEntry) -> DagsterRun:
        """A run of a dataset's check as Dagster's UI starts it."""
        run = self.ui_run_to_submit(entry, tags={TAG_RUNTIME: RUNTIME_WARM}, checks=True)
        return self.instance.launch_run(run.run_id, workspace=None)  # type: ignore[arg-type] # as above

    def ui_run_to_submit(self, *entries: DatasetEntry, tags: Mapping[str, str], checks: bool = False) -> DagsterRun:
        """A run as Dagster's UI creates it, before it is handed on."""
        rows = [self.parts.catalog.row(entry.id) for entry in entries]
        keys = frozenset(key_of(entry.alias) for entry in entries)
        checked = frozenset(AssetCheckKey(key, CHECK_VERIFY) for key in keys) if checks else None
        scoped = ScopedJobs(definitions_of(self.parts)).of(rows, only=checked or ())
        flow = _no_flow(self.parts, entries[0])
        origin = self.orchestrator._runs.make(flow).remote_job_origin
        self.instance.delete_run(str(flow.run_id))
        return self.instance.create_run(
            job_name="__ASSET_JOB",
            run_id=str(uuid4()),
            run_config={},
            status=DagsterRunStatus.NOT_STARTED,
            tags=tags,
            root_run_id=None,
            parent_run_id=None,
            step_keys_to_execute=None,
            execution_plan_snapshot=scoped.plan_snapshot,
            job_snapshot=scoped.job_snapshot,
            parent_job_snapshot=None,
            asset_selection=frozenset() if checks else keys,
            asset_check_selection=checked,
            resolved_op_selection=None,
            op_selection=None,
            remote_job_origin=origin,
            job_code_origin=job_code_origin(),
            asset_graph=scoped.job.asset_layer.asset_graph,
        )


def _no_flow(parts: Parts, entry: DatasetEntry) -> Flow:
    return Flow(
        id=0,
        scope=entry.id,
        type=FlowType.INGEST,
        causes=(FlowCause(CauseKind.MANUAL),),
        state=FlowState.RUNNING,
        created_at=parts.clock.now(),
        run_id=str(uuid4()),
    )


class NoQuality:
    """Nothing that these tests make declares checks."""

    def check(self, caller: Caller, ref: DatasetID) -> QualityReport:
        raise AssertionError(f"{caller} has {ref} checked")


def definitions_of(parts: Parts, teller: NodeTeller | None = None) -> NodeDefinitions:
    """As a worker has them."""
    achieved = Achievements(parts.database).note
    updater = NodeUpdater(
        coordinator=StandInCoordinator(parts),
        caller=ADMIN,
        materializations=parts.materializations,
        achieved=achieved,
    )
    coordinator = a_coordinator(parts.heart, base=parts.home)
    garbage = GarbageCollection(parts.datasets, parts.database, parts.heart.volumes, parts.clock)
    slow = SlowServices(parts.datasets, a_reorganization(parts.heart), coordinator, garbage)
    verifier = NodeVerifier(coordinator=slow, caller=ADMIN, achieved=achieved)
    checker = NodeChecker(quality=NoQuality(), caller=ADMIN)
    operator = NodeOperator(
        reorganization=slow,
        garbage=slow,
        datasets=parts.datasets,
        caller=ADMIN,
        grace_seconds=0,
        achieved=achieved,
    )
    return NodeDefinitions(
        updater=updater,
        verifier=verifier,
        checker=checker,
        examiner=parts.heart.doctor,
        operator=operator,
        keeper=keeper_of(parts, report=_nobody),
        teller=teller or NodeTeller(parts.webhooks.deliverer),
    )


def keeper_of(parts: Parts, *, report: Callable[[DatasetID], bool], settle: Callable[[], object] = list) -> NodeKeeper:
    """What the jobs of the sensors need; `settle` compares flows with their runs."""
    hearing = Hearing(parts.flows.life, Backlog(parts.chains))
    return NodeKeeper(database=parts.database, hearing=hearing, report=report, settle=settle)


def _nobody(_dataset: DatasetID) -> bool:
    return False


@contextmanager
def an_adapter(home: DagsterHome) -> Iterator[Adapter]:
    """On a home where nothing is left to do."""
    parts = home.parts
    with home.instance() as instance:
        reporter = reporter_of(parts, instance)
        orchestrator = orchestrator_of(parts, instance, reporter, definitions_of(parts))
        worker = worker_of(parts, instance)
        parts.queue.beat(worker._identity)
        adapter = Adapter(
            parts=parts,
            instance=instance,
            scheduler=scheduler_of(parts, orchestrator),
            orchestrator=orchestrator,
            worker=worker,
            reaper=Reaper(instance=instance, queue=parts.queue, clock=parts.clock),
            reporter=reporter,
        )
        adapter.settle()
        adapter.report()
        yield adapter


def reporter_of(parts: Parts, instance: DagsterInstance, database: Database | None = None) -> Reporter:
    return Reporter(
        instance=instance,
        database=database or parts.database,
        outbox=parts.outbox,
        chains=parts.chains,
        materializations=parts.materializations,
    )


def orchestrator_of(
    parts: Parts, instance: DagsterInstance, reporter: Reporter, builder: DefinitionsBuilder
) -> DagsterOrchestrator:
    return DagsterOrchestrator(
        instance=instance,
        config=parts.config,
        catalog=parts.catalog,
        jobs=ScopedJobs(builder),
        tell=reporter.report,
    )


def scheduler_of(parts: Parts, orchestrator: DagsterOrchestrator, database: Database | None = None) -> FlowScheduler:
    return FlowScheduler(
        database=database or parts.database,
        outbox=parts.outbox,
        flows=parts.flows,
        chains=parts.chains,
        orchestrator=orchestrator,
        clock=parts.clock,
        max_running=8,
    )


def worker_of(parts: Parts, instance: DagsterInstance, *, time_limit_seconds: float = 3600) -> WarmWorker:
    teller = NodeTeller(parts.webhooks.deliverer)
    builder = definitions_of(parts, teller)

    def executing(kind: type[RunExecutor]) -> RunExecutor:
        return kind(
            instance=instance,
            catalog=parts.catalog,
            builder=builder,
            flows=parts.flows,
            time_limit_seconds=time_limit_seconds,
            cancels=parts.queue.cancels,
            tell=partial(parts.wakeups.notify, logs.WAKEUP),
        )

    return WarmWorker(
        instance=instance,
        queue=parts.queue,
        runs=executing(RunExecutor),
        telling=Telling(queue=parts.queue, runs=executing(TellingExecutor), recall=teller.recall),
        max_runs=1000,
        # A process that has run other tests before is none to replace.
        max_memory=sys.maxsize,
    )
