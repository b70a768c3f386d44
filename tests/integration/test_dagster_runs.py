"""Flows as Dagster runs, with scheduler and worker in this process: what is recorded, and what repeats nothing."""

from __future__ import annotations

from uuid import uuid4

import pytest
from dagster import DagsterRunStatus
from dagster._core.events import DagsterEventType
from dagster._core.storage.tags import PARENT_RUN_ID_TAG, ROOT_RUN_ID_TAG
from structlog.testing import capture_logs

from kamu_assets.clock import ManualClock
from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.model import FlowState, OutcomeKind
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.orchestration.names import (
    METADATA_HEAD,
    TAG_ATTEMPT,
    TAG_DATASET,
    TAG_FLOW,
    TAG_LAUNCHED_BY,
    TAG_LOST,
    TAG_RUNTIME,
    key_of,
)
from kamu_assets.orchestration.workers.reaper import Reaper
from tests.support.dagster_adapter import Adapter, definitions_of
from tests.support.heart import ADMIN


def test_new_data_leads_to_a_run_with_all_that_the_ui_shows(adapter: Adapter) -> None:
    root = adapter.pushed_root()
    derivative = adapter.derivative(root)
    adapter.parts.push(root.id)

    adapter.settle()

    run = adapter.run_of(derivative)
    flow = adapter.parts.flow_of(derivative.id)
    assert flow is not None
    assert flow.outcome is not None
    assert (flow.state, flow.outcome.kind) == (FlowState.FINISHED, OutcomeKind.SUCCESS)
    assert run.status is DagsterRunStatus.SUCCESS
    assert run.asset_selection == {key_of(derivative.alias)}
    assert (run.tags[TAG_FLOW], run.tags[TAG_DATASET], run.tags[TAG_ATTEMPT]) == (str(flow.id), str(derivative.id), "1")
    assert run.tags[TAG_LAUNCHED_BY] == "new data"
    # Whoever looks at a list of runs sees all of them: nothing that is the same of every run.
    assert TAG_RUNTIME not in run.tags
    assert run.remote_job_origin is not None
    assert run.remote_job_origin.location_name == "catalog"
    assert adapter.events(run, DagsterEventType.ASSET_MATERIALIZATION_PLANNED) == 1
    assert adapter.events(run, DagsterEventType.ASSET_MATERIALIZATION) == 1


def test_a_materialization_tells_what_the_commit_brought(adapter: Adapter) -> None:
    root = adapter.pushed_root()
    derivative = adapter.derivative(root)
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
    adapter: Adapter,
) -> None:
    root = adapter.pushed_root()
    derivative = adapter.derivative(root)
    head = str(adapter.parts.push(root.id))
    adapter.settle()

    adapter.report()

    versions = [adapter.instance.get_latest_data_version_record(key_of(each.alias)) for each in (root, derivative)]
    told, read = (record.event_log_entry.tags for record in versions if record)
    assert told is not None
    assert read is not None
    assert told["dagster/data_version"] == head
    assert read[f"dagster/input_data_version/{key_of(root.alias).to_user_string()}"] == head


def test_a_chain_of_derivatives_follows_one_push(adapter: Adapter) -> None:
    root = adapter.pushed_root()
    derivative = adapter.derivative(root)
    last = adapter.parts.derivative(f"{uuid4().hex[:12]}-last", derivative)

    adapter.parts.push(root.id)
    adapter.settle()

    assert adapter.run_of(last).status is DagsterRunStatus.SUCCESS


def test_a_root_that_is_only_pushed_to_has_nothing_to_poll(adapter: Adapter) -> None:
    root = adapter.pushed_root()
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
    polled = [adapter.polled_root() for _ in range(2)]

    adapter.ui_run(*polled)
    adapter.work()

    assert [len(adapter.materializations(entry)) for entry in polled] == [1, 1]
    flows = [adapter.parts.flow_of(entry.id) for entry in polled]
    assert [flow and flow.cause.kind for flow in flows] == [CauseKind.DAGSTER_UI] * 2


