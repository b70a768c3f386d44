"""Rows of flows."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    and_,
    func,
    not_,
    or_,
    select,
)
from sqlalchemy import update as sql_update

from kamu_assets.database.columns import AccountIDColumn, DatasetIDColumn, TimestampColumn
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.errors import NotFoundError
from kamu_assets.flows.model import (
    CauseKind,
    Flow,
    FlowCause,
    FlowOutcome,
    FlowState,
    FlowType,
    OutcomeKind,
)
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.timestamp import Timestamp

flows = Table(
    "flows",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("dataset_id", DatasetIDColumn, nullable=False),
    Column("type", String(32), nullable=False),
    Column("cause_kind", String(32), nullable=False),
    Column("cause_account", AccountIDColumn),
    Column("cause_input", DatasetIDColumn),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("run_id", String(36), index=True),
    Column("root_run_id", String(36)),
    Column("parent_run_id", String(36)),
    Column("created_at", TimestampColumn, nullable=False),
    Column("submitted_at", TimestampColumn),
    Column("started_at", TimestampColumn),
    Column("finished_at", TimestampColumn),
    Column("cancel_requested", Boolean, nullable=False),
    Column("outcome", String(16)),
    # Of the outcome; before there is one, what the flow waits for.
    Column("message", Text),
    Index("ix_flows_state_created", "state", "created_at"),
    Index("ix_flows_dataset_created", "dataset_id", "created_at"),
)
# At most one of each per dataset, whoever races.
for _state in (FlowState.WAITING, FlowState.RUNNING):
    _live = flows.c.state == _state.value
    Index(f"uq_flows_{_state.lower()}", flows.c.dataset_id, unique=True, sqlite_where=_live)


class FlowNotFoundError(NotFoundError):
    """No such flow, as far as the caller may know."""

    def __init__(self, flow_id: str) -> None:
        super().__init__(f"flow {flow_id} does not exist")
        self.flow_id = flow_id


class FlowStore:
    """Flows, live and finished."""

    def add(self, tx: Transaction, flow: Flow) -> bool:
        """Insert, unless the dataset has a flow in that state already."""
        return bool(tx.execute(tx.insert(flows).values(**_values(flow)).on_conflict_do_nothing()).rowcount)

    def save(self, tx: Transaction, flow: Flow) -> None:
        values = {name: value for name, value in _values(flow).items() if name != "id"}
        tx.execute(sql_update(flows).where(flows.c.id == flow.id).values(**values))

    def note_wait(self, tx: Transaction, text: str, *, flow: str | None = None, run: str | None = None) -> None:
        """Say what a flow waits for, by its id or its run's, unless it has begun meanwhile."""
        begun = or_(flows.c.outcome.is_not(None), flows.c.started_at.is_not(None))
        which = flows.c.id == flow if run is None else flows.c.run_id == run
        tx.execute(sql_update(flows).where(which, not_(begun)).values(message=text))

    def get(self, tx: Transaction, flow_id: str) -> Flow:
        row = tx.execute(select(flows).where(flows.c.id == flow_id)).one_or_none()
        if row is None:
            raise FlowNotFoundError(flow_id)
        return _flow(row)

    def find(self, tx: Transaction, dataset: DatasetID, state: FlowState) -> Flow | None:
        """The dataset's flow in a live state."""
        row = tx.execute(select(flows).where(_of(dataset, state))).first()
        return _flow(row) if row else None

    def by_run(self, tx: Transaction, run_id: str) -> Sequence[Flow]:
        """Flows whose current attempt is this run; a run started in Dagster's UI may serve several."""
        return [_flow(row) for row in tx.execute(select(flows).where(flows.c.run_id == run_id))]

    def running(self, tx: Transaction) -> Sequence[Flow]:
        return [
            _flow(row) for row in tx.execute(select(flows).where(_in(FlowState.RUNNING)).order_by(flows.c.created_at))
        ]

    def submittable(self, tx: Transaction, limit: int) -> Sequence[Flow]:
        """Waiting flows of datasets where none runs, oldest first."""
        busy = select(flows.c.dataset_id).where(_in(FlowState.RUNNING))
        query = select(flows).where(_in(FlowState.WAITING), flows.c.dataset_id.not_in(busy))
        return [_flow(row) for row in tx.execute(query.order_by(flows.c.created_at).limit(limit))]

    def count_running(self, tx: Transaction) -> int:
        return self.count(tx, FlowState.RUNNING)

    def count(self, tx: Transaction, state: FlowState) -> int:
        return int(tx.execute(select(func.count()).select_from(flows).where(_in(state))).scalar_one())

    def last_finished(self, tx: Transaction, dataset: DatasetID) -> Timestamp | None:
        """When the dataset's latest flow ended."""
        query = select(func.max(flows.c.finished_at)).where(_of(dataset, FlowState.FINISHED))
        latest: Timestamp | None = tx.execute(query).scalar_one()
        return latest

    def newest_finished(self, tx: Transaction, dataset: DatasetID) -> Flow | None:
        """The dataset's latest flow that has an outcome."""
        query = select(flows).where(_of(dataset, FlowState.FINISHED)).order_by(flows.c.finished_at.desc(), flows.c.id)
        row = tx.execute(query.limit(1)).first()
        return _flow(row) if row else None

    def failed_since(self, tx: Transaction, moment: Timestamp, limit: int) -> Sequence[Flow]:
        """Flows that failed after a moment, latest first."""
        failed = flows.c.outcome == OutcomeKind.FAILED.value
        query = select(flows).where(_in(FlowState.FINISHED), failed, flows.c.finished_at > moment)
        return [_flow(row) for row in tx.execute(query.order_by(flows.c.finished_at.desc()).limit(limit))]

    def list(
        self, tx: Transaction, *, dataset: DatasetID | None = None, limit: int = 50, offset: int = 0
    ) -> Sequence[Flow]:
        """Newest first."""
        query = select(flows).order_by(flows.c.created_at.desc(), flows.c.id).limit(limit).offset(offset)
        if dataset is not None:
            query = query.where(flows.c.dataset_id == dataset)
        return [_flow(row) for row in tx.execute(query)]


