"""Triggers: batches of new data, pauses, stops after failures, and what lets them go on."""

from __future__ import annotations

import pytest

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.flows.causes import CauseKind, UpdateSource
from kamu_assets.flows.errors import FlowTypeNotSupportedError, InvalidStopPolicyError
from kamu_assets.flows.model import FlowOutcome, FlowState, OutcomeKind, StartCondition, WaitKind
from kamu_assets.flows.triggers.rules import Cron, Interval, Reactive, StopReason
from kamu_assets.odf.timestamp import Timestamp
from tests.support.heart import ADMIN
from tests.unit.flows.conftest import Flows

DONE = FlowOutcome(OutcomeKind.SUCCESS)
PASSING = FlowOutcome(OutcomeKind.FAILED, "the network is away")
LASTING = FlowOutcome(OutcomeKind.FAILED, "no such column", recoverable=False)


def after(flows: Flows, seconds: int) -> Timestamp:
    return Timestamp(flows.clock.now().ns + seconds * 1_000_000_000)


def batched(flows: Flows) -> tuple[DatasetEntry, DatasetEntry]:
    """A root, and a derivative that waits for 25 records, at most a minute."""
    root = flows.root()
    reader = flows.derivative("reader", root)
    flows.triggers.set(ADMIN, reader.id, Reactive(25, 60))
    flows.scheduler.step()
    return root, reader


def waiting(deadline: Timestamp, *, records: int) -> StartCondition:
    return StartCondition(WaitKind.REACTIVE, until=deadline, records=records, min_records=25, watermark_moved=True)


def test_a_batch_waits_for_its_records(flows: Flows) -> None:
    root, reader = batched(flows)
    flows.push(root)
    deadline = after(flows, 60)
    flows.scheduler.step()
    assert flows.only(reader).condition == waiting(deadline, records=10)

    flows.push(root)
    assert flows.scheduler.step() == deadline
    assert flows.only(reader).condition == waiting(deadline, records=20)
    flows.push(root)
    flows.scheduler.step()

    assert flows.only(reader).state is FlowState.RUNNING
    assert [cause.records for cause in flows.only(reader).causes] == [30]


def test_a_batch_that_does_not_fill_up_starts_at_its_deadline(flows: Flows) -> None:
    root, reader = batched(flows)
    flows.push(root)
    flows.scheduler.step()

    flows.clock.advance(59)
    flows.scheduler.step()
    assert flows.only(reader).state is FlowState.WAITING
    flows.clock.advance(1)
    flows.scheduler.step()

    assert flows.only(reader).state is FlowState.RUNNING


def test_who_asks_does_not_wait_for_the_batch(flows: Flows) -> None:
    root, reader = batched(flows)
    flows.push(root)
    flows.scheduler.step()

    flows.service.request_run(ADMIN, reader.id)
    flows.scheduler.step()

    assert flows.only(reader).state is FlowState.RUNNING
    assert [cause.kind for cause in flows.only(reader).causes] == [CauseKind.INPUT_UPDATED, CauseKind.MANUAL]


def test_a_smaller_batch_starts_what_waits_for_a_larger_one(flows: Flows) -> None:
    root, reader = batched(flows)
    flows.push(root)
    flows.scheduler.step()

    flows.triggers.set(ADMIN, reader.id, Reactive(5, 60))
    flows.scheduler.step()

    assert flows.only(reader).state is FlowState.RUNNING


def test_a_paused_derivative_follows_nothing_and_catches_up_when_resumed(flows: Flows) -> None:
    root = flows.root()
    reader = flows.derivative("reader", root)
    flows.triggers.pause(ADMIN, reader.id)
    flows.push(root)
    flows.push(root)
    flows.scheduler.step()
    assert flows.of(reader) == []

    flows.triggers.resume(ADMIN, reader.id)
    flows.scheduler.step()

    flow = flows.only(reader)
    assert flow.state is FlowState.RUNNING
    assert (flow.cause.input, flow.cause.source, flow.cause.records) == (root.id, UpdateSource.FOUND, 20)


def test_a_derivative_follows_again_without_its_trigger(flows: Flows) -> None:
    root = flows.root()
    reader = flows.derivative("reader", root)
    flows.triggers.pause(ADMIN, reader.id)
    flows.push(root)
    flows.scheduler.step()

    flows.triggers.remove(ADMIN, reader.id)
    flows.scheduler.step()

    assert flows.only(reader).state is FlowState.RUNNING
    assert flows.triggers.list(ADMIN) == []


def test_a_derivative_with_a_rule_of_time_keeps_to_it(flows: Flows) -> None:
    root = flows.root()
    reader = flows.derivative("reader", root)
    planned = flows.triggers.set(ADMIN, reader.id, Cron("0 0 * * *"))

    flows.push(root)
    flows.scheduler.step()

    assert (flows.only(reader).state, flows.only(reader).scheduled_at) == (FlowState.WAITING, planned.next_due)


def test_roots_have_nothing_to_react_to(flows: Flows) -> None:
    with pytest.raises(FlowTypeNotSupportedError, match="no inputs"):
        flows.triggers.set(ADMIN, flows.root().id, Reactive())


