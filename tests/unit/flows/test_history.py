"""What is told of flows: events, attempts, times."""

from __future__ import annotations

from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.history.events import EventKind
from kamu_assets.flows.model import Binding, FlowOutcome, FlowState, FlowType, OutcomeKind, WaitKind
from kamu_assets.flows.orchestrator import RunState
from kamu_assets.flows.retrying import PLAIN
from kamu_assets.flows.triggers.rules import Cron
from tests.support.heart import ADMIN, KAMU
from tests.unit.flows.conftest import Flows

DONE = FlowOutcome(OutcomeKind.SUCCESS)


def kinds(flows: Flows, flow_id: int) -> list[EventKind]:
    return [event.kind for event in flows.service.events(ADMIN, flow_id)]


def test_a_run_that_somebody_asked_for_tells_its_steps(flows: Flows) -> None:
    root = flows.root()
    flow = flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()
    run_id = str(flows.only(root).run_id)
    flows.clock.advance(1)
    flows.service.run_started(run_id)
    flows.clock.advance(1)
    flows.service.run_finished(run_id, DONE)

    assert kinds(flows, flow.id) == [
        EventKind.INITIATED,
        EventKind.SCHEDULED,
        EventKind.CONDITION_UPDATED,
        EventKind.ATTEMPT_QUEUED,
        EventKind.ATTEMPT_RUNNING,
        EventKind.ATTEMPT_FINISHED,
        EventKind.COMPLETED,
    ]
    events = flows.service.events(ADMIN, flow.id)
    assert [event.id for event in events] == sorted(event.id for event in events)
    assert events[0].what.cause is not None
    assert events[0].what.cause.account == KAMU.id
    (attempt,) = flows.service.attempts(ADMIN, flow.id)
    assert (attempt.run_id, attempt.outcome) == (run_id, DONE)
    assert attempt.queued_at < attempt.started_at < attempt.finished_at  # type: ignore[operator] # all are told


def test_a_flow_that_waits_for_its_time_tells_why(flows: Flows) -> None:
    root = flows.root()
    planned = flows.triggers.set(ADMIN, root.id, Cron("* * * * *"))
    flow = flows.only(root)

    first, why, when = flows.service.events(ADMIN, flow.id)

    assert first.kind is EventKind.INITIATED
    assert why.what.condition is not None
    assert (why.what.condition.kind, why.what.condition.until) == (WaitKind.SCHEDULE, planned.next_due)
    assert (when.kind, when.what.scheduled_at) == (EventKind.SCHEDULED, planned.next_due)


def test_an_aborted_flow_is_not_completed(flows: Flows) -> None:
    root = flows.root()
    flow = flows.service.request_run(ADMIN, root.id)

    flows.service.cancel(ADMIN, flow.id)

    assert kinds(flows, flow.id)[-1] is EventKind.ABORTED
    assert EventKind.COMPLETED not in kinds(flows, flow.id)
    assert flows.only(root).attempt_ended_at == flows.clock.now()


def test_each_attempt_is_kept(flows: Flows) -> None:
    root = flows.root()
    flow = flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()
    flows.orchestrator.become(flows.only(root).run_id, RunState.LOST, "the worker process died")
    flows.scheduler.reconcile()
    flows.service.run_finished(str(flows.only(root).run_id), DONE)

    lost, done = flows.service.attempts(ADMIN, flow.id)

    assert lost.outcome == FlowOutcome(OutcomeKind.FAILED, "the worker process died")
    assert (lost.number, done.number, done.outcome) == (1, 2, DONE)


def test_ids_count_up(flows: Flows) -> None:
    asked = [flows.service.request_run(ADMIN, flows.root(f"root{number}").id).id for number in range(3)]

    assert asked == [1, 2, 3]


def test_a_cause_that_says_nothing_new_is_not_told_again(flows: Flows) -> None:
    root = flows.root()
    flow = flows.service.request_run(ADMIN, root.id)
    before = kinds(flows, flow.id)

    flows.service.request_run(ADMIN, root.id)

    assert kinds(flows, flow.id) == before


def test_a_run_from_dagsters_ui_takes_over_what_waits(flows: Flows) -> None:
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Cron("0 0 1 1 *"))

    flows.service.run_adopted("ui-run", {Binding(root.id, FlowType.INGEST): PLAIN})

    flow = flows.only(root)
    assert [cause.kind for cause in flow.causes] == [CauseKind.AUTO_POLLING, CauseKind.DAGSTER_UI]
    assert (flow.state, flow.run_id) == (FlowState.RUNNING, "ui-run")
    flows.service.run_finished("ui-run", DONE, bindings=[Binding(root.id, FlowType.INGEST)])
    assert [flow.state for flow in flows.of(root)] == [FlowState.FINISHED, FlowState.WAITING]
