from __future__ import annotations

import pytest
from sqlalchemy import insert

from kamu_assets.database.errors import DatabaseUnavailableError, TransactionConflictError
from kamu_assets.database.outbox_store import messages
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.errors import ChainReplacedError, DatasetNotFoundError
from kamu_assets.datasets.messages import DatasetUpdated
from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.model import FlowOutcome, FlowState, FlowType, OutcomeKind, StartCondition, WaitKind
from kamu_assets.flows.orchestrator import RunState
from kamu_assets.flows.scheduling import scheduler
from kamu_assets.flows.triggers.rules import Cron, Interval, Reactive, Trigger
from kamu_assets.flows.triggers.store import TriggerStore
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import SetInfo
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.storage.errors import ObjectNotFoundError, StorageUnavailableError
from tests.support.heart import ADMIN
from tests.unit.flows.conftest import Flows

DONE = FlowOutcome(OutcomeKind.SUCCESS)


def test_new_data_runs_the_derivatives_that_read_it(flows: Flows) -> None:
    root = flows.root()
    reader = flows.derivative("reader", root)
    bystander = flows.derivative("bystander", flows.root("other"))

    flows.push(root)
    flows.scheduler.step()

    flow = flows.only(reader)
    assert flow.state is FlowState.RUNNING
    assert (flow.cause.kind, flow.cause.input) == (CauseKind.INPUT_UPDATED, root.id)
    assert flows.orchestrator.submitted == [flow.run_id]
    assert flows.of(bystander) == []


def test_a_new_derivative_reads_what_its_inputs_have(flows: Flows) -> None:
    empty, full = flows.root("empty"), flows.root("full")
    flows.push(full)
    flows.scheduler.step()

    reader, waiting = flows.derivative("reader", empty, full), flows.derivative("waiting", empty)
    flows.scheduler.step()

    assert flows.only(reader).cause.input == full.id
    assert flows.of(waiting) == []


def test_news_without_data_run_nothing(flows: Flows) -> None:
    root = flows.root()
    reader = flows.derivative("reader", root)

    flows.heart.committer.commit(
        root.id, expected_head=None, events=[SetInfo(description="new")], system_time=flows.heart.now(None)
    )
    flows.scheduler.step()

    assert flows.of(reader) == []


def test_what_comes_while_a_flow_runs_is_the_business_of_one_that_follows(flows: Flows) -> None:
    root = flows.root()
    reader = flows.derivative("reader", root)

    for _ in range(5):
        flows.push(root)
        flows.scheduler.step()

    flow = flows.only(reader)
    assert flow.state is FlowState.RUNNING
    assert [cause.records for cause in flow.causes] == [10]
    assert [cause.records for cause in flow.late_causes] == [40]
    assert len(flows.orchestrator.submitted) == 1


def test_a_flow_that_follows_starts_when_the_one_before_has_ended(flows: Flows) -> None:
    root = flows.root()
    reader = flows.derivative("reader", root)
    flows.push(root)
    flows.scheduler.step()
    flows.push(root)
    flows.scheduler.step()
    first = flows.only(reader)

    flows.service.run_finished(str(first.run_id), DONE)
    flows.clock.advance(1)
    flows.scheduler.step()

    assert [flow.state for flow in flows.of(reader)] == [FlowState.FINISHED, FlowState.RUNNING]
    assert [flow.cause.records for flow in flows.of(reader)] == [10, 10]
    assert flows.orchestrator.submitted == [first.run_id, flows.of(reader)[1].run_id]


def test_nothing_follows_a_flow_that_was_aborted(flows: Flows) -> None:
    root = flows.root()
    reader = flows.derivative("reader", root)
    for _ in range(2):
        flows.push(root)
        flows.scheduler.step()

    flows.service.run_finished(str(flows.only(reader).run_id), FlowOutcome(OutcomeKind.ABORTED))

    assert flows.only(reader).state is FlowState.FINISHED


