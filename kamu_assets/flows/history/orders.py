"""In which order lists show flows, and the ids of a page in it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, case, func, select

from kamu_assets.database.transaction import Transaction
from kamu_assets.flows.flow_rows import flows
from kamu_assets.flows.model import FlowState


class FlowOrder(StrEnum):
    """As the API names them, and the one of numbers."""

    NEWEST = "NEWEST"
    # What waits, runs, is tried again, has finished; of each what something happened to last comes first.
    QUEUE = "QUEUE"
    # What waits for its time, the soonest first; then the rest as in the queue.
    SCHEDULED_FOR_ACTIVATION = "SCHEDULED_FOR_ACTIVATION"


_state = flows.c.state
_WITHOUT_EXECUTOR = (_state == FlowState.RUNNING.value) & flows.c.started_at.is_(None)
# By the state that is shown.
_RANK = case(
    (_WITHOUT_EXECUTOR & (flows.c.attempt <= 1), 0),
    (_WITHOUT_EXECUTOR, 2),
    (_state == FlowState.WAITING.value, 0),
    (_state == FlowState.RUNNING.value, 1),
    else_=2,
)
_LAST_CHANGE = func.coalesce(
    flows.c.started_at, flows.c.submitted_at, flows.c.attempt_ended_at, flows.c.created_at
).desc()
_IS_STARTED = case((_state == FlowState.RUNNING.value, 1), else_=0)
_NEWEST = flows.c.id.desc()
_LIVE_FIRST: dict[FlowOrder, tuple[ColumnElement[Any], ...]] = {
    FlowOrder.QUEUE: (_RANK, _LAST_CHANGE, _NEWEST),
    FlowOrder.SCHEDULED_FOR_ACTIVATION: (_IS_STARTED, flows.c.scheduled_at, flows.c.id),
}
_IS_LIVE = _state.in_([state.value for state in FlowState if state is not FlowState.FINISHED])
# Told by the index that finished flows are read by.
_HAS_FINISHED = flows.c.finished_at.is_not(None)
_LATEST = (flows.c.finished_at.desc(), _NEWEST)


def ids_of_page(
    tx: Transaction, passing: Sequence[ColumnElement[bool]], order: FlowOrder, *, limit: int, offset: int
) -> Sequence[int]:
    """Flows that pass, as an order shows them. Few are live: those are sorted, the others are read by index."""
    if order is FlowOrder.NEWEST:
        return _ids(tx, passing, (_NEWEST,), limit, offset)
    live = [*passing, _IS_LIVE]
    found = _ids(tx, live, _LIVE_FIRST[order], limit, offset)
    if len(found) == limit:
        return found
    before = tx.execute(select(func.count()).select_from(flows).where(*live)).scalar_one()
    rest, skipped = limit - len(found), max(0, offset - before)
    return [*found, *_ids(tx, [*passing, _HAS_FINISHED], _LATEST, rest, skipped)]


def _ids(
    tx: Transaction,
    passing: Sequence[ColumnElement[bool]],
    order: Sequence[ColumnElement[Any]],
    limit: int,
    offset: int,
) -> Sequence[int]:
    query = select(flows.c.id).where(*passing).order_by(*order).limit(limit).offset(offset)
    return [int(number) for number in tx.execute(query).scalars()]
