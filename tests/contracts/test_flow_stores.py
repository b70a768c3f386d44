"""Rows of flows and triggers behave alike on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kamu_assets.database.database import Database
from kamu_assets.flows.model import (
    CauseKind,
    Cron,
    Flow,
    FlowCause,
    FlowOutcome,
    FlowState,
    FlowType,
    Interval,
    OutcomeKind,
    Trigger,
)
from kamu_assets.flows.store import FlowNotFoundError, FlowStore
from kamu_assets.flows.trigger_store import TriggerStore
from kamu_assets.odf.identity import AccountID, DatasetID
from kamu_assets.odf.timestamp import Timestamp
from tests.support.builders import START, a_dataset_id

FLOWS = FlowStore()
TRIGGERS = TriggerStore()


def a_flow(
    id_: str, dataset: DatasetID | None = None, *, state: FlowState = FlowState.WAITING, second: int = 0
) -> Flow:
    return Flow(
        id=id_,
        dataset_id=dataset or a_dataset_id(),
        type=FlowType.EXECUTE_TRANSFORM,
        cause=FlowCause(CauseKind.INPUT_UPDATED, input=a_dataset_id("input")),
        state=state,
        created_at=Timestamp(START.ns + second * 1_000_000_000),
    )


def test_every_field_of_a_flow_is_kept(database: Database) -> None:
    flow = replace(
        a_flow("full", state=FlowState.FINISHED),
        cause=FlowCause(CauseKind.MANUAL, account=AccountID.seeded(b"kamu")),
        attempt=2,
        run_id="run-2",
        root_run_id="run-1",
        parent_run_id="run-1",
        submitted_at=START,
        started_at=START,
        finished_at=START,
        cancel_requested=True,
        outcome=FlowOutcome(OutcomeKind.FAILED, "with\na reason"),
    )

    with database.transaction() as tx:
        assert FLOWS.add(tx, flow)

    with database.reading() as tx:
        assert FLOWS.get(tx, "full") == flow
        assert FLOWS.by_run(tx, "run-2") == [flow]


@pytest.mark.parametrize("state", [FlowState.WAITING, FlowState.RUNNING])
def test_a_dataset_has_at_most_one_flow_in_a_live_state(database: Database, state: FlowState) -> None:
    with database.transaction() as tx:
        assert FLOWS.add(tx, a_flow("first", state=state))

    with database.transaction() as tx:
        assert not FLOWS.add(tx, a_flow("second", state=state))
        assert FLOWS.add(tx, a_flow("elsewhere", a_dataset_id("other"), state=state))

    with database.reading() as tx:
        first = FLOWS.find(tx, a_dataset_id(), state)
    assert first is not None
    assert first.id == "first"


def test_finished_flows_pile_up(database: Database) -> None:
    with database.transaction() as tx:
        for number in range(3):
            assert FLOWS.add(tx, a_flow(f"flow-{number}", state=FlowState.FINISHED, second=number))

    with database.reading() as tx:
        assert [flow.id for flow in FLOWS.list(tx, dataset=a_dataset_id())] == ["flow-2", "flow-1", "flow-0"]
        assert [flow.id for flow in FLOWS.list(tx, limit=1, offset=1)] == ["flow-1"]


def test_flows_of_busy_datasets_are_not_submittable(database: Database) -> None:
    with database.transaction() as tx:
        FLOWS.add(tx, a_flow("runs", a_dataset_id("busy"), state=FlowState.RUNNING))
        FLOWS.add(tx, a_flow("waits", a_dataset_id("busy")))
        FLOWS.add(tx, a_flow("later", a_dataset_id("free"), second=2))
        FLOWS.add(tx, a_flow("sooner", a_dataset_id("idle"), second=1))

    with database.reading() as tx:
        assert [flow.id for flow in FLOWS.submittable(tx, 10)] == ["sooner", "later"]
        assert [flow.id for flow in FLOWS.submittable(tx, 1)] == ["sooner"]
        assert FLOWS.count_running(tx) == 1


def test_a_missing_flow_is_not_found(database: Database) -> None:
    with database.reading() as tx, pytest.raises(FlowNotFoundError):
        FLOWS.get(tx, "nothing")


def test_triggers_are_due_in_their_order(database: Database) -> None:
    soon = Trigger(a_dataset_id("soon"), Interval(60), START)
    later = Trigger(a_dataset_id("later"), Cron("0 0 * * *"), Timestamp(START.ns + 1))
    paused = Trigger(a_dataset_id("paused"), Interval(1), START, paused=True)
    with database.transaction() as tx:
        for trigger in (later, paused, soon):
            TRIGGERS.set(tx, trigger)

    with database.reading() as tx:
        assert TRIGGERS.due(tx, START) == [soon]
        assert TRIGGERS.due(tx, later.next_due) == [soon, later]
        assert TRIGGERS.next_due(tx) == START
        assert TRIGGERS.find(tx, paused.dataset_id) == paused


def test_a_trigger_that_was_changed_meanwhile_does_not_advance(database: Database) -> None:
    read = Trigger(a_dataset_id(), Interval(60), START)
    changed = replace(read, next_due=Timestamp(START.ns + 5))
    with database.transaction() as tx:
        TRIGGERS.set(tx, read)
        TRIGGERS.set(tx, changed)

    with database.transaction() as tx:
        assert not TRIGGERS.advance(tx, read, replace(read, next_due=Timestamp(START.ns + 9)))

    with database.reading() as tx:
        assert TRIGGERS.find(tx, a_dataset_id()) == changed