def test_a_second_run_waits_until_the_first_is_long_enough_ago(flows: Flows) -> None:
    root = flows.root()
    flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()
    flows.service.run_finished(str(flows.only(root).run_id), DONE)
    ended = flows.clock.now()

    flows.service.request_run(ADMIN, root.id)

    allowed = Timestamp(ended.ns + 1_000_000_000)
    assert flows.scheduler.step() == allowed
    assert flows.of(root)[1].condition == StartCondition(
        WaitKind.THROTTLING, until=allowed, interval_seconds=1.0, shifted_from=ended
    )
    flows.clock.advance(1)
    flows.scheduler.step()
    assert flows.of(root)[1].state is FlowState.RUNNING


def test_no_more_flows_have_runs_than_can_start_soon(flows: Flows) -> None:
    root = flows.root()
    readers = [flows.derivative(f"reader{number}", root) for number in range(5)]

    flows.push(root)
    flows.scheduler.step()

    assert len(flows.orchestrator.submitted) == 3
    assert sum(flows.only(reader).state is FlowState.WAITING for reader in readers) == 2


def test_a_second_delivery_of_messages_changes_nothing(flows: Flows) -> None:
    root = flows.root()
    reader = flows.derivative("reader", root)
    flows.push(root)
    flows.scheduler.step()
    before = flows.of(reader)

    flows.scheduler.step()
    flows.scheduler.reconcile()

    assert flows.of(reader) == before


def test_a_new_interval_fires_at_once_and_again_so_long_after_the_end(flows: Flows) -> None:
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Interval(60))

    assert flows.scheduler.step() is None
    first = flows.only(root)
    assert (first.cause.kind, first.state) == (CauseKind.AUTO_POLLING, FlowState.RUNNING)
    ended = flows.clock.advance(5)
    flows.service.run_finished(str(first.run_id), DONE)

    due = Timestamp(ended.ns + 60_000_000_000)
    assert flows.scheduler.step() == due
    following = flows.of(root)[1]
    assert (following.state, following.scheduled_at) == (FlowState.WAITING, due)
    assert following.condition == StartCondition(WaitKind.SCHEDULE, until=due)


def test_a_cron_rule_fires_when_due_and_not_before(flows: Flows) -> None:
    root = flows.root()
    planned = flows.triggers.set(ADMIN, root.id, Cron("* * * * *"))

    assert flows.scheduler.step() == planned.next_due
    assert flows.only(root).state is FlowState.WAITING
    flows.clock.advance(61)
    flows.scheduler.step()

    assert flows.only(root).cause.kind is CauseKind.AUTO_POLLING
    assert flows.only(root).state is FlowState.RUNNING


def test_who_asks_for_a_planned_flow_gets_it_now(flows: Flows) -> None:
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Cron("0 0 1 1 *"))

    asked = flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()

    assert flows.only(root).id == asked.id
    assert [cause.kind for cause in flows.only(root).causes] == [CauseKind.AUTO_POLLING, CauseKind.MANUAL]
    assert flows.only(root).state is FlowState.RUNNING


def test_a_rule_without_its_flow_gets_it_when_the_scheduler_starts(flows: Flows) -> None:
    root = flows.root()
    with flows.heart.database.transaction() as tx:
        TriggerStore().set(tx, Trigger(root.id, FlowType.INGEST, Interval(60)))

    flows.scheduler.step()

    assert flows.only(root).state is FlowState.RUNNING


def test_pausing_aborts_what_waits_and_resuming_plans_it_anew(flows: Flows) -> None:
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Cron("* * * * *"))

    flows.triggers.pause(ADMIN, root.id)

    assert flows.only(root).outcome == FlowOutcome(OutcomeKind.ABORTED, "its trigger was paused")
    assert flows.scheduler.step() is None
    resumed = flows.triggers.resume(ADMIN, root.id)
    assert resumed is not None
    assert flows.scheduler.step() == resumed.next_due
    assert [flow.state for flow in flows.of(root)] == [FlowState.FINISHED, FlowState.WAITING]


