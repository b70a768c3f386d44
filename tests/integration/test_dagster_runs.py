"""Flows as Dagster runs, with scheduler and worker in this process: what is recorded, and what repeats nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from uuid import uuid4

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.events import DagsterEventType
from dagster._core.storage.tags import PARENT_RUN_ID_TAG, ROOT_RUN_ID_TAG
from structlog.testing import capture_logs

from kamu_assets.clock import ManualClock
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.definitions.builder import NodeDefinitions
from kamu_assets.defs.updater import NodeUpdater
from kamu_assets.defs.verifier import NodeVerifier
from kamu_assets.flows.model import CauseKind, Flow, FlowCause, FlowOutcome, FlowState, FlowType, OutcomeKind
from kamu_assets.flows.scheduler import FlowScheduler
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.orchestration.names import (
    METADATA_HEAD,
    TAG_ATTEMPT,
    TAG_DATASET,
    TAG_FLOW,
    TAG_LOST,
    key_of,
)
from kamu_assets.orchestration.reaper import Reaper
from kamu_assets.orchestration.reporter import CONSUMER, Reporter
from kamu_assets.orchestration.runs import DagsterOrchestrator
from kamu_assets.orchestration.scoped import ScopedJobs
from kamu_assets.orchestration.worker import WarmWorker
from tests.support.builders import START, a_schema
from tests.support.coordination import a_coordinator
from tests.support.dagster_home import DagsterHome, Parts, StandInCoordinator, dagster_home
from tests.support.heart import ADMIN


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

    def work(self) -> int:
        """Execute what is queued; tells how many runs."""
        before = self.worker._max_runs
        self.worker._drain()
        return before - self.worker._max_runs

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
        """A run as Dagster's UI creates it: without any of our tags, but for the one our coordinator adds."""
        rows = [self.parts.catalog.row(entry.id) for entry in entries]
        scoped = ScopedJobs(_builder(self.parts)).of(rows)
        flow = _no_flow(self.parts, entries[0])
        origin = self.orchestrator._create(flow).remote_job_origin
        self.instance.delete_run(str(flow.run_id))
        run = self.instance.create_run(
            job_name="__ASSET_JOB",
            run_id=str(uuid4()),
            run_config={},
            status=DagsterRunStatus.NOT_STARTED,
            tags={"kamu/runtime": "warm"},
            root_run_id=None,
            parent_run_id=None,
            step_keys_to_execute=None,
            execution_plan_snapshot=scoped.plan_snapshot,
            job_snapshot=scoped.job_snapshot,
            parent_job_snapshot=None,
            asset_selection=frozenset(key_of(entry.alias) for entry in entries),
            asset_check_selection=None,
            resolved_op_selection=None,
            op_selection=None,
            remote_job_origin=origin,
            job_code_origin=None,
            asset_graph=scoped.job.asset_layer.asset_graph,
        )
        return self.instance.launch_run(run.run_id, workspace=None)  # type: ignore[arg-type] # only the UI has one


def _no_flow(parts: Parts, entry: DatasetEntry) -> Flow:
    return Flow(
        id="none",
        dataset_id=entry.id,
        type=FlowType.INGEST,
        cause=FlowCause(CauseKind.MANUAL),
        state=FlowState.RUNNING,
        created_at=parts.clock.now(),
        run_id=str(uuid4()),
    )


def _builder(parts: Parts) -> NodeDefinitions:
    updater = NodeUpdater(coordinator=StandInCoordinator(parts), caller=ADMIN, materializations=parts.materializations)
    verifier = NodeVerifier(coordinator=a_coordinator(parts.heart, base=parts.home), caller=ADMIN)
    return NodeDefinitions(updater=updater, verifier=verifier, examiner=parts.heart.doctor)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterHome]:
    """Preparing an instance takes seconds: the tests of this module share one and use their own datasets."""
    with dagster_home(tmp_path_factory.mktemp("node")) as home:
        yield home


