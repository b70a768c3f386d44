"""What limits runs: their time, the places of their engine, the places a node has; and what is not their fault."""

from __future__ import annotations

import os
import signal
from uuid import uuid4

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.storage.tags import MAX_RUNTIME_SECONDS_TAG

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.errors import InvalidError
from kamu_assets.flows.model import Flow, FlowOutcome, OutcomeKind
from kamu_assets.flows.orchestrator import RunState
from kamu_assets.odf.dataset import SetPollingSource
from kamu_assets.odf.engine import SqlQueryStep, TransformSql
from kamu_assets.odf.source import FetchStepUrl, MergeStrategyAppend, ReadStepNdJson
from kamu_assets.orchestration.asked_runs import Asked
from kamu_assets.orchestration.names import TAG_ENGINES, TAG_LOST, TAG_RUNTIME, TAG_STOPPED, key_of
from kamu_assets.orchestration.workers.execution import RunExecutor
from kamu_assets.orchestration.workers.place_waits import PlaceWaits
from tests.support.builders import a_schema
from tests.support.dagster_adapter import Adapter, worker_of
from tests.support.dagster_home import StandInCoordinator
from tests.support.heart import ADMIN


def slow_root(adapter: Adapter) -> DatasetEntry:
    """A root whose source takes half a minute to answer."""
    return adapter.parts.root(f"polled-slow-{uuid4().hex[:12]}")


def flow_of(adapter: Adapter, entry: DatasetEntry) -> Flow:
    flow = adapter.parts.flow_of(entry.id)
    assert flow is not None
    return flow


def outcome_of(adapter: Adapter, entry: DatasetEntry) -> FlowOutcome:
    outcome = flow_of(adapter, entry).outcome
    assert outcome is not None
    return outcome


def test_a_run_that_takes_longer_than_the_setting_fails_and_says_so(adapter: Adapter) -> None:
    adapter.worker = worker_of(adapter.parts, adapter.instance, time_limit_seconds=0.5)
    slow = slow_root(adapter)
    adapter.parts.flows.request_run(ADMIN, slow.id)

    adapter.settle()

    outcome = outcome_of(adapter, slow)
    assert outcome.kind is OutcomeKind.FAILED
    assert "0.5 s" in str(outcome.message)
    assert "dagster.run_time_limit_seconds" in str(outcome.message)
    run = adapter.run_of(slow)
    assert run.status is DagsterRunStatus.FAILURE
    assert outcome.message in {entry.message for entry in adapter.instance.all_logs(run.run_id)}


def test_a_run_that_was_stopped_is_not_tried_again(adapter: Adapter) -> None:
    adapter.worker = worker_of(adapter.parts, adapter.instance, time_limit_seconds=0.5)
    slow = slow_root(adapter)
    adapter.parts.flows.request_run(ADMIN, slow.id)
    adapter.settle()

    adapter.scheduler.reconcile()

    run = adapter.run_of(slow)
    assert flow_of(adapter, slow).attempt == 1
    assert TAG_LOST not in run.tags
    status = adapter.orchestrator.status(run.run_id)
    assert (status.state, status.message) == (RunState.FAILED, outcome_of(adapter, slow).message)


def test_the_worker_goes_on_after_a_run_that_it_stopped(adapter: Adapter) -> None:
    slow, quick = slow_root(adapter), adapter.polled_root()
    for entry in (slow, quick):
        adapter.parts.flows.request_run(ADMIN, entry.id)
    adapter.scheduler.step()
    adapter.instance.add_run_tags(adapter.run_of(slow).run_id, {MAX_RUNTIME_SECONDS_TAG: "0.25"})

    adapter.settle()

    assert outcome_of(adapter, slow).kind is OutcomeKind.FAILED
    assert outcome_of(adapter, quick).kind is OutcomeKind.SUCCESS


def test_the_tag_of_a_run_overrides_the_setting(adapter: Adapter) -> None:
    slow = slow_root(adapter)
    adapter.parts.flows.request_run(ADMIN, slow.id)
    adapter.scheduler.step()
    adapter.instance.add_run_tags(adapter.run_of(slow).run_id, {MAX_RUNTIME_SECONDS_TAG: "0.25"})

    adapter.settle()

    outcome = outcome_of(adapter, slow)
    assert outcome.kind is OutcomeKind.FAILED
    assert "0.25 s" in str(outcome.message)
    assert MAX_RUNTIME_SECONDS_TAG in str(outcome.message)


