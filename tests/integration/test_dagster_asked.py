"""Runs that somebody asks for in Dagster's UI, whatever becomes of them before a worker begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from dagster import DagsterRun, DagsterRunStatus

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.model import Flow, FlowOutcome, FlowState, FlowType, OutcomeKind
from kamu_assets.flows.service import FlowService
from kamu_assets.odf.identity import DatasetName
from kamu_assets.orchestration.asked_runs import AskedRuns
from kamu_assets.orchestration.instance import RunNeededError
from kamu_assets.orchestration.names import TAG_ATTEMPT, TAG_FLOW, TAG_FLOW_TYPE, TAG_IDLE, TAG_LOST, TAG_RUNTIME
from tests.support.dagster_adapter import Adapter
from tests.support.heart import ADMIN

Start = Callable[[Adapter, DatasetEntry], DagsterRun]


def compaction(adapter: Adapter, root: DatasetEntry) -> DagsterRun:
    return adapter.job_run("compact_dataset", {"ops": {"compact": {"config": {"dataset": str(root.alias)}}}})


STARTS: dict[FlowType, Start] = {
    FlowType.INGEST: lambda adapter, root: adapter.ui_run(root),
    FlowType.VERIFY: lambda adapter, root: adapter.check_run(root),
    FlowType.HARD_COMPACTION: compaction,
}
every_kind = pytest.mark.parametrize("type_", STARTS, ids=str)


def asked_runs(adapter: Adapter) -> AskedRuns:
    """Of a leader that has just begun."""
    parts = adapter.parts
    return AskedRuns(
        instance=adapter.instance,
        catalog=parts.catalog,
        flows=parts.flows,
        runs=adapter.orchestrator,
        clock=parts.clock,
    )


def terminate(adapter: Adapter, run: DagsterRun) -> None:
    """As the UI does."""
    adapter.instance.run_coordinator.cancel_run(run.run_id)


@every_kind
def test_what_waits_is_a_flow_already(adapter: Adapter, type_: FlowType) -> None:
    root = adapter.pushed_root()
    run = STARTS[type_](adapter, root)

    asked_runs(adapter).look()

    (flow,) = adapter.parts.flows_of(root.id)
    assert (flow.type, flow.cause.kind, flow.state) == (type_, CauseKind.DAGSTER_UI, FlowState.RUNNING)
    assert (flow.run_id, flow.started_at) == (run.run_id, None)

    asked_runs(adapter).look()
    adapter.work()
    asked_runs(adapter).look()

    (ended,) = adapter.parts.flows_of(root.id)
    assert (ended.id, ended.state, ended.attempt) == (flow.id, FlowState.FINISHED, 1)
    assert ended.started_at is not None
    told = adapter.instance.get_run_by_id(run.run_id)
    assert told is not None
    assert [told.tags[tag] for tag in (TAG_FLOW, TAG_FLOW_TYPE, TAG_ATTEMPT)] == [str(flow.id), type_.value, "1"]


@every_kind
@pytest.mark.parametrize("is_seen", [True, False], ids=["seen waiting", "not seen"])
def test_what_is_terminated_before_a_worker_begins_is_an_aborted_flow(
    adapter: Adapter, type_: FlowType, *, is_seen: bool
) -> None:
    root = adapter.pushed_root()
    look = asked_runs(adapter).look
    run = STARTS[type_](adapter, root)
    if is_seen:
        look()

    terminate(adapter, run)
    look()
    adapter.scheduler.reconcile()
    look()
    asked_runs(adapter).look()
    adapter.work()

    (flow,) = adapter.parts.flows_of(root.id)
    assert (flow.type, flow.run_id, flow.cause.kind) == (type_, run.run_id, CauseKind.DAGSTER_UI)
    assert flow.outcome == FlowOutcome(OutcomeKind.ABORTED)


def test_what_is_terminated_when_a_worker_has_just_taken_it_is_an_aborted_flow(adapter: Adapter) -> None:
    root = adapter.pushed_root()
    run = adapter.ui_run(root)
    adapter.instance.report_run_canceling(run)

    adapter.work()
    asked_runs(adapter).look()

    (flow,) = adapter.parts.flows_of(root.id)
    assert flow.outcome == FlowOutcome(OutcomeKind.ABORTED)


def test_beside_a_flow_of_its_kind_it_is_one_once_that_has_ended(adapter: Adapter) -> None:
    root = adapter.polled_root()
    adapter.parts.flows.request_run(ADMIN, root.id)
    adapter.scheduler.step()
    look = asked_runs(adapter).look
    run = adapter.ui_run(root)

    look()
    beside = [flow.run_id for flow in adapter.parts.flows_of(root.id)]
    terminate(adapter, adapter.run_of(root))
    adapter.scheduler.reconcile()
    look()
    (waiting, _) = adapter.parts.flows_of(root.id)

    assert run.run_id not in beside
    assert (waiting.run_id, waiting.state) == (run.run_id, FlowState.RUNNING)
    adapter.work()


def test_beside_a_flow_of_its_kind_it_is_kept_how_it_ended(adapter: Adapter) -> None:
    root = adapter.polled_root()
    asked = adapter.parts.flows.request_run(ADMIN, root.id)
    adapter.scheduler.step()
    run = adapter.ui_run(root)
    look = asked_runs(adapter).look
    look()

    terminate(adapter, run)
    look()

    (kept, live) = adapter.parts.flows_of(root.id)
    assert (kept.run_id, kept.outcome) == (run.run_id, FlowOutcome(OutcomeKind.ABORTED))
    assert (live.id, live.state) == (asked.id, FlowState.RUNNING)
    adapter.work()


def test_an_attempt_that_was_lost_is_no_flow_of_its_own(adapter: Adapter) -> None:
    roots = [adapter.pushed_root(), adapter.pushed_root()]
    adapter.ui_run(*roots)
    look = asked_runs(adapter).look
    look()
    adapter.parts.queue.claim("dead-host:1:1")

    adapter.reaper.bury_lost()
    look()
    adapter.scheduler.reconcile()
    look()
    adapter.settle()
    asked_runs(adapter).look()

    for root in roots:
        (flow,) = adapter.parts.flows_of(root.id)
        assert (flow.attempt, flow.outcome) == (2, FlowOutcome(OutcomeKind.UP_TO_DATE))


def test_a_run_is_not_deleted_while_something_depends_on_it(adapter: Adapter) -> None:
    root = adapter.pushed_root()
    run = adapter.ui_run(root)
    asked_runs(adapter).look()

    with pytest.raises(RunNeededError, match="terminate it"):
        adapter.instance.delete_run(run.run_id)
    terminate(adapter, run)
    with pytest.raises(RunNeededError):
        adapter.instance.delete_run(run.run_id)
    adapter.scheduler.reconcile()
    adapter.instance.delete_run(run.run_id)
    adapter.settle()

    (flow,) = adapter.parts.flows_of(root.id)
    assert flow.outcome == FlowOutcome(OutcomeKind.ABORTED)
    assert not adapter.instance.has_run(run.run_id)


def test_a_run_made_like_one_of_the_nodes_is_another_one(adapter: Adapter) -> None:
    root = adapter.pushed_root()
    mine = {TAG_RUNTIME: "warm", "whose": "mine"}

    run = adapter.ui_run_to_submit(root, tags={**mine, TAG_FLOW: "1", TAG_IDLE: "true", TAG_LOST: "true"})

    assert {**mine, **run.tags} == dict(run.tags)
    assert not {TAG_FLOW, TAG_IDLE, TAG_LOST} & {*run.tags}
    assert run.status is DagsterRunStatus.NOT_STARTED


@pytest.mark.parametrize("is_verified", [True, False])
def test_what_is_renamed_while_its_run_waits_is_done_under_its_new_name(adapter: Adapter, *, is_verified: bool) -> None:
    root = adapter.polled_root()
    flows = adapter.parts.flows
    asked = adapter.parts.requests().run(ADMIN, root.id, FlowType.VERIFY) if is_verified else None
    flow = asked or flows.request_run(ADMIN, root.id)
    adapter.scheduler.step()
    adapter.parts.datasets.rename(ADMIN, root.id, DatasetName.parse(f"{root.name}-renamed"))
    # Whoever has the old name now is not meant.
    other = adapter.polled_root()
    adapter.parts.datasets.rename(ADMIN, other.id, root.name)

    adapter.work()
    adapter.scheduler.reconcile()
    adapter.settle()

    ended = flows.get(ADMIN, flow.id)
    assert ended.outcome is not None
    assert (ended.outcome.kind, ended.attempt) == (OutcomeKind.SUCCESS, 2)
    assert adapter.parts.flows_of(other.id) == []
    assert adapter.parts.chains.state(other.id).next_offset == 0


def test_what_is_wrong_with_one_keeps_nobody_from_the_others(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = [adapter.pushed_root(), adapter.pushed_root()]
    for root in roots:
        adapter.ui_run(root)
    told, refused = FlowService.run_asked, [ValueError("not that one")]

    def refuse_first(*asked: Any) -> Sequence[Flow]:
        if refused:
            raise refused.pop()
        return told(*asked)

    monkeypatch.setattr(FlowService, "run_asked", refuse_first)
    asked_runs(adapter).look()

    assert sorted(len(adapter.parts.flows_of(root.id)) for root in roots) == [0, 1]
    adapter.settle()