def test_submitting_again_starts_nothing_again(adapter: Adapter) -> None:
    entry = adapter.polled_root()
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
    assert not flow.outcome.recoverable
    assert not adapter.orchestrator.status(str(flow.run_id)).recoverable
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


def test_a_run_that_ends_well_is_one_line_of_the_log(adapter: Adapter) -> None:
    root = adapter.pushed_root()
    derivative = adapter.derivative(root)
    adapter.parts.push(root.id)

    with capture_logs() as logs:
        adapter.settle()

    (told,) = [line for line in logs if line["event"] == "run_ended"]
    assert (told["assets"], told["outcome"]) == (f"kamu/{derivative.name}", "SUCCESS")
    assert told["records_added"] > 0


def test_a_dataset_that_was_deleted_before_its_run_fails_it(adapter: Adapter) -> None:
    root = adapter.pushed_root()
    run = adapter.ui_run(root)
    adapter.parts.datasets.delete(ADMIN, root.id)

    adapter.work()

    ended = adapter.instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is DagsterRunStatus.FAILURE


def test_a_queued_run_is_taken_back_when_canceled(adapter: Adapter) -> None:
    entry = adapter.polled_root()
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
    entry = adapter.polled_root()
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


def test_a_run_whose_launcher_died_half_way_is_queued_after_all(adapter: Adapter) -> None:
    entry = adapter.polled_root()
    run = adapter.ui_run(entry)
    adapter.parts.queue.done(run.run_id)
    later = ManualClock(Timestamp(adapter.parts.clock.now().ns + 60_000_000_000))
    patient = Reaper(instance=adapter.instance, queue=adapter.parts.queue, clock=later)

    assert adapter.reaper.requeue_stranded() == 0
    assert patient.requeue_stranded() == 1

    assert adapter.work() == 1
    assert len(adapter.materializations(entry)) == 1


def test_a_run_is_queued_for_the_daemon_when_its_dataset_is_busy(adapter: Adapter) -> None:
    entry = adapter.polled_root()
    busy = str(uuid4())
    adapter.parts.queue.put(busy, subject=str(entry.id))
    adapter.parts.flows.request_run(ADMIN, entry.id)

    adapter.scheduler.step()

    assert adapter.run_of(entry).status is DagsterRunStatus.QUEUED
    adapter.parts.queue.done(busy)
    adapter.instance.launch_run(adapter.run_of(entry).run_id, workspace=None)  # type: ignore[arg-type] # as the daemon
    adapter.work()


def test_the_job_of_the_node_runs_on_a_worker(adapter: Adapter) -> None:
    job = definitions_of(adapter.parts).job("check_node")
    run = adapter.instance.create_run_for_job(job, tags={"kamu/runtime": "warm"})
    adapter.instance.launch_run(run.run_id, workspace=None)  # type: ignore[arg-type] # only the UI has one

    assert adapter.work() == 1

    ended = adapter.instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is DagsterRunStatus.SUCCESS


def test_a_run_for_an_unknown_place_fails_with_the_reason(adapter: Adapter) -> None:
    root = adapter.pushed_root()
    run = adapter.ui_run(root)
    adapter.parts.queue.done(run.run_id)
    adapter.instance.add_run_tags(run.run_id, {"kamu/runtime": "moon"})

    with pytest.raises(Exception, match="kamu/runtime=moon"):
        adapter.instance.launch_run(run.run_id, workspace=None)  # type: ignore[arg-type] # only the UI has one


def test_a_worker_is_replaced_after_so_many_runs(adapter: Adapter) -> None:
    for _ in range(2):
        adapter.ui_run(adapter.polled_root())
    adapter.worker._max_runs = 1

    adapter.worker._drain()

    assert adapter.worker._is_due()
    adapter.worker._max_runs = 1000
    assert adapter.work() == 1