@pytest.mark.parametrize("text", ["soon", "", "0", "-1", "nan", "inf"])
def test_a_tag_that_names_no_time_fails_the_run_before_it_begins(adapter: Adapter, text: str) -> None:
    polled = adapter.polled_root()
    adapter.parts.flows.request_run(ADMIN, polled.id)
    adapter.scheduler.step()
    adapter.instance.add_run_tags(adapter.run_of(polled).run_id, {MAX_RUNTIME_SECONDS_TAG: text})

    adapter.settle()

    outcome = outcome_of(adapter, polled)
    assert outcome.kind is OutcomeKind.FAILED
    assert f"{MAX_RUNTIME_SECONDS_TAG}={text!r}" in str(outcome.message)
    assert adapter.materializations(polled) == []


def test_a_run_that_took_its_worker_with_it_is_not_tried_again(adapter: Adapter) -> None:
    polled = adapter.polled_root()
    adapter.parts.flows.request_run(ADMIN, polled.id)
    adapter.scheduler.step()
    run = adapter.run_of(polled)
    adapter.parts.queue.claim("dead-host:1:1")
    adapter.instance.add_run_tags(run.run_id, {TAG_STOPPED: "it did not listen"})

    adapter.reaper.bury_lost()
    adapter.scheduler.reconcile()

    assert outcome_of(adapter, polled) == FlowOutcome(OutcomeKind.FAILED, "it did not listen")
    assert adapter.work() == 0


@pytest.mark.parametrize(
    ("runtime", "said"),
    [("pod", "pods are not available on this node"), ("moon", "kamu/runtime=moon is not known; known: warm")],
)
def test_a_run_for_a_place_that_is_not_here_is_refused_before_it_is_queued(
    adapter: Adapter, runtime: str, said: str
) -> None:
    run = adapter.ui_run_to_submit(adapter.polled_root(), tags={TAG_RUNTIME: runtime})

    with pytest.raises(InvalidError, match=said):
        adapter.instance.submit_run(run.run_id, workspace=None)  # type: ignore[arg-type] # only the UI has one

    refused = adapter.instance.get_run_by_id(run.run_id)
    assert refused is not None
    assert refused.status is DagsterRunStatus.FAILURE
    assert any(said in entry.message for entry in adapter.instance.all_logs(run.run_id))
    assert not adapter.parts.queue.contains(run.run_id)


def test_a_run_that_met_a_busy_database_is_tried_again(adapter: Adapter) -> None:
    busy = adapter.parts.root(f"polled-busy-{uuid4().hex[:12]}")
    adapter.parts.flows.request_run(ADMIN, busy.id)
    adapter.settle()
    first = adapter.run_of(busy)

    adapter.scheduler.reconcile()
    adapter.settle()

    assert first.status is DagsterRunStatus.FAILURE
    assert "database busy" in first.tags[TAG_LOST]
    assert "database busy" in str(adapter.orchestrator.status(first.run_id).message)
    assert flow_of(adapter, busy).attempt == 2
    assert outcome_of(adapter, busy).kind is OutcomeKind.SUCCESS


def test_a_derivative_waits_for_its_engine_and_lets_others_pass(adapter: Adapter) -> None:
    root = adapter.pushed_root()
    derivative, polled = adapter.derivative(root), adapter.polled_root()
    adapter.parts.queue.put("computing", subject=None, engines="datafusion")
    assert adapter.parts.queue.claim("elsewhere") == "computing"
    for entry in (derivative, polled):
        adapter.parts.flows.request_run(ADMIN, entry.id)

    adapter.settle()

    assert adapter.run_of(derivative).tags[TAG_ENGINES] == "datafusion"
    assert flow_of(adapter, derivative).outcome is None
    assert outcome_of(adapter, polled).kind is OutcomeKind.SUCCESS
    adapter.parts.queue.done("computing")
    adapter.settle()
    assert outcome_of(adapter, derivative).kind is OutcomeKind.UP_TO_DATE


def test_a_run_that_waits_says_for_which_engine_and_who_has_it(adapter: Adapter) -> None:
    root = adapter.pushed_root()
    holder, waiting = adapter.derivative(root), adapter.derivative(root)
    waits = PlaceWaits(instance=adapter.instance, queue=adapter.parts.queue, flows=adapter.parts.flows)
    adapter.parts.flows.request_run(ADMIN, holder.id)
    adapter.scheduler.step()
    assert adapter.parts.queue.claim("elsewhere") == adapter.run_of(holder).run_id
    adapter.parts.flows.request_run(ADMIN, waiting.id)
    adapter.scheduler.step()

    for _ in range(3):
        waits.tell()

    (said,) = [text for text in log_of(adapter, waiting) if "waits for a place" in text]
    assert "engine datafusion (setting engine.capacity: 1 at once)" in said
    assert f"taken by run {adapter.run_of(holder).run_id} ({key_of(holder.alias).to_user_string()})" in said
    assert flow_of(adapter, waiting).waits_for == said
    assert not [text for text in log_of(adapter, holder) if "waits for a place" in text]
    adapter.parts.queue.done(adapter.run_of(holder).run_id)
    adapter.settle()
    assert flow_of(adapter, waiting).waits_for is None
    assert outcome_of(adapter, waiting).kind is OutcomeKind.UP_TO_DATE