def test_another_rule_moves_the_flow_that_waits(flows: Flows) -> None:
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Cron("0 0 1 1 *"))

    moved = flows.triggers.set(ADMIN, root.id, Cron("* * * * *"))

    assert flows.only(root).scheduled_at == moved.next_due == flows.scheduler.step()


def test_a_crash_before_the_run_exists_is_repaired_with_the_same_run(flows: Flows) -> None:
    root = flows.root()
    flows.service.request_run(ADMIN, root.id)
    flows.orchestrator.fails_with = RuntimeError("killed here")
    flows.scheduler.step()
    run_id = flows.only(root).run_id
    flows.orchestrator.fails_with = None

    flows.scheduler.reconcile()

    assert flows.orchestrator.submitted == [run_id]
    assert flows.only(root).attempt == 1


def test_a_flow_whose_dataset_is_gone_fails_with_the_reason(flows: Flows) -> None:
    root = flows.root()
    flows.service.request_run(ADMIN, root.id)
    flows.orchestrator.fails_with = DatasetNotFoundError(root.id)

    flows.scheduler.step()

    outcome = flows.only(root).outcome
    assert outcome is not None
    assert outcome.kind is OutcomeKind.FAILED
    assert "does not exist" in str(outcome.message)


def test_a_lost_run_is_followed_by_another_attempt(flows: Flows) -> None:
    root = flows.root()
    flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()
    first = flows.only(root).run_id
    flows.orchestrator.become(first, RunState.LOST, "the worker process died")

    flows.scheduler.reconcile()

    flow = flows.only(root)
    assert flow.state is FlowState.RUNNING
    assert (flow.attempt, flow.parent_run_id, flow.root_run_id) == (2, first, first)
    assert flows.orchestrator.submitted == [first, flow.run_id]


def test_a_flow_gives_up_after_three_lost_runs(flows: Flows) -> None:
    root = flows.root()
    flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()

    for _ in range(3):
        flows.orchestrator.become(flows.only(root).run_id, RunState.LOST, "the worker process died")
        flows.scheduler.reconcile()

    flow = flows.only(root)
    assert flow.state is FlowState.FINISHED
    assert flow.outcome == FlowOutcome(OutcomeKind.FAILED, "the worker process died, in each of 3 attempts")
    assert len(flows.orchestrator.submitted) == 3


def test_an_outcome_that_a_worker_could_not_write_is_read_from_the_run(flows: Flows) -> None:
    root = flows.root()
    flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()
    flows.orchestrator.become(flows.only(root).run_id, RunState.IDLE)

    flows.scheduler.reconcile()

    assert flows.only(root).outcome == FlowOutcome(OutcomeKind.UP_TO_DATE)


def test_cancelling_a_running_flow_stops_its_run(flows: Flows) -> None:
    root = flows.root()
    flow = flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()

    flows.service.cancel(ADMIN, flow.id)
    flows.scheduler.step()
    flows.orchestrator.become(flows.only(root).run_id, RunState.CANCELED)
    flows.scheduler.reconcile()

    assert flows.orchestrator.canceled == [flows.only(root).run_id]
    assert flows.only(root).outcome == FlowOutcome(OutcomeKind.ABORTED)


def test_deleting_a_dataset_ends_what_waits_for_it(flows: Flows) -> None:
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Interval(60))
    running = flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()
    flows.service.request_run(ADMIN, root.id)
    other = flows.root("other")
    waiting = flows.triggers.set(ADMIN, other.id, Cron("* * * * *"))
    flows.heart.datasets.delete(ADMIN, root.id)
    flows.heart.datasets.delete(ADMIN, other.id)

    assert waiting.next_due is not None
    assert flows.scheduler.step() is None
    assert flows.only(other).outcome == FlowOutcome(OutcomeKind.ABORTED, "the dataset was deleted")
    flows.service.run_finished(str(flows.only(root).run_id), DONE)
    assert flows.only(root).id == running.id
    assert flows.scheduler.step() is None


