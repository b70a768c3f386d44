"""What a node has after a long time: 10,000 datasets of 20 accounts, and 100,000 flows with attempts and events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Insert, insert, literal, select

from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.store import datasets
from kamu_assets.flows.causes import CauseKind, FlowCause, UpdateSource
from kamu_assets.flows.flow_rows import flows, values_of
from kamu_assets.flows.history.events import EventKind
from kamu_assets.flows.history.store import attempts, events
from kamu_assets.flows.model import Flow, FlowOutcome, FlowState, FlowType, OutcomeKind, StartCondition, WaitKind
from kamu_assets.flows.processes.store import ProcessStore, Record
from kamu_assets.flows.triggers.rules import Cron, Reactive, StopReason, Trigger
from kamu_assets.flows.triggers.store import TriggerStore
from kamu_assets.node import Node
from kamu_assets.odf.identity import AccountID, AccountName, DatasetID, DatasetKind, DatasetName
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp

ACCOUNTS, DATASETS, ROUNDS = 20, 10_000, 10
FLOWS = DATASETS * ROUNDS
# Of the last round.
RUNNING, WAITS_EACH = 16, 5
DAY = Timestamp.parse("2024-03-01T00:00:00Z")
_BATCH = 5000
_EVENTS = (
    *(EventKind.INITIATED, EventKind.SCHEDULED, EventKind.ATTEMPT_QUEUED, EventKind.ATTEMPT_RUNNING),
    *(EventKind.ATTEMPT_FINISHED, EventKind.COMPLETED),
)


@dataclass(frozen=True, slots=True)
class LongHistory:
    """What was made; the flows by the order in which they began."""

    entries: Sequence[DatasetEntry]
    flows: Sequence[Flow]


def account(number: int) -> AccountID:
    return AccountID.seeded(f"account{number % ACCOUNTS}".encode())


def make_long_history(node: Node) -> LongHistory:
    """Rows only: nothing of it is run. Flows get the numbers from 1 on."""
    entries = [_entry(number) for number in range(DATASETS)]
    made = [_flow(entries, number, round_) for round_ in range(ROUNDS) for number in range(DATASETS)]
    with node.database.transaction() as tx:
        tx.execute(insert(datasets), [_dataset_row(entry) for entry in entries])
        for first in range(0, FLOWS, _BATCH):
            tx.execute(insert(flows), [values_of(flow) for flow in made[first : first + _BATCH]])
        for statement in _histories():
            tx.execute(statement)
        _add_processes(tx, entries)
    return LongHistory(entries, made)


def _entry(number: int) -> DatasetEntry:
    name = DatasetName.parse(f"dataset{number:05d}")
    kind = DatasetKind.DERIVATIVE if number % 2 else DatasetKind.ROOT
    owner = AccountName.parse(f"account{number % ACCOUNTS:02d}")
    return DatasetEntry(DatasetID.seeded(str(name).encode()), kind, account(number), owner, name, DAY)


def _dataset_row(entry: DatasetEntry) -> dict[str, object]:
    return {
        "id": entry.id,
        "kind": entry.kind.value,
        "owner_id": entry.owner,
        "account": entry.account,
        "name": entry.name,
        "folded_account": entry.account.folded,
        "folded_name": entry.name.folded,
        "created_at": entry.created_at,
    }


def _flow(entries: Sequence[DatasetEntry], number: int, round_: int) -> Flow:
    entry, id_ = entries[number], round_ * DATASETS + number + 1
    began = Timestamp(DAY.ns + id_ * NANOS_PER_SECOND)
    state = _state(number, round_)
    ended = Timestamp(began.ns + NANOS_PER_SECOND) if state is FlowState.FINISHED else None
    has_run = state is not FlowState.WAITING
    return Flow(
        id=id_,
        scope=entry.id,
        type=FlowType.updating(entry.kind),
        causes=(_cause(entries, number, round_),),
        state=state,
        created_at=began,
        condition=StartCondition(WaitKind.SCHEDULE, until=began) if state is FlowState.WAITING else None,
        scheduled_at=began,
        first_scheduled_at=began,
        attempt=1 if has_run else 0,
        run_id=f"00000000-0000-4000-8000-{id_:012d}" if has_run else None,
        submitted_at=began if has_run else None,
        started_at=began if has_run and (ended or number % 2) else None,
        attempt_ended_at=ended,
        finished_at=ended,
        outcome=_outcome(number + round_) if ended else None,
    )


def _state(number: int, round_: int) -> FlowState:
    if round_ < ROUNDS - 1:
        return FlowState.FINISHED
    if number < RUNNING:
        return FlowState.RUNNING
    return FlowState.WAITING if number % WAITS_EACH == 0 else FlowState.FINISHED


def _cause(entries: Sequence[DatasetEntry], number: int, round_: int) -> FlowCause:
    if (number + round_) % 10 == 0:
        return FlowCause(CauseKind.MANUAL, account=account(number // ACCOUNTS), at=DAY)
    if number % 2:
        source = UpdateSource.UPSTREAM_FLOW
        return FlowCause(CauseKind.INPUT_UPDATED, input=entries[number - 1].id, at=DAY, source=source, records=10)
    return FlowCause(CauseKind.AUTO_POLLING, at=DAY)


def _outcome(number: int) -> FlowOutcome:
    match number % 20:
        case 0:
            return FlowOutcome(
                OutcomeKind.FAILED, "http://example.com/data.csv: the server answered 503", recoverable=True
            )
        case 1:
            return FlowOutcome(OutcomeKind.ABORTED)
        case rest if rest < 10:
            return FlowOutcome(OutcomeKind.UP_TO_DATE)
    return FlowOutcome(OutcomeKind.SUCCESS)


def _histories() -> Iterator[Insert]:
    run = flows.c.attempt > 0
    copied = ("run_id", "started_at", "finished_at", "outcome", "message")
    columns = [flows.c.id, literal(1), flows.c.submitted_at, *(flows.c[name] for name in copied)]
    yield insert(attempts).from_select(["flow_id", "number", "queued_at", *copied], select(*columns).where(run))
    for kind in _EVENTS:
        told = select(flows.c.id, flows.c.created_at, literal(kind.value)).where(run).order_by(flows.c.id)
        yield insert(events).from_select(["flow_id", "at", "kind"], told)


def _add_processes(tx: Transaction, entries: Sequence[DatasetEntry]) -> None:
    """A tenth has no trigger, a tenth was stopped, and another tenth fails."""
    for number, entry in enumerate(entries):
        type_ = FlowType.updating(entry.kind)
        rule = Cron("0 0 1 1 *") if entry.kind is DatasetKind.ROOT else Reactive()
        trigger = Trigger(entry.id, type_, rule, stop_after=3)
        stopped = number % 10 == 1
        if stopped:
            trigger = replace(trigger, stopped_at=DAY, stop_reason=StopReason.STOP_POLICY)
        if number % 10:
            TriggerStore().set(tx, trigger)
        failures = 3 if stopped else int(number % 10 == 2)
        ProcessStore().save(tx, trigger.binding, Record(DAY, DAY, DAY, failures))