@pytest.mark.parametrize("stop_after", [0, 11])
def test_a_stop_policy_has_a_few_failures(flows: Flows, stop_after: int) -> None:
    with pytest.raises(InvalidStopPolicyError, match="1 to 10 failures"):
        flows.triggers.set(ADMIN, flows.root().id, Interval(60), stop_after=stop_after)


def fail(flows: Flows, root: DatasetEntry, outcome: FlowOutcome = PASSING) -> None:
    """The next flow of the root's rule comes to nothing."""
    flows.clock.advance(60)
    flows.scheduler.step()
    flows.service.run_finished(str(flows.of(root)[-1].run_id), outcome)


def test_failures_in_a_row_stop_a_trigger(flows: Flows) -> None:
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Interval(60), stop_after=2)

    fail(flows, root)
    fail(flows, root, DONE)
    fail(flows, root)
    assert flows.of(root)[-1].state is FlowState.WAITING
    fail(flows, root)

    (stopped,) = flows.triggers.list(ADMIN)
    assert (stopped.trigger.stop_reason, stopped.trigger.paused) == (StopReason.STOP_POLICY, True)
    assert stopped.trigger.stopped_at == flows.clock.now()
    assert flows.of(root)[-1].state is FlowState.FINISHED
    assert flows.scheduler.step() is None


def test_what_stays_wrong_stops_a_trigger_at_once(flows: Flows) -> None:
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Interval(60))

    fail(flows, root, LASTING)

    (stopped,) = flows.triggers.list(ADMIN)
    assert stopped.trigger.stop_reason is StopReason.UNRECOVERABLE_FAILURE
    assert flows.scheduler.step() is None


def test_a_success_that_somebody_asked_for_lets_a_stopped_trigger_go_on(flows: Flows) -> None:
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Interval(60), stop_after=1)
    fail(flows, root)

    flows.service.request_run(ADMIN, root.id)
    flows.clock.advance(1)
    flows.scheduler.step()
    flows.service.run_finished(str(flows.of(root)[-1].run_id), DONE)

    (resumed,) = flows.triggers.list(ADMIN)
    assert not resumed.trigger.paused
    assert flows.scheduler.step() == resumed.next_due == after(flows, 60)


def test_a_stopped_trigger_that_is_resumed_counts_failures_anew(flows: Flows) -> None:
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Interval(60), stop_after=2)
    fail(flows, root)
    fail(flows, root)

    flows.triggers.resume(ADMIN, root.id)
    fail(flows, root)

    (going,) = flows.triggers.list(ADMIN)
    assert not going.trigger.paused


def test_a_derivative_without_a_trigger_is_never_stopped(flows: Flows) -> None:
    root = flows.root()
    reader = flows.derivative("reader", root)
    for _ in range(3):
        flows.push(root)
        flows.scheduler.step()
        flows.service.run_finished(str(flows.of(reader)[-1].run_id), LASTING)

    assert len(flows.of(reader)) == 3


def test_nothing_follows_what_stays_wrong(flows: Flows) -> None:
    root = flows.root()
    reader = flows.derivative("reader", root)
    for _ in range(2):
        flows.push(root)
        flows.scheduler.step()

    flows.service.run_finished(str(flows.only(reader).run_id), LASTING)

    assert flows.only(reader).outcome == LASTING


def test_whoever_cancels_a_planned_flow_pauses_its_rule(flows: Flows) -> None:
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Interval(60))
    flows.scheduler.step()

    flows.service.cancel(ADMIN, flows.only(root).id)
    flows.service.run_finished(str(flows.only(root).run_id), FlowOutcome(OutcomeKind.ABORTED))

    (paused,) = flows.triggers.list(ADMIN)
    assert (paused.trigger.paused, paused.trigger.stop_reason) == (True, None)
    assert flows.scheduler.step() is None


def test_whoever_stops_the_run_of_a_planned_flow_pauses_its_rule(flows: Flows) -> None:
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Interval(60))
    flows.scheduler.step()

    flows.service.run_finished(str(flows.only(root).run_id), FlowOutcome(OutcomeKind.ABORTED))

    (paused,) = flows.triggers.list(ADMIN)
    assert (paused.trigger.paused, paused.trigger.stop_reason) == (True, None)
    assert flows.scheduler.step() is None
    assert flows.only(root).outcome == FlowOutcome(OutcomeKind.ABORTED)


def test_a_rule_that_goes_on_before_what_was_cancelled_has_stopped_goes_on(flows: Flows) -> None:
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Interval(60))
    flows.scheduler.step()
    running = flows.only(root)
    flows.service.cancel(ADMIN, running.id)
    flows.triggers.resume(ADMIN, root.id)

    flows.service.run_finished(str(running.run_id), FlowOutcome(OutcomeKind.ABORTED))

    (going,) = flows.triggers.list(ADMIN)
    assert not going.trigger.paused


def test_setting_a_trigger_resumes_it(flows: Flows) -> None:
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Interval(60))
    flows.triggers.pause(ADMIN, root.id)

    flows.triggers.set(ADMIN, root.id, Interval(90))

    (going,) = flows.triggers.list(ADMIN)
    assert (going.trigger.paused, going.trigger.rule) == (False, Interval(90))
