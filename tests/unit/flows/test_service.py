from __future__ import annotations

import pytest

from kamu_assets.auth.model import ANONYMOUS, Caller
from kamu_assets.database.errors import TransactionConflictError
from kamu_assets.database.transaction import Transaction
from kamu_assets.errors import DeniedError
from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.errors import InvalidTriggerError
from kamu_assets.flows.model import Binding, Flow, FlowOutcome, FlowState, FlowType, OutcomeKind
from kamu_assets.flows.retrying import PLAIN
from kamu_assets.flows.store import FlowNotFoundError
from kamu_assets.flows.triggers.rules import Cron, Interval
from kamu_assets.governance.errors import LoginRequiredError
from tests.support.heart import ADMIN, account
from tests.unit.flows.conftest import Flows

DONE = FlowOutcome(OutcomeKind.SUCCESS)


def test_a_request_joins_the_flow_that_waits_already(flows: Flows) -> None:
    root = flows.root()

    first = flows.service.request_run(ADMIN, root.id)
    second = flows.service.request_run(ADMIN, root.alias)

    assert second.id == first.id
    assert flows.only(root).type is FlowType.INGEST


def test_only_those_who_may_write_start_flows(flows: Flows) -> None:
    root = flows.root()

    with pytest.raises(LoginRequiredError):
        flows.service.request_run(ANONYMOUS, root.id)
    with pytest.raises(LoginRequiredError):
        flows.triggers.set(ANONYMOUS, root.id, Interval(60))


def test_a_run_from_dagsters_ui_becomes_a_flow(flows: Flows) -> None:
    root = flows.root()

    flows.service.run_adopted("ui-run", {Binding(root.id, FlowType.INGEST): PLAIN})
    flows.service.run_finished("ui-run", DONE, bindings=[Binding(root.id, FlowType.INGEST)])

    flow = flows.only(root)
    assert flow.cause.kind is CauseKind.DAGSTER_UI
    assert (flow.state, flow.run_id, flow.outcome) == (FlowState.FINISHED, "ui-run", DONE)


def test_a_run_from_dagsters_ui_beside_a_running_flow_is_recorded_when_it_ends(flows: Flows) -> None:
    root = flows.root()
    flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()

    flows.service.run_adopted("ui-run", {Binding(root.id, FlowType.INGEST): PLAIN})
    flows.service.run_finished("ui-run", DONE, bindings=[Binding(root.id, FlowType.INGEST)])

    assert {(flow.cause.kind, flow.state) for flow in flows.of(root)} == {
        (CauseKind.MANUAL, FlowState.RUNNING),
        (CauseKind.DAGSTER_UI, FlowState.FINISHED),
    }


def test_a_run_from_dagsters_ui_may_work_on_several_datasets(flows: Flows) -> None:
    roots = [flows.root("one"), flows.root("two")]

    for root in roots:
        flows.service.run_adopted("ui-run", {Binding(root.id, FlowType.INGEST): PLAIN})
    flows.service.run_finished("ui-run", DONE, bindings=[Binding(root.id, FlowType.INGEST) for root in roots])

    assert [flows.only(root).outcome for root in roots] == [DONE, DONE]


def test_a_run_tells_when_it_started_and_ended(flows: Flows) -> None:
    root = flows.root()
    flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()
    flow = flows.only(root)

    began = flows.clock.advance(1)
    flows.service.run_started(str(flow.run_id))
    ended = flows.clock.advance(2)
    flows.service.run_finished(str(flow.run_id), DONE)

    assert (flows.only(root).started_at, flows.only(root).finished_at) == (began, ended)


def test_a_run_is_counted_on_unless_only_dagsters_ui_asked_for_it(flows: Flows) -> None:
    planned, chosen = flows.root("planned"), flows.root("chosen")
    flows.triggers.set(ADMIN, planned.id, Interval(60))

    flows.service.run_adopted("ui-run", {Binding(root.id, FlowType.INGEST): PLAIN for root in (planned, chosen)})

    assert flows.service.is_counted_on("ui-run", planned.id)
    assert not flows.service.is_counted_on("ui-run", chosen.id)
    assert not flows.service.is_counted_on("another", planned.id)


def test_a_late_end_does_not_change_an_outcome(flows: Flows) -> None:
    root = flows.root()
    flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()
    run_id = str(flows.only(root).run_id)

    flows.service.run_finished(run_id, DONE)
    flows.service.run_finished(run_id, FlowOutcome(OutcomeKind.FAILED, "late"))

    assert flows.only(root).outcome == DONE


def test_what_a_worker_tells_is_kept_although_somebody_was_in_the_way(
    flows: Flows, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = flows.root()
    flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()
    settle, tries = flows.service.life.settle, iter([TransactionConflictError, TransactionConflictError])

    def obstructed(tx: Transaction, flow: Flow, outcome: FlowOutcome) -> Flow:
        settled = settle(tx, flow, outcome)
        for error in tries:
            raise error
        return settled

    monkeypatch.setattr(flows.service.life, "settle", obstructed)
    flows.service.run_finished(str(flows.only(root).run_id), DONE)

    assert flows.only(root).outcome == DONE


def test_cancelling_a_waiting_flow_ends_it_at_once(flows: Flows) -> None:
    root = flows.root()
    flow = flows.service.request_run(ADMIN, root.id)

    flows.service.cancel(ADMIN, flow.id)
    flows.scheduler.step()

    assert flows.only(root).outcome == FlowOutcome(OutcomeKind.ABORTED)
    assert flows.orchestrator.submitted == []


def test_a_flow_that_is_not_there_is_told_so(flows: Flows) -> None:
    with pytest.raises(FlowNotFoundError):
        flows.service.get(ADMIN, 404)


def test_a_trigger_replaces_the_one_before(flows: Flows) -> None:
    root = flows.root()

    flows.triggers.set(ADMIN, root.id, Interval(60))
    flows.triggers.set(ADMIN, root.id, Cron("0 0 * * *"))

    assert [each.trigger.rule for each in flows.triggers.list(ADMIN)] == [Cron("0 0 * * *")]
    flows.triggers.remove(ADMIN, root.id)
    assert flows.triggers.list(ADMIN) == []


def test_a_trigger_without_times_is_refused(flows: Flows) -> None:
    root = flows.root()

    with pytest.raises(InvalidTriggerError):
        flows.triggers.set(ADMIN, root.id, Cron("sometimes"))


def test_what_runs_for_a_dataset_that_is_deleted_can_be_stopped(flows: Flows) -> None:
    root = flows.root()
    flow = flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()
    flows.heart.datasets.delete(ADMIN, root.id)
    flows.scheduler.step()

    flows.service.cancel(ADMIN, flow.id)
    flows.scheduler.step()

    assert flows.orchestrator.canceled == flows.orchestrator.submitted
    with pytest.raises(DeniedError):
        flows.service.cancel(Caller(account("alice")), flow.id)