@pytest.fixture
def adapter(home: DagsterHome) -> Iterator[Adapter]:
    parts = home.parts
    with home.instance() as instance:
        reporter = Reporter(
            instance=instance,
            database=parts.database,
            outbox=parts.outbox,
            chains=parts.chains,
            materializations=parts.materializations,
        )
        orchestrator = DagsterOrchestrator(
            instance=instance,
            config=home.config,
            catalog=parts.catalog,
            jobs=ScopedJobs(_builder(parts)),
            queue=parts.queue,
            tell=reporter.report,
        )
        scheduler = FlowScheduler(
            database=parts.database,
            outbox=parts.outbox,
            flows=parts.flows,
            orchestrator=orchestrator,
            clock=parts.clock,
            max_running=8,
        )
        worker = WarmWorker(
            instance=instance,
            queue=parts.queue,
            catalog=parts.catalog,
            builder=_builder(parts),
            flows=parts.flows,
            max_runs=1000,
            # This process has run other tests before and is none to replace.
            max_memory=sys.maxsize,
        )
        parts.queue.beat(worker._identity)
        reaper = Reaper(instance=instance, queue=parts.queue, clock=parts.clock)
        adapter = Adapter(parts, instance, scheduler, orchestrator, worker, reaper, reporter)
        adapter.settle()
        while reporter.step():
            pass
        yield adapter


@pytest.fixture
def root(adapter: Adapter, request: pytest.FixtureRequest) -> DatasetEntry:
    return adapter.parts.root(f"{uuid4().hex[:12]}-root")


@pytest.fixture
def derivative(adapter: Adapter, root: DatasetEntry) -> DatasetEntry:
    return adapter.parts.derivative(f"{uuid4().hex[:12]}-derivative", root)


def test_new_data_leads_to_a_run_with_all_that_the_ui_shows(
    adapter: Adapter, root: DatasetEntry, derivative: DatasetEntry
) -> None:
    adapter.parts.push(root.id)

    adapter.settle()

    run = adapter.run_of(derivative)
    flow = adapter.parts.flow_of(derivative.id)
    assert flow is not None
    assert flow.outcome is not None
    assert (flow.state, flow.outcome.kind) == (FlowState.FINISHED, OutcomeKind.SUCCESS)
    assert run.status is DagsterRunStatus.SUCCESS
    assert run.asset_selection == {key_of(derivative.alias)}
    assert (run.tags[TAG_FLOW], run.tags[TAG_DATASET], run.tags[TAG_ATTEMPT]) == (flow.id, str(derivative.id), "1")
    assert run.remote_job_origin is not None
    assert run.remote_job_origin.location_name == "catalog"
    assert adapter.events(run, DagsterEventType.ASSET_MATERIALIZATION_PLANNED) == 1
    assert adapter.events(run, DagsterEventType.ASSET_MATERIALIZATION) == 1


def test_a_materialization_tells_what_the_commit_brought(
    adapter: Adapter, root: DatasetEntry, derivative: DatasetEntry
) -> None:
    adapter.parts.push(root.id)
    adapter.settle()

    (said,) = adapter.materializations(derivative)

    head = str(adapter.parts.chains.head(derivative.id))
    assert said[METADATA_HEAD] == head
    assert (said["dagster/row_count"], said["records_added"], said["offsets"]) == (10, 10, "[0, 9]")
    assert head in str(said["blocks"])
    assert str(said["preview"]).startswith("| offset | op |")
    assert len(said["dagster/column_schema"].columns) == 4  # type: ignore[attr-defined] # Dagster's table schema
    record = adapter.instance.get_latest_data_version_record(key_of(derivative.alias))
    assert record is not None
    assert record.event_log_entry.tags is not None
    assert record.event_log_entry.tags["dagster/data_version"] == head


def test_a_materialization_names_the_data_of_its_inputs_even_if_dagster_was_not_told_of_it_yet(
    adapter: Adapter, root: DatasetEntry, derivative: DatasetEntry
) -> None:
    head = str(adapter.parts.push(root.id))
    adapter.settle()

    while adapter.reporter.step():
        pass

    versions = [adapter.instance.get_latest_data_version_record(key_of(each.alias)) for each in (root, derivative)]
    told, read = (record.event_log_entry.tags for record in versions if record)
    assert told is not None
    assert read is not None
    assert told["dagster/data_version"] == head
    assert read[f"dagster/input_data_version/{key_of(root.alias).to_user_string()}"] == head


def test_a_chain_of_derivatives_follows_one_push(
    adapter: Adapter, root: DatasetEntry, derivative: DatasetEntry
) -> None:
    last = adapter.parts.derivative(f"{uuid4().hex[:12]}-last", derivative)

    adapter.parts.push(root.id)
    adapter.settle()

    assert adapter.run_of(last).status is DagsterRunStatus.SUCCESS