def test_preprocessing_takes_a_place_of_its_engine(adapter: Adapter) -> None:
    preprocess = TransformSql(engine="datafusion", queries=(SqlQueryStep(query="select * from input"),))
    source = SetPollingSource(
        fetch=FetchStepUrl(url="http://x"), read=ReadStepNdJson(), preprocess=preprocess, merge=MergeStrategyAppend()
    )
    polled = adapter.parts.heart.dataset(f"polled-{uuid4().hex[:12]}", source, a_schema())
    adapter.parts.queue.put("computing", subject=None, engines="datafusion")
    assert adapter.parts.queue.claim("elsewhere") == "computing"
    adapter.parts.flows.request_run(ADMIN, polled.id)

    adapter.settle()

    assert adapter.run_of(polled).tags[TAG_ENGINES] == "datafusion"
    assert flow_of(adapter, polled).outcome is None
    adapter.parts.queue.done("computing")
    adapter.settle()
    assert outcome_of(adapter, polled).kind is OutcomeKind.SUCCESS


def log_of(adapter: Adapter, entry: DatasetEntry) -> list[str]:
    """What Dagster's UI shows of the dataset's run."""
    return [record.user_message or record.message for record in adapter.instance.all_logs(adapter.run_of(entry).run_id)]


def test_a_run_that_is_terminated_as_it_begins_is_not_made_anew(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    polled = adapter.polled_root()
    run = adapter.ui_run(polled)
    begin = RunExecutor._begin

    def terminated(runs: RunExecutor, begun: DagsterRun) -> Asked:
        asked = begin(runs, begun)
        adapter.instance.run_coordinator.cancel_run(begun.run_id)
        adapter.worker._cancel_current()
        return asked

    monkeypatch.setattr(RunExecutor, "_begin", terminated)
    adapter.work()
    adapter.scheduler.reconcile()

    ended = adapter.instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert (ended.status, TAG_LOST in ended.tags) == (DagsterRunStatus.CANCELED, False)
    assert outcome_of(adapter, polled).kind is OutcomeKind.ABORTED
    assert adapter.work() == 0


def test_a_run_that_is_stopped_with_its_worker_begins_anew(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    polled = adapter.polled_root()
    adapter.parts.flows.request_run(ADMIN, polled.id)
    adapter.scheduler.step()
    run = adapter.run_of(polled)
    with monkeypatch.context() as stopping:
        stopping.setattr(StandInCoordinator, "pull", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
        adapter.work()

    status = adapter.orchestrator.status(run.run_id)
    adapter.scheduler.reconcile()
    adapter.settle()

    assert (status.state, "stopped with its worker" in str(status.message)) == (RunState.LEFT, True)
    assert outcome_of(adapter, polled).kind is OutcomeKind.SUCCESS
    assert flow_of(adapter, polled).attempt == 2


def test_a_run_that_ended_before_it_could_be_terminated_keeps_its_end(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    polled = adapter.polled_root()
    adapter.parts.flows.request_run(ADMIN, polled.id)
    adapter.settle()
    run = adapter.run_of(polled)
    before = run._replace(status=DagsterRunStatus.STARTED)
    with monkeypatch.context() as too_early:
        too_early.setattr(adapter.instance, "get_run_by_id", lambda _: before)
        adapter.instance.run_launcher.terminate(run.run_id)

    assert adapter.run_of(polled).status is DagsterRunStatus.SUCCESS


def test_a_run_that_cannot_be_buried_keeps_no_other_from_it(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [adapter.polled_root(), adapter.polled_root()]
    for entry in entries:
        adapter.parts.flows.request_run(ADMIN, entry.id)
    adapter.scheduler.step()
    runs = [adapter.run_of(entry).run_id for entry in entries]
    for _ in runs:
        adapter.parts.queue.claim("dead-host:1:1")
    failed = DagsterInstance.report_run_failed
    refused: list[str] = []

    def refuse_first(instance: DagsterInstance, run: DagsterRun, reason: str) -> object:
        if not refused:
            refused.append(run.run_id)
            raise ValueError("it cannot be read")
        return failed(instance, run, reason)

    monkeypatch.setattr(DagsterInstance, "report_run_failed", refuse_first)
    adapter.reaper.bury_lost()

    found = {run_id: adapter.instance.get_run_by_id(run_id) for run_id in runs}
    assert {run_id for run_id, run in found.items() if run and not run.is_finished} == {*refused}
    adapter.reaper.bury_lost()
    adapter.scheduler.reconcile()
    adapter.settle()
