"""How what happens to datasets by itself is going."""

from __future__ import annotations

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.flows.model import FlowOutcome, FlowType, OutcomeKind
from kamu_assets.flows.processes.listing import Process, ProcessState
from kamu_assets.flows.retrying import FlowConfig, RetryPolicy
from kamu_assets.flows.triggers.rules import Cron, Interval, StopReason
from tests.support.heart import ADMIN
from tests.unit.flows.conftest import Flows

DONE = FlowOutcome(OutcomeKind.SUCCESS)
PASSING = FlowOutcome(OutcomeKind.FAILED, "the network is away")


def of(flows: Flows, dataset: DatasetEntry) -> Process:
    (found,) = [each for each in flows.processes.list(ADMIN) if each.dataset_id == dataset.id]
    return found


def run(flows: Flows, dataset: DatasetEntry, outcome: FlowOutcome) -> None:
    flows.clock.advance(60)
    flows.scheduler.step()
    flows.service.run_finished(str(flows.of(dataset)[-1].run_id), outcome)


def test_a_root_without_a_trigger_is_unconfigured_and_a_derivative_active(flows: Flows) -> None:
    root = flows.root()
    reader = flows.derivative("reader", root)

    assert (of(flows, root).state, of(flows, root).type) == (ProcessState.UNCONFIGURED, FlowType.INGEST)
    assert (of(flows, reader).state, of(flows, reader).type) == (ProcessState.ACTIVE, FlowType.EXECUTE_TRANSFORM)


def test_a_process_goes_from_active_over_failing_to_stopped_and_on(flows: Flows) -> None:
    root = flows.root()
    planned = flows.triggers.set(ADMIN, root.id, Cron("* * * * *"), stop_after=2)
    assert (of(flows, root).state, of(flows, root).next_planned_at) == (ProcessState.ACTIVE, planned.next_due)

    run(flows, root, PASSING)
    failing = of(flows, root)
    assert (failing.state, failing.consecutive_failures) == (ProcessState.FAILING, 1)
    assert failing.last_failure_at == failing.last_attempt_at == flows.clock.now()
    assert failing.next_planned_at is not None

    run(flows, root, PASSING)
    stopped = of(flows, root)
    assert (stopped.state, stopped.stop_reason) == (ProcessState.STOPPED_AUTO, StopReason.STOP_POLICY)
    assert (stopped.stopped_at, stopped.next_planned_at) == (flows.clock.now(), None)

    flows.triggers.resume(ADMIN, root.id)
    run(flows, root, DONE)
    going = of(flows, root)
    assert (going.state, going.consecutive_failures) == (ProcessState.ACTIVE, 0)
    assert going.last_success_at == flows.clock.now()


def test_a_paused_process_says_since_when(flows: Flows) -> None:
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Interval(60))
    flows.triggers.pause(ADMIN, root.id)

    paused = of(flows, root)

    assert (paused.state, paused.paused_at) == (ProcessState.PAUSED_MANUAL, flows.clock.now())


def test_a_process_says_since_when_it_runs(flows: Flows) -> None:
    root = flows.root()
    flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()
    assert of(flows, root).running_since is None

    flows.service.run_started(str(flows.only(root).run_id))

    assert of(flows, root).running_since == flows.clock.now()


def test_a_process_still_runs_while_it_is_tried_again(flows: Flows) -> None:
    root = flows.root()
    flows.configs.set(ADMIN, root.id, FlowConfig(RetryPolicy(1, 60)))
    flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()
    began = flows.clock.now()
    flows.service.run_started(str(flows.only(root).run_id))
    flows.clock.advance(5)
    flows.service.run_finished(str(flows.only(root).run_id), PASSING)
    assert of(flows, root).running_since == began

    flows.clock.advance(60)
    flows.scheduler.step()
    assert of(flows, root).running_since is None
    flows.service.run_finished(str(flows.only(root).run_id), PASSING)
    assert of(flows, root).running_since is None


def test_what_was_aborted_does_not_count(flows: Flows) -> None:
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Interval(60))

    run(flows, root, FlowOutcome(OutcomeKind.ABORTED))

    assert (of(flows, root).last_attempt_at, of(flows, root).consecutive_failures) == (None, 0)


def test_trouble_comes_first_and_states_can_be_chosen(flows: Flows) -> None:
    roots = [flows.root(name) for name in ("a", "b", "c")]
    for root in roots[:2]:
        flows.triggers.set(ADMIN, root.id, Interval(3600), stop_after=1)
    flows.scheduler.step()
    flows.service.run_finished(str(flows.only(roots[1]).run_id), PASSING)

    assert [str(each.alias and each.alias.name) for each in flows.processes.list(ADMIN)] == ["b", "c", "a"]
    chosen = flows.processes.list(ADMIN, states=[ProcessState.ACTIVE, ProcessState.UNCONFIGURED])
    assert [str(each.alias and each.alias.name) for each in chosen] == ["c", "a"]
    assert [str(each.alias and each.alias.name) for each in flows.processes.list(ADMIN, limit=1, offset=1)] == ["c"]
    assert flows.processes.rollup(ADMIN) == {
        ProcessState.STOPPED_AUTO: 1,
        ProcessState.FAILING: 0,
        ProcessState.UNCONFIGURED: 1,
        ProcessState.PAUSED_MANUAL: 0,
        ProcessState.ACTIVE: 1,
    }


def test_a_deleted_dataset_has_no_process(flows: Flows) -> None:
    root = flows.root()
    flows.heart.datasets.delete(ADMIN, root.id)
    flows.scheduler.step()

    assert flows.processes.list(ADMIN) == []