def test_a_root_that_is_only_pushed_to_has_nothing_to_poll(adapter: Adapter, root: DatasetEntry) -> None:
    run = adapter.ui_run(root)

    assert adapter.work() == 1

    ended = adapter.instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is DagsterRunStatus.SUCCESS
    assert adapter.materializations(root) == []
    assert any("nothing to poll" in entry.user_message for entry in adapter.instance.all_logs(run.run_id))
    flow = adapter.parts.flow_of(root.id)
    assert flow is not None
    assert flow.outcome is not None
    assert (flow.cause.kind, flow.outcome.kind) == (CauseKind.DAGSTER_UI, OutcomeKind.UP_TO_DATE)


def test_one_run_from_the_ui_may_update_several_datasets(adapter: Adapter) -> None:
    polled = [adapter.parts.root(f"polled-{uuid4().hex[:12]}") for _ in range(2)]

    adapter.ui_run(*polled)
    adapter.work()

    assert [len(adapter.materializations(entry)) for entry in polled] == [1, 1]
    flows = [adapter.parts.flow_of(entry.id) for entry in polled]
    assert [flow and flow.cause.kind for flow in flows] == [CauseKind.DAGSTER_UI] * 2


def test_submitting_again_starts_nothing_again(adapter: Adapter) -> None:
    entry = adapter.parts.root(f"polled-{uuid4().hex[:12]}")
    adapter.parts.flows.request_run(ADMIN, entry.id)
    adapter.scheduler.step()
    flow = adapter.parts.flow_of(entry.id)
    assert flow is not None

    adapter.orchestrator.submit(flow)
    assert adapter.work() == 1
    adapter.orchestrator.submit(flow)

    assert adapter.work() == 0
    assert len(adapter.materializations(entry)) == 1


def test_a_failure_is_told_in_the_words_of_its_error(adapter: Adapter) -> None:
    entry = adapter.parts.root(f"broken-{uuid4().hex[:12]}")
    adapter.parts.flows.request_run(ADMIN, entry.id)

    adapter.settle()

    flow = adapter.parts.flow_of(entry.id)
    assert flow is not None
    assert flow.outcome is not None
    assert flow.outcome.kind is OutcomeKind.FAILED
    assert flow.outcome.message == f"{entry.name} is broken on purpose"
    assert adapter.run_of(entry).status is DagsterRunStatus.FAILURE
    assert f"{entry.name} is broken" in str(adapter.orchestrator.status(str(flow.run_id)).message)


@pytest.mark.parametrize(("kind", "told_at_length"), [("broken", 0), ("buggy", 1)])
def test_a_failure_is_logged_once_and_only_bugs_with_their_traceback(
    adapter: Adapter, capfd: pytest.CaptureFixture[str], kind: str, told_at_length: int
) -> None:
    entry = adapter.parts.root(f"{kind}-{uuid4().hex[:12]}")
    adapter.parts.flows.request_run(ADMIN, entry.id)

    with capture_logs() as logs:
        adapter.settle()

    (told,) = [line for line in logs if line["event"] == "run_failed"]
    assert told["assets"] == f"kamu/{entry.name}"
    assert told["error"].startswith(str(entry.name))
    assert told.get("exception", "").count("dagster_home.py") == told_at_length
    assert "Stack Trace" not in "".join(capfd.readouterr())


def test_a_run_that_ends_well_is_one_line_of_the_log(
    adapter: Adapter, root: DatasetEntry, derivative: DatasetEntry
) -> None:
    adapter.parts.push(root.id)

    with capture_logs() as logs:
        adapter.settle()

    (told,) = [line for line in logs if line["event"] == "run_ended"]
    assert (told["assets"], told["outcome"]) == (f"kamu/{derivative.name}", "SUCCESS")
    assert told["records_added"] > 0


def test_a_dataset_that_was_deleted_before_its_run_fails_it(adapter: Adapter, root: DatasetEntry) -> None:
    run = adapter.ui_run(root)
    adapter.parts.datasets.delete(ADMIN, root.id)

    adapter.work()

    ended = adapter.instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is DagsterRunStatus.FAILURE


def test_a_queued_run_is_taken_back_when_canceled(adapter: Adapter) -> None:
    entry = adapter.parts.root(f"polled-{uuid4().hex[:12]}")
    flow = adapter.parts.flows.request_run(ADMIN, entry.id)
    adapter.scheduler.step()

    adapter.parts.flows.cancel(ADMIN, flow.id)
    adapter.scheduler.step()
    adapter.scheduler.reconcile()

    assert adapter.work() == 0
    ended = adapter.parts.flow_of(entry.id)
    assert ended is not None
    assert ended.outcome is not None
    assert ended.outcome.kind is OutcomeKind.ABORTED
    assert adapter.run_of(entry).status is DagsterRunStatus.CANCELED


