"""Rows of what happened to flows: events, and attempts."""

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Boolean, Column, Index, Integer, Row, String, Table, Text, insert, select, update

from kamu_assets.database.columns import DatasetIDColumn, RowNumber, TimestampColumn
from kamu_assets.database.frequent import Frequent
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.flows.flow_rows import flows, outcome_of
from kamu_assets.flows.history.events import NOTHING, EventKind, FlowEvent, Happening
from kamu_assets.flows.model import Attempt, Binding, Flow, FlowOutcome, FlowType
from kamu_assets.flows.results import result_of, result_text
from kamu_assets.odf.timestamp import Timestamp

events = Table(
    "flow_events",
    metadata,
    Column("id", RowNumber, primary_key=True),
    Column("flow_id", RowNumber, nullable=False),
    Column("at", TimestampColumn, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("what", Text),
    Index("ix_flow_events_flow_id", "flow_id", "id"),
)

attempts = Table(
    "flow_attempts",
    metadata,
    Column("flow_id", RowNumber, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True),
    Column("run_id", String(36), nullable=False, index=True),
    Column("queued_at", TimestampColumn, nullable=False),
    Column("started_at", TimestampColumn),
    Column("finished_at", TimestampColumn),
    Column("outcome", String(16)),
    Column("recoverable", Boolean),
    Column("rewritten_input", DatasetIDColumn),
    Column("message", Text),
    Column("result", Text),
)

# Made once: flows have many events.
_NOTE = Frequent(insert(events), columns=("flow_id", "at", "kind", "what"))
_HAPPENING = TypeAdapter(Happening)


class FlowHistory:
    """Every event and every attempt of every flow."""

    def note(self, tx: Transaction, flow: int, at: Timestamp, kind: EventKind, what: Happening = NOTHING) -> None:
        told = None if what is NOTHING else _HAPPENING.dump_json(what, exclude_defaults=True).decode()
        tx.change(_NOTE, {"flow_id": flow, "at": at, "kind": kind.value, "what": told})

    def events(self, tx: Transaction, flow: int, *, after: int = 0) -> Sequence[FlowEvent]:
        """Those behind one of them, oldest first."""
        query = select(events).where(events.c.flow_id == flow, events.c.id > after).order_by(events.c.id)
        return [_event(row) for row in tx.execute(query)]

    def queue(self, tx: Transaction, flow: Flow) -> None:
        """The flow's current attempt has a run."""
        tx.execute(
            insert(attempts).values(
                flow_id=flow.id, number=flow.attempt, run_id=flow.run_id, queued_at=flow.submitted_at
            )
        )

    def begin(self, tx: Transaction, flow: Flow) -> None:
        """An executor took it."""
        tx.execute(update(attempts).where(*_current(flow)).values(started_at=flow.started_at))

    def finish(self, tx: Transaction, flow: Flow, outcome: FlowOutcome, at: Timestamp) -> None:
        ended = {
            "finished_at": at,
            "outcome": outcome.kind.value,
            "message": outcome.message,
            "recoverable": outcome.recoverable,
            "rewritten_input": outcome.rewritten_input,
            "result": result_text(flow.result),
        }
        tx.execute(update(attempts).where(*_current(flow)).values(ended))

    def is_over(self, tx: Transaction, run_id: str) -> bool:
        """Whether the run was an attempt, and has come to its end whatever else is done in it."""
        ends = tx.execute(select(attempts.c.finished_at).where(attempts.c.run_id == run_id)).scalars().all()
        return bool(ends) and all(ends)

    def served(self, tx: Transaction, run_id: str) -> frozenset[Binding]:
        """What the run was an attempt of."""
        mine = select(flows.c.scope, flows.c.type).join(attempts, attempts.c.flow_id == flows.c.id)
        rows = tx.execute(mine.where(attempts.c.run_id == run_id))
        return frozenset(Binding(row.scope, FlowType(row.type)) for row in rows)

    def attempts(self, tx: Transaction, flow: int) -> Sequence[Attempt]:
        """First to last."""
        query = select(attempts).where(attempts.c.flow_id == flow).order_by(attempts.c.number)
        return [_attempt(row) for row in tx.execute(query)]


def _current(flow: Flow) -> tuple[Any, ...]:
    return (attempts.c.flow_id == flow.id, attempts.c.number == flow.attempt)


def _event(row: Row[Any]) -> FlowEvent:
    what = _HAPPENING.validate_json(row.what) if row.what else NOTHING
    return FlowEvent(row.id, row.flow_id, row.at, EventKind(row.kind), what)


def _attempt(row: Row[Any]) -> Attempt:
    outcome = outcome_of(row) if row.outcome else None
    result = result_of(row.result)
    return Attempt(row.number, row.run_id, row.queued_at, row.started_at, row.finished_at, outcome, result)
