"""Rows of flows and of what belongs to them behave alike on SQLite and PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from kamu_assets.database.database import Database
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.flows.arguments import CompactionArguments, ResetArguments
from kamu_assets.flows.causes import CauseKind, FlowCause, UpdateSource
from kamu_assets.flows.configs.store import ConfigStore
from kamu_assets.flows.history.events import EventKind, Happening
from kamu_assets.flows.history.store import FlowHistory
from kamu_assets.flows.model import (
    Attempt,
    Binding,
    Flow,
    FlowLoad,
    FlowOutcome,
    FlowState,
    FlowType,
    OutcomeKind,
    StartCondition,
    WaitKind,
)
from kamu_assets.flows.processes.store import ProcessStore, Record
from kamu_assets.flows.retrying import Backoff, FlowConfig, RetryPolicy
from kamu_assets.flows.scopes import SYSTEM, WebhookScope
from kamu_assets.flows.store import FlowNotFoundError, FlowStore
from kamu_assets.flows.triggers.rules import Cron, Interval, Reactive, StopReason, Trigger
from kamu_assets.flows.triggers.store import TriggerStore
from kamu_assets.odf.identity import AccountID, AccountName, DatasetID, DatasetKind
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.names import DatasetName
from kamu_assets.odf.timestamp import Timestamp
from tests.support.builders import START, a_dataset_id

FLOWS = FlowStore()
HISTORY = FlowHistory()
TRIGGERS = TriggerStore()
PROCESSES = ProcessStore()
CAUSE = FlowCause(
    CauseKind.INPUT_UPDATED,
    input=a_dataset_id("input"),
    at=START,
    source=UpdateSource.UPSTREAM_FLOW,
    flow=7,
    head=Multihash.sha3_256(b"head"),
    records=12,
)


def at(second: int) -> Timestamp:
    return Timestamp(START.ns + second * 1_000_000_000)


def a_flow(dataset: str = "dataset", *, state: FlowState = FlowState.WAITING, second: int = 0) -> Flow:
    return Flow(
        id=0,
        scope=a_dataset_id(dataset),
        type=FlowType.EXECUTE_TRANSFORM,
        causes=(CAUSE,),
        state=state,
        created_at=at(second),
        scheduled_at=at(second),
    )


def added(database: Database, *flows: Flow) -> list[int]:
    with database.transaction() as tx:
        return [kept.id for flow in flows if (kept := FLOWS.add(tx, flow))]


def test_every_field_of_a_flow_is_kept(database: Database) -> None:
    manual = FlowCause(CauseKind.MANUAL, account=AccountID.seeded(b"kamu"), at=START)
    flow = replace(
        a_flow(state=FlowState.FINISHED),
        causes=(CAUSE, manual),
        late_causes=(manual,),
        condition=StartCondition(WaitKind.THROTTLING, until=at(2), shifted_from=START, run_id="run-2"),
        first_scheduled_at=START,
        attempt=2,
        run_id="run-2",
        root_run_id="run-1",
        parent_run_id="run-1",
        submitted_at=START,
        started_at=START,
        attempt_ended_at=START,
        finished_at=START,
        cancel_requested=True,
        priority=-7,
        config=FlowConfig(RetryPolicy(3, 2.5, Backoff.EXPONENTIAL_WITH_JITTER)),
        outcome=FlowOutcome(OutcomeKind.FAILED, "with\na reason", recoverable=False),
    )

    (number,) = added(database, flow)

    with database.reading() as tx:
        assert FLOWS.get(tx, number) == replace(flow, id=number)
        assert FLOWS.by_run(tx, "run-2") == [replace(flow, id=number)]


@pytest.mark.parametrize("state", [FlowState.WAITING, FlowState.RUNNING, FlowState.RETRYING])
def test_a_binding_has_at_most_one_live_flow(database: Database, state: FlowState) -> None:
    (first,) = added(database, a_flow(state=state))

    assert added(database, a_flow()) == []
    assert len(added(database, a_flow("other"), replace(a_flow(), type=FlowType.INGEST))) == 2

    with database.transaction() as tx:
        live = FLOWS.live(tx, Binding(a_dataset_id(), FlowType.EXECUTE_TRANSFORM))
        assert len(FLOWS.live_of(tx, a_dataset_id())) == 2
    assert live is not None
    assert live.id == first


def test_flows_are_listed_page_by_page(database: Database) -> None:
    first, second, third = added(database, *[a_flow(state=FlowState.FINISHED, second=number) for number in range(3)])
    added(database, a_flow("other"))

    with database.reading() as tx:
        of = a_dataset_id()
        assert [flow.id for flow in FLOWS.list(tx, dataset=of, limit=2)] == [third, second]
        assert [flow.id for flow in FLOWS.list(tx, dataset=of, limit=2, before=second)] == [first]


def test_flows_are_ready_when_due_and_their_dataset_is_free(database: Database) -> None:
    busy = replace(a_flow("busy", state=FlowState.RUNNING), type=FlowType.INGEST)
    _, _, later, sooner, _ = added(
        database,
        busy,
        a_flow("busy"),
        a_flow("free", second=2),
        a_flow("idle", state=FlowState.RETRYING, second=1),
        a_flow("future", second=9),
    )

    with database.reading() as tx:
        assert [flow.id for flow in FLOWS.ready(tx, at(2), 10)] == [sooner, later]
        assert [flow.id for flow in FLOWS.ready(tx, at(1), 10)] == [sooner]
        assert [flow.id for flow in FLOWS.ready(tx, at(2), 1)] == [sooner]
        assert FLOWS.next_start(tx, at(2)) == at(9)
        assert FLOWS.next_start(tx, at(9)) is None
        # Of those that wait, whatever holds them up.
        assert FLOWS.next_start(tx) == at(0)
        assert FLOWS.load(tx, at(2)) == FlowLoad(waiting=3, running=1)
        assert FLOWS.starts(tx)[Binding(a_dataset_id("future"), FlowType.EXECUTE_TRANSFORM)] == at(9)


def test_a_missing_flow_is_not_found(database: Database) -> None:
    with database.reading() as tx, pytest.raises(FlowNotFoundError):
        FLOWS.get(tx, 404)


def test_the_history_of_a_flow_is_kept_in_its_order(database: Database) -> None:
    with database.transaction() as tx:
        HISTORY.note(tx, 1, START, EventKind.INITIATED, Happening(cause=CAUSE))
        HISTORY.note(tx, 2, START, EventKind.INITIATED)
        HISTORY.note(tx, 1, at(1), EventKind.SCHEDULED, Happening(scheduled_at=at(5)))

    with database.reading() as tx:
        first, second = HISTORY.events(tx, 1)
    assert first.what.cause == CAUSE
    assert (second.kind, second.at, second.what.scheduled_at) == (EventKind.SCHEDULED, at(1), at(5))
    assert first.id < second.id


def test_attempts_are_kept(database: Database) -> None:
    flow = replace(a_flow(state=FlowState.RUNNING), id=3, attempt=1, run_id="run", submitted_at=START)
    with database.transaction() as tx:
        HISTORY.queue(tx, flow)
        HISTORY.begin(tx, replace(flow, started_at=at(1)))
        HISTORY.finish(tx, flow, FlowOutcome(OutcomeKind.FAILED, "why", recoverable=False), at(2))

    with database.reading() as tx:
        assert HISTORY.attempts(tx, 3) == [
            Attempt(1, "run", START, at(1), at(2), FlowOutcome(OutcomeKind.FAILED, "why", recoverable=False))
        ]


def test_there_is_one_trigger_per_binding(database: Database) -> None:
    first = Trigger(a_dataset_id(), FlowType.INGEST, Interval(60))
    other = Trigger(a_dataset_id("other"), FlowType.INGEST, Cron("0 0 * * *"), paused_at=at(1))
    third = Trigger(a_dataset_id("third"), FlowType.EXECUTE_TRANSFORM, Reactive(10, 60), stop_after=3)
    third = replace(third, stopped_at=at(2), stop_reason=StopReason.STOP_POLICY)
    with database.transaction() as tx:
        for trigger in (first, replace(first, rule=Interval(90)), other, third):
            TRIGGERS.set(tx, trigger)

    with database.reading() as tx:
        assert TRIGGERS.find(tx, first.binding) == replace(first, rule=Interval(90))
        assert TRIGGERS.find(tx, other.binding) == other
        assert TRIGGERS.find(tx, third.binding) == third
        assert len(TRIGGERS.list(tx)) == 3


def test_what_is_set_at_the_same_time_is_set_once(database: Database) -> None:
    trigger = Trigger(a_dataset_id(), FlowType.INGEST, Interval(60))

    def set_both(_: int) -> None:
        with database.transaction() as tx:
            TRIGGERS.set(tx, trigger)
            ConfigStore().set(tx, trigger.binding, FlowConfig(priority=1))

    with ThreadPoolExecutor(4) as many:
        list(many.map(set_both, range(12)))

    with database.reading() as tx:
        assert TRIGGERS.list(tx) == [trigger]
        assert ConfigStore().all(tx) == {trigger.binding: FlowConfig(priority=1)}


def test_a_trigger_is_stopped_as_it_is_by_then(database: Database) -> None:
    """Somebody may have set another rule since it was read."""
    set_since = Trigger(a_dataset_id(), FlowType.INGEST, Interval(7), stop_after=3)
    with database.transaction() as tx:
        TRIGGERS.set(tx, set_since)
        TRIGGERS.stop(tx, set_since.binding, START, StopReason.STOP_POLICY)
        TRIGGERS.pause(tx, set_since.binding, START)

    stopped = replace(set_since, stopped_at=START, stop_reason=StopReason.STOP_POLICY, paused_at=START)
    with database.transaction() as tx:
        assert TRIGGERS.find(tx, set_since.binding) == stopped
        TRIGGERS.stop(tx, set_since.binding, None, None)
        assert TRIGGERS.find(tx, set_since.binding) == replace(set_since, paused_at=START)


def test_derivatives_follow_where_nobody_set_a_trigger(database: Database) -> None:
    derivative, root = Binding(a_dataset_id(), FlowType.EXECUTE_TRANSFORM), Binding(a_dataset_id(), FlowType.INGEST)

    with database.reading() as tx:
        assert TRIGGERS.in_force(tx, derivative) == Trigger(a_dataset_id(), derivative.type, Reactive())
        assert TRIGGERS.in_force(tx, root) is None


def test_active_rules_without_a_live_flow_are_found(database: Database) -> None:
    with database.transaction() as tx:
        for name in ("planned", "unplanned", "paused", "reactive"):
            rule = Reactive() if name == "reactive" else Interval(60)
            paused_at = START if name == "paused" else None
            TRIGGERS.set(tx, Trigger(a_dataset_id(name), FlowType.INGEST, rule, paused_at=paused_at))
        FLOWS.add(tx, replace(a_flow("planned"), type=FlowType.INGEST))
        FLOWS.add(tx, replace(a_flow("unplanned", state=FlowState.FINISHED), type=FlowType.INGEST))

    with database.reading() as tx:
        assert [trigger.dataset_id for trigger in TRIGGERS.unplanned(tx)] == [a_dataset_id("unplanned")]


def test_the_record_of_a_binding_is_replaced(database: Database) -> None:
    binding = Binding(DatasetID.seeded(b"one"), FlowType.INGEST)
    with database.transaction() as tx:
        PROCESSES.save(tx, binding, Record(last_attempt_at=START, consecutive_failures=1))
        PROCESSES.save(tx, binding, Record(last_attempt_at=at(1), last_success_at=at(1)))

    with database.transaction() as tx:
        assert PROCESSES.get(tx, binding) == Record(last_attempt_at=at(1), last_success_at=at(1))
        PROCESSES.remove(tx, DatasetID.seeded(b"one"))
        assert PROCESSES.get(tx, binding) == Record()


def test_there_is_one_configuration_per_binding(database: Database) -> None:
    binding, other = Binding(a_dataset_id(), FlowType.INGEST), Binding(a_dataset_id("other"), FlowType.INGEST)
    once, twice = FlowConfig(RetryPolicy(1, 5)), FlowConfig(RetryPolicy(2, 5, Backoff.LINEAR))
    configs = ConfigStore()
    with database.transaction() as tx:
        for config in (once, twice):
            configs.set(tx, binding, config)
        configs.set(tx, other, once)
        configs.forget(tx, a_dataset_id("other"))

    with database.reading() as tx:
        assert configs.all(tx) == {binding: twice}
        assert configs.find(tx, binding) == twice
        assert configs.find(tx, other) is None


def test_what_ended_without_a_run_is_not_the_latest_run(database: Database) -> None:
    ran = replace(a_flow(state=FlowState.FINISHED), attempt=1, finished_at=START)
    dropped = replace(a_flow(state=FlowState.FINISHED), finished_at=at(5))
    number, _ = added(database, ran, dropped)

    with database.reading() as tx:
        newest = FLOWS.newest_finished(tx, a_dataset_id())
    assert newest is not None
    assert newest.id == number


def an_account(database: Database, name: str, *named: str) -> None:
    """It owns these datasets."""
    with database.transaction() as tx:
        for dataset in named:
            owner, account = AccountID.seeded(name.encode()), AccountName(name)
            id_ = a_dataset_id(dataset)
            DatasetStore().add(tx, DatasetEntry(id_, DatasetKind.ROOT, owner, account, DatasetName(dataset), START))


def test_accounts_take_turns_and_each_has_its_most_urgent_flow_done(database: Database) -> None:
    an_account(database, "large", "l1", "l2", "l3", "l4")
    an_account(database, "small", "s1", "s2")
    flows = [replace(a_flow(name), priority=-100) for name in ("l1", "l2", "l3")]
    flows += [replace(a_flow("l4", second=5), priority=0), replace(a_flow("s1", second=9), priority=-200)]
    flows += [replace(a_flow("s2", second=9), priority=-200)]
    l1, l2, l3, l4, s1, s2 = added(database, *flows)

    with database.reading() as tx:
        assert [flow.id for flow in FLOWS.ready(tx, at(9), 10)] == [l4, s1, l1, s2, l2, l3]
        assert [flow.id for flow in FLOWS.ready(tx, at(9), 10, account_limit=1)] == [l4, s1]


def test_an_account_with_runs_waits_for_its_turn(database: Database) -> None:
    an_account(database, "large", "l1", "l2", "l3")
    an_account(database, "small", "s1")
    runs = [replace(a_flow(name, state=FlowState.RUNNING), attempt=1) for name in ("l1", "l2")]
    _, _, waits, other = added(database, *runs, replace(a_flow("l3"), priority=0), replace(a_flow("s1"), priority=-200))

    with database.reading() as tx:
        assert [flow.id for flow in FLOWS.ready(tx, at(9), 10)] == [other, waits]
        assert [flow.id for flow in FLOWS.ready(tx, at(9), 10, account_limit=2)] == [other]


def test_a_dataset_has_one_flow_begun_at_a_time(database: Database) -> None:
    first = replace(a_flow(), priority=-100)
    urgent = replace(a_flow(), type=FlowType.INGEST, priority=0)
    _, number = added(database, first, urgent)

    with database.reading() as tx:
        assert [flow.id for flow in FLOWS.ready(tx, at(9), 10)] == [number]


def test_flows_of_a_receiver_and_of_the_node_are_kept_beside_those_of_datasets(database: Database) -> None:
    arguments = FlowConfig(
        reset=ResetArguments(old_head=Multihash.sha3_256(b"head")), compaction=CompactionArguments(max_slice_records=5)
    )
    about = (
        replace(a_flow(), config=arguments),
        replace(a_flow(), type=FlowType.WEBHOOK_DELIVER, scope=WebhookScope("one", a_dataset_id())),
        replace(a_flow(), type=FlowType.WEBHOOK_DELIVER, scope=WebhookScope("all")),
        replace(a_flow(), type=FlowType.SYSTEM_GC, scope=SYSTEM),
    )
    with database.transaction() as tx:
        kept = [FLOWS.add(tx, flow) for flow in about]
        again = FLOWS.add(tx, about[1])
        PROCESSES.save(tx, about[3].binding, Record(last_attempt_at=START))

    with database.reading() as tx:
        found = [FLOWS.get(tx, flow.id) for flow in kept if flow is not None]
        # Those that tell receivers have places of their own.
        ready = [*FLOWS.ready(tx, at(1), 10), *FLOWS.ready(tx, at(1), 10, telling=True)]
        assert PROCESSES.get(tx, about[3].binding).last_attempt_at == START
        assert len(FLOWS.live_of(tx, a_dataset_id())) == 2
    assert again is None
    assert [(flow.scope, flow.dataset_id) for flow in found] == [(flow.scope, flow.dataset_id) for flow in about]
    assert found[0].config == arguments
    # None of them waits for another.
    assert {flow.id for flow in ready} == {flow.id for flow in found}