def test_a_run_of_a_dead_worker_fails_and_its_flow_tries_again(adapter: Adapter) -> None:
    entry = adapter.parts.root(f"polled-{uuid4().hex[:12]}")
    adapter.parts.flows.request_run(ADMIN, entry.id)
    adapter.scheduler.step()
    first = adapter.run_of(entry)
    adapter.parts.queue.claim("dead-host:1:1")

    assert adapter.reaper.bury_lost() == 1
    adapter.scheduler.reconcile()
    adapter.work()

    lost = adapter.instance.get_run_by_id(first.run_id)
    assert lost is not None
    assert (lost.status, lost.tags[TAG_LOST]) == (DagsterRunStatus.FAILURE, "true")
    second = adapter.run_of(entry)
    assert second.status is DagsterRunStatus.SUCCESS
    assert second.tags[TAG_ATTEMPT] == "2"
    assert (second.tags[ROOT_RUN_ID_TAG], second.tags[PARENT_RUN_ID_TAG]) == (first.run_id, first.run_id)


def test_a_run_whose_launcher_died_half_way_is_queued_after_all(home: DagsterHome, adapter: Adapter) -> None:
    entry = adapter.parts.root(f"polled-{uuid4().hex[:12]}")
    run = adapter.ui_run(entry)
    adapter.parts.queue.done(run.run_id)
    later = ManualClock(Timestamp(adapter.parts.clock.now().ns + 60_000_000_000))
    patient = Reaper(instance=adapter.instance, queue=adapter.parts.queue, clock=later)

    assert adapter.reaper.requeue_stranded() == 0
    assert patient.requeue_stranded() == 1

    assert adapter.work() == 1
    assert len(adapter.materializations(entry)) == 1


def test_a_run_is_queued_for_the_daemon_when_its_dataset_is_busy(adapter: Adapter) -> None:
    entry = adapter.parts.root(f"polled-{uuid4().hex[:12]}")
    busy = str(uuid4())
    adapter.parts.queue.put(busy, subject=str(entry.id))
    adapter.parts.flows.request_run(ADMIN, entry.id)

    adapter.scheduler.step()

    assert adapter.run_of(entry).status is DagsterRunStatus.QUEUED
    adapter.parts.queue.done(busy)
    adapter.instance.launch_run(adapter.run_of(entry).run_id, workspace=None)  # type: ignore[arg-type] # as the daemon
    adapter.work()


def test_a_push_is_reported_once(adapter: Adapter, root: DatasetEntry) -> None:
    head = adapter.parts.push(root.id, records=3)

    assert adapter.reporter.step()
    while adapter.reporter.step():
        pass

    (said,) = adapter.materializations(root)
    assert said[METADATA_HEAD] == str(head)
    assert (said["dagster/row_count"], said["records_added"]) == (3, 3)


def test_a_report_before_a_crash_is_not_repeated_after_it(adapter: Adapter, root: DatasetEntry) -> None:
    adapter.parts.push(root.id)
    adapter.reporter.step()

    with adapter.parts.database.transaction() as tx:
        adapter.parts.outbox.advance(tx, CONSUMER, 0)
    while adapter.reporter.step():
        pass

    assert len(adapter.materializations(root)) == 1


def test_pushes_that_come_fast_are_reported_together(adapter: Adapter, root: DatasetEntry) -> None:
    for _ in range(3):
        adapter.parts.push(root.id)

    adapter.reporter.step()

    (said,) = adapter.materializations(root)
    assert (said["records_added"], said["offsets"]) == (30, "[0, 29]")


def test_what_a_run_tells_itself_is_not_reported(
    adapter: Adapter, root: DatasetEntry, derivative: DatasetEntry
) -> None:
    adapter.parts.push(root.id)
    adapter.settle()

    while adapter.reporter.step():
        pass

    assert len(adapter.materializations(derivative)) == 1


def test_a_commit_whose_run_died_is_reported(adapter: Adapter) -> None:
    entry = adapter.parts.root(f"polled-{uuid4().hex[:12]}")
    run = adapter.ui_run(entry)
    adapter.parts.queue.claim("dead-host:1:1")
    StandInCoordinator(adapter.parts).pull(ADMIN, entry.id, run_id=run.run_id)
    adapter.reaper.bury_lost()

    while adapter.reporter.step():
        pass

    (said,) = adapter.materializations(entry)
    assert said["records_added"] == 10


