"""How what happens to datasets by itself is going: one row per binding, told by the database."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Row, Select, and_, case, func, select

from kamu_assets.auth.model import Caller
from kamu_assets.database.database import Database
from kamu_assets.datasets.store import datasets
from kamu_assets.flows.flow_rows import flows, is_live
from kamu_assets.flows.history.store import attempts
from kamu_assets.flows.model import Binding, FlowState, FlowType
from kamu_assets.flows.processes.store import processes
from kamu_assets.flows.triggers.rules import StopReason
from kamu_assets.flows.triggers.store import triggers
from kamu_assets.odf.identity import DatasetAlias, DatasetID, DatasetKind
from kamu_assets.odf.timestamp import Timestamp


class ProcessState(StrEnum):
    """How it goes; what deserves attention first comes first."""

    STOPPED_AUTO = "STOPPED_AUTO"
    FAILING = "FAILING"
    UNCONFIGURED = "UNCONFIGURED"
    PAUSED_MANUAL = "PAUSED_MANUAL"
    ACTIVE = "ACTIVE"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is told: a subscription, by its label or by where it points to."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Process:
    """What keeps a dataset up to date, or tells somebody of it, and how that went."""

    # None: all of them.
    dataset_id: DatasetID | None
    alias: DatasetAlias | None
    type: FlowType
    state: ProcessState
    consecutive_failures: int
    stop_after: int | None
    last_success_at: Timestamp | None
    last_attempt_at: Timestamp | None
    last_failure_at: Timestamp | None
    next_planned_at: Timestamp | None
    # Since the last attempt began, also while the next one is waited for.
    running_since: Timestamp | None
    paused_at: Timestamp | None
    stopped_at: Timestamp | None
    stop_reason: StopReason | None
    # Of one that tells somebody.
    webhook: Receiver | None = None

    @property
    def binding(self) -> Binding | None:
        """What it is about, where that is a dataset."""
        return None if self.webhook or self.dataset_id is None else Binding(self.dataset_id, self.type)


_TYPE = case((datasets.c.kind == DatasetKind.ROOT.value, FlowType.INGEST.value), else_=FlowType.EXECUTE_TRANSFORM.value)
_FAILURES = func.coalesce(processes.c.consecutive_failures, 0)
# Derivatives follow their inputs where nobody says otherwise.
_STATE = case(
    (triggers.c.stopped_at.is_not(None), ProcessState.STOPPED_AUTO.value),
    (triggers.c.paused_at.is_not(None), ProcessState.PAUSED_MANUAL.value),
    (
        and_(triggers.c.dataset_id.is_(None), datasets.c.kind == DatasetKind.ROOT.value),
        ProcessState.UNCONFIGURED.value,
    ),
    (_FAILURES > 0, ProcessState.FAILING.value),
    else_=ProcessState.ACTIVE.value,
)
_SEVERITY = case({state.value: number for number, state in enumerate(ProcessState)}, value=_STATE)


class Processes:
    """Reads the rows; nothing keeps them but what happens to flows and triggers itself."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(
        self, caller: Caller, *, states: Collection[ProcessState] = (), limit: int | None = None, offset: int = 0
    ) -> Sequence[Process]:
        """What deserves attention first, by name; of some states only."""
        del caller  # Everybody may read.
        order = (_SEVERITY, datasets.c.folded_account, datasets.c.folded_name)
        # Of all of them only what decides is read.
        chosen = select(datasets.c.id).select_from(_judged()).order_by(*order).limit(limit).offset(offset)
        if states:
            chosen = chosen.where(_STATE.in_([state.value for state in states]))
        query = _rows().where(datasets.c.id.in_(chosen)).order_by(*order)
        with self._database.reading() as tx:
            return [_process(row) for row in tx.execute(query)]

    def rollup(self, caller: Caller) -> Mapping[ProcessState, int]:
        """How many there are in each state."""
        del caller  # Everybody may read.
        rows = select(_STATE.label("state")).select_from(_judged()).subquery()
        query = select(rows.c.state, func.count().label("members")).group_by(rows.c.state)
        with self._database.reading() as tx:
            counts = {ProcessState(row.state): row.members for row in tx.execute(query)}
        return {state: counts.get(state, 0) for state in ProcessState}


def _judged() -> FromClause:
    """Datasets with what their states follow from."""
    triggered = datasets.outerjoin(triggers, _belongs(triggers.c.dataset_id, triggers.c.type))
    return triggered.outerjoin(processes, _belongs(processes.c.scope, processes.c.type))


def _rows() -> Select[Any]:
    return select(
        datasets.c.id.label("dataset_id"),
        datasets.c.account,
        datasets.c.name,
        _TYPE.label("type"),
        _STATE.label("state"),
        _FAILURES.label("failures"),
        processes.c.last_success_at,
        processes.c.last_attempt_at,
        processes.c.last_failure_at,
        triggers.c.stop_after,
        triggers.c.paused_at,
        triggers.c.stopped_at,
        triggers.c.stop_reason,
        flows.c.state.label("flow_state"),
        flows.c.scheduled_at,
        attempts.c.started_at,
    ).select_from(
        _judged()
        .outerjoin(flows, and_(_belongs(flows.c.scope, flows.c.type), is_live))
        .outerjoin(attempts, and_(attempts.c.flow_id == flows.c.id, attempts.c.number == flows.c.attempt))
    )


def _belongs(dataset: ColumnElement[Any], type_: ColumnElement[Any]) -> ColumnElement[bool]:
    return and_(dataset == datasets.c.id, type_ == _TYPE)


def _process(row: Row[Any]) -> Process:
    state = ProcessState(row.state)
    waits = row.flow_state in (FlowState.WAITING.value, FlowState.RETRYING.value)
    goes = state in (ProcessState.ACTIVE, ProcessState.FAILING)
    return Process(
        dataset_id=row.dataset_id,
        alias=DatasetAlias(row.account, row.name),
        type=FlowType(row.type),
        state=state,
        consecutive_failures=row.failures,
        stop_after=row.stop_after,
        last_success_at=row.last_success_at,
        last_attempt_at=row.last_attempt_at,
        last_failure_at=row.last_failure_at,
        next_planned_at=row.scheduled_at if waits and goes else None,
        running_since=row.started_at,
        paused_at=row.paused_at,
        stopped_at=row.stopped_at,
        stop_reason=StopReason(row.stop_reason) if row.stop_reason else None,
    )