@pytest.mark.parametrize("repeats", [1, 3])
def test_no_message_is_handled_twice_by_later_steps(flows: Flows, repeats: int) -> None:
    root = flows.root()
    reader = flows.derivative("reader", root)
    flows.push(root)
    flows.scheduler.step()
    flows.service.run_finished(str(flows.only(reader).run_id), DONE)

    for _ in range(repeats):
        flows.scheduler.step()

    assert flows.only(reader).state is FlowState.FINISHED


def test_a_flow_says_which_engine_it_waits_for_and_who_is_there(limited: Flows) -> None:
    root = limited.root()
    readers = [limited.derivative(f"reader{number}", root) for number in range(3)]
    limited.push(root)
    limited.scheduler.step()
    first, behind, last = (limited.only(reader) for reader in readers)
    limited.service.run_started(str(first.run_id))

    limited.scheduler.tell_who_waits()

    said = limited.only(readers[2]).waits_for
    assert said == "waits for a place at engine datafusion (setting engine.capacity: 1 at once); taken by kamu/reader0"
    assert [limited.only(reader).waits_for for reader in readers[:2]] == [None, None]
    limited.service.run_waits(str(behind.run_id), "waits")
    assert limited.only(readers[1]).waits_for == "waits"
    limited.service.run_finished(str(first.run_id), DONE)
    limited.scheduler.step()
    limited.service.run_started(str(behind.run_id))
    assert [limited.only(reader).waits_for for reader in readers] == [None, None, None]
    assert limited.only(readers[2]).id == last.id


def test_flows_begin_while_others_post_without_end(flows: Flows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "MESSAGES_AT_ONCE", 1)
    monkeypatch.setattr(scheduler, "BATCHES_AT_ONCE", 3)
    root = flows.root()
    flows.service.request_run(ADMIN, root.id)
    for _ in range(9):
        flows.push(root)

    due = flows.scheduler.step()

    assert due is not None
    assert due <= flows.clock.now()
    assert flows.only(root).state is FlowState.RUNNING
    for _ in range(9):
        due = flows.scheduler.step()
    assert due is None