def test_a_commit_whose_run_died_is_reported_before_the_next_attempt_tells_of_its_own(adapter: Adapter) -> None:
    entry = adapter.parts.root(f"polled-{uuid4().hex[:12]}")
    adapter.parts.flows.request_run(ADMIN, entry.id)
    adapter.scheduler.step()
    adapter.parts.queue.claim("dead-host:1:1")
    StandInCoordinator(adapter.parts).pull(ADMIN, entry.id, run_id=adapter.run_of(entry).run_id)
    while adapter.reporter.step():
        pass
    assert adapter.materializations(entry) == []

    adapter.reaper.bury_lost()
    adapter.scheduler.reconcile()
    adapter.work()
    while adapter.reporter.step():
        pass

    assert [said["offsets"] for said in adapter.materializations(entry)] == ["[10, 19]", "[0, 9]"]


def test_the_end_of_a_flow_is_not_taken_for_what_the_next_run_is_about_to_tell(adapter: Adapter) -> None:
    entry = adapter.parts.root(f"polled-{uuid4().hex[:12]}")
    adapter.parts.push(entry.id)
    first = adapter.ui_run(entry)
    adapter.parts.queue.claim("dead-host:1:1")
    adapter.parts.flows.run_finished(first.run_id, FlowOutcome(OutcomeKind.ABORTED), datasets=[entry.id])
    second = adapter.ui_run(entry)
    adapter.parts.queue.claim("dead-host:1:1")
    StandInCoordinator(adapter.parts).pull(ADMIN, entry.id, run_id=second.run_id)

    while adapter.reporter.step():
        pass

    assert [said["offsets"] for said in adapter.materializations(entry)] == ["[0, 9]"]
    adapter.reaper.bury_lost()


def test_a_report_leaves_out_what_a_run_is_about_to_tell(adapter: Adapter) -> None:
    entry = adapter.parts.root(f"polled-{uuid4().hex[:12]}")
    run = adapter.ui_run(entry)
    adapter.parts.queue.claim("dead-host:1:1")
    pushed = adapter.parts.push(entry.id)
    StandInCoordinator(adapter.parts).pull(ADMIN, entry.id, run_id=run.run_id)

    while adapter.reporter.step():
        pass

    (said,) = adapter.materializations(entry)
    assert (said[METADATA_HEAD], said["records_added"]) == (str(pushed), 10)
    adapter.reaper.bury_lost()


def test_a_dataset_of_the_same_name_starts_afresh(adapter: Adapter) -> None:
    name = f"{uuid4().hex[:12]}-again"
    first = adapter.parts.root(name)
    adapter.parts.push(first.id)
    adapter.reporter.step()
    adapter.parts.datasets.delete(ADMIN, first.id)
    again = replace(first, id=DatasetID.seeded(f"{name} again".encode()))
    adapter.parts.committer.create(again, (a_schema(),), system_time=START)
    adapter.parts.push(again.id)

    while adapter.reporter.step():
        pass

    assert len(adapter.materializations(again)) == 2


def test_the_job_of_the_node_runs_on_a_worker(adapter: Adapter, home: DagsterHome) -> None:
    job = _builder(adapter.parts).job("check_node")
    run = adapter.instance.create_run_for_job(job, tags={"kamu/runtime": "warm"})
    adapter.instance.launch_run(run.run_id, workspace=None)  # type: ignore[arg-type] # only the UI has one

    assert adapter.work() == 1

    ended = adapter.instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is DagsterRunStatus.SUCCESS


def test_a_run_for_an_unknown_place_fails_with_the_reason(adapter: Adapter, root: DatasetEntry) -> None:
    run = adapter.ui_run(root)
    adapter.parts.queue.done(run.run_id)
    adapter.instance.add_run_tags(run.run_id, {"kamu/runtime": "moon"})

    with pytest.raises(Exception, match="kamu/runtime=moon"):
        adapter.instance.launch_run(run.run_id, workspace=None)  # type: ignore[arg-type] # only the UI has one


def test_a_worker_is_replaced_after_so_many_runs(adapter: Adapter) -> None:
    for _ in range(2):
        adapter.ui_run(adapter.parts.root(f"polled-{uuid4().hex[:12]}"))
    adapter.worker._max_runs = 1

    adapter.worker._drain()

    assert adapter.worker._is_due()
    adapter.worker._max_runs = 1000
    assert adapter.work() == 1