def _in(state: FlowState) -> ColumnElement[bool]:
    return flows.c.state == state.value


def _of(dataset: DatasetID, state: FlowState) -> ColumnElement[bool]:
    return and_(flows.c.dataset_id == dataset, _in(state))


def _values(flow: Flow) -> dict[str, object]:
    return {
        "id": flow.id,
        "dataset_id": flow.dataset_id,
        "type": flow.type.value,
        "cause_kind": flow.cause.kind.value,
        "cause_account": flow.cause.account,
        "cause_input": flow.cause.input,
        "state": flow.state.value,
        "attempt": flow.attempt,
        "run_id": flow.run_id,
        "root_run_id": flow.root_run_id,
        "parent_run_id": flow.parent_run_id,
        "created_at": flow.created_at,
        "submitted_at": flow.submitted_at,
        "started_at": flow.started_at,
        "finished_at": flow.finished_at,
        "cancel_requested": flow.cancel_requested,
        "outcome": flow.outcome.kind.value if flow.outcome else None,
        "message": flow.outcome.message if flow.outcome else flow.waits_for,
    }


def _flow(row: Row[tuple[object, ...]]) -> Flow:
    flow = Flow(
        id=row.id,
        dataset_id=row.dataset_id,
        type=FlowType(row.type),
        cause=FlowCause(CauseKind(row.cause_kind), row.cause_account, row.cause_input),
        state=FlowState(row.state),
        created_at=row.created_at,
        attempt=row.attempt,
        run_id=row.run_id,
        root_run_id=row.root_run_id,
        parent_run_id=row.parent_run_id,
        submitted_at=row.submitted_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        cancel_requested=row.cancel_requested,
    )
    if row.outcome:
        return replace(flow, outcome=FlowOutcome(OutcomeKind(row.outcome), row.message))
    return replace(flow, waits_for=row.message)