def test_messages_are_not_blamed_for_a_database_that_went_away(flows: Flows, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(*_: object) -> None:
        raise DatabaseUnavailableError("away")

    root = flows.root()
    reader = flows.derivative("reader", root)
    flows.push(root)
    with monkeypatch.context() as away:
        away.setattr(flows.scheduler._hearing, "handle", leave)
        with pytest.raises(DatabaseUnavailableError):
            flows.scheduler.step()

    # At once: nobody has to wait for a next attempt.
    flows.scheduler.step()

    assert flows.only(reader).state is FlowState.RUNNING


@pytest.mark.parametrize("error", [DatabaseUnavailableError("away"), TransactionConflictError()])
def test_a_database_that_is_away_for_a_moment_ends_no_flow(flows: Flows, error: Exception) -> None:
    root = flows.root()
    flow = flows.service.request_run(ADMIN, root.id)
    flows.orchestrator.fails_with = error
    flows.scheduler.step()
    assert flows.only(root).state is FlowState.RUNNING

    flows.orchestrator.fails_with = None
    flows.scheduler.reconcile()

    assert flows.orchestrator.submitted == [flows.only(root).run_id]
    assert flows.only(root).id == flow.id


def test_a_run_that_cannot_be_stopped_is_in_nobodys_way(flows: Flows, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_run_id: str) -> None:
        raise ConnectionError

    stuck, other = flows.root("stuck"), flows.root("other")
    flow = flows.service.request_run(ADMIN, stuck.id)
    flows.scheduler.step()
    flows.service.cancel(ADMIN, flow.id)
    flows.service.request_run(ADMIN, other.id)
    with monkeypatch.context() as broken:
        broken.setattr(flows.orchestrator, "cancel", fail)
        flows.scheduler.step()
        flows.scheduler.reconcile()

    assert flows.only(other).state is FlowState.RUNNING
    assert flows.orchestrator.canceled == []
    flows.scheduler.reconcile()
    assert flows.orchestrator.canceled == [flows.only(stuck).run_id]


def test_a_rule_that_names_no_time_is_in_nobodys_way(flows: Flows) -> None:
    never, hourly = flows.root("never"), flows.root("hourly")
    with flows.heart.database.transaction() as tx:
        # From before such rules were refused.
        TriggerStore().set(tx, Trigger(never.id, FlowType.INGEST, Cron("0 0 30 2 *")))
        TriggerStore().set(tx, Trigger(hourly.id, FlowType.INGEST, Interval(3600)))

    flows.scheduler.step()

    assert flows.only(hourly).state is FlowState.RUNNING
    assert flows.of(never) == []


def test_a_damaged_dataset_keeps_no_others_from_being_heard_of(flows: Flows, monkeypatch: pytest.MonkeyPatch) -> None:
    root, damaged = flows.root(), flows.root("damaged")
    reader, broken = flows.derivative("reader", root), flows.derivative("broken", damaged)
    state = flows.heart.chains.state

    def read(dataset: DatasetID, *, tx: Transaction | None = None) -> ChainState:
        if dataset == damaged.id:
            raise ObjectNotFoundError("a block")
        return state(dataset, tx=tx)

    monkeypatch.setattr(flows.heart.chains, "state", read)
    flows.triggers.set(ADMIN, broken.id, Reactive())
    flows.push(root)

    flows.scheduler.step()

    assert flows.only(reader).state is FlowState.RUNNING
    assert flows.of(broken) == []


def test_an_input_that_is_rewritten_at_that_moment_is_compared_in_the_next(
    flows: Flows, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replaced(dataset: DatasetID, **_: object) -> ChainState:
        raise ChainReplacedError(dataset, Multihash.sha3_256(b"swept"), Multihash.sha3_256(b"new"))

    root = flows.root()
    reader = flows.derivative("reader", root)
    flows.triggers.pause(ADMIN, reader.id)
    flows.push(root)
    flows.scheduler.step()
    flows.triggers.resume(ADMIN, reader.id)
    with monkeypatch.context() as rewriting:
        rewriting.setattr(flows.heart.chains, "state", replaced)
        flows.scheduler.step()
    assert flows.of(reader) == []

    # At once: no message is to blame.
    flows.scheduler.step()

    assert flows.only(reader).state is FlowState.RUNNING


def test_what_cannot_be_read_is_blamed_and_flows_begin_all_the_same(flows: Flows) -> None:
    root = flows.root()
    flows.scheduler.step()
    flows.service.request_run(ADMIN, root.id)
    with flows.heart.database.transaction() as tx:
        tx.execute(insert(messages).values(topic=DatasetUpdated.topic, body="{}", posted_at=flows.clock.now()))

    flows.scheduler.step()

    assert flows.only(root).state is FlowState.RUNNING
    with flows.heart.database.reading() as tx:
        (consumer,) = flows.heart.outbox.consumers(tx)
    assert (consumer.name, consumer.attempts) == ("flows", 1)


def test_messages_are_not_blamed_for_a_store_that_went_away(flows: Flows, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(*_: object) -> None:
        raise StorageUnavailableError("away")

    root = flows.root()
    reader = flows.derivative("reader", root)
    flows.push(root)
    flows.service.request_run(ADMIN, root.id)
    with monkeypatch.context() as away:
        away.setattr(flows.scheduler._hearing, "handle", leave)
        flows.scheduler.step()

    # What needs no message begins meanwhile, and the others at once when it has come back.
    assert flows.only(root).state is FlowState.RUNNING
    flows.scheduler.step()
    assert flows.only(reader).state is FlowState.RUNNING
