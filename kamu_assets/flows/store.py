"""Rows of flows."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Subquery,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal,
    not_,
    or_,
    select,
    type_coerce,
)
from sqlalchemy import update as sql_update

from kamu_assets.database.frequent import Frequent
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.store import datasets
from kamu_assets.errors import NotFoundError
from kamu_assets.flows.flow_rows import CHANGING, flow_of, flows, is_live, values_of
from kamu_assets.flows.model import (
    Binding,
    Flow,
    FlowLoad,
    FlowState,
    FlowType,
)
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.timestamp import Timestamp

# There is one run at a time in each. Who verifies a dataset only reads it, which disturbs nobody.
_LANE = case(
    (flows.c.type == FlowType.VERIFY.value, literal("verify ") + type_coerce(flows.c.scope, Text)),
    else_=type_coerce(flows.c.scope, Text),
)
# Made once: every step of every flow executes these.
_SAVE = Frequent(sql_update(flows).where(flows.c.id == bindparam("flow")), columns=CHANGING)
_LIVE = Frequent(
    select(flows)
    .where(flows.c.scope == bindparam("scope"), flows.c.type == bindparam("type"), is_live)
    .with_for_update()
)
# Of the index alone, for each state.
_NEXT_START = Frequent(
    select(flows.c.scheduled_at)
    .where(flows.c.state == bindparam("state"), flows.c.scheduled_at > bindparam("after"))
    .order_by(flows.c.scheduled_at)
    .limit(1)
)
_BEGINNING = Timestamp(0)
_STARTABLE = (FlowState.WAITING.value, FlowState.RETRYING.value)


class FlowNotFoundError(NotFoundError):
    """No such flow, as far as the caller may know."""

    def __init__(self, flow_id: int) -> None:
        super().__init__(f"flow {flow_id} does not exist")
        self.flow_id = flow_id


class FlowStore:
    """Flows, live and finished."""

    def add(self, tx: Transaction, flow: Flow) -> Flow | None:
        """The flow with its id; None if the binding has a live one already."""
        query = tx.insert(flows).values(**values_of(flow)).on_conflict_do_nothing().returning(flows.c.id)
        number = tx.execute(query).scalar_one_or_none()
        return None if number is None else replace(flow, id=number)

    def save(self, tx: Transaction, flow: Flow) -> None:
        tx.change(_SAVE, {"flow": flow.id, **values_of(flow)})

    def note_wait(self, tx: Transaction, text: str, *, flow: int | None = None, run: str | None = None) -> None:
        """Say what a flow waits for, by its id or its run's, unless it has begun meanwhile."""
        begun = or_(flows.c.outcome.is_not(None), flows.c.started_at.is_not(None))
        which = flows.c.id == flow if run is None else flows.c.run_id == run
        tx.execute(sql_update(flows).where(which, not_(begun)).values(message=text))

    def get(self, tx: Transaction, flow_id: int, *, lock: bool = False) -> Flow:
        """With `lock` nobody else changes it before this transaction ends."""
        query = select(flows).where(flows.c.id == flow_id)
        found = _first(tx, query.with_for_update() if lock else query)
        if found is None:
            raise FlowNotFoundError(flow_id)
        return found

    def live(self, tx: Transaction, binding: Binding) -> Flow | None:
        """The binding's flow that has not ended; nobody else changes it before this transaction ends."""
        found = tx.find(_LIVE, {"scope": binding.scope, "type": binding.type.value})
        return next(map(flow_of, found), None)

    def peek(self, tx: Transaction, binding: Binding) -> Flow | None:
        """The same, for who only looks."""
        mine = and_(flows.c.scope == binding.scope, flows.c.type == binding.type.value, is_live)
        return _first(tx, select(flows).where(mine))

    def live_of(self, tx: Transaction, dataset: DatasetID) -> Sequence[Flow]:
        """All that is to be done to a dataset, or is being done."""
        return _all(tx, select(flows).where(flows.c.dataset_id == dataset, is_live).order_by(flows.c.id))

    def by_run(self, tx: Transaction, run_id: str, *, lock: bool = False) -> Sequence[Flow]:
        """Flows whose current attempt is this run; a run started in Dagster's UI may serve several."""
        query = select(flows).where(flows.c.run_id == run_id).order_by(flows.c.id)
        return _all(tx, query.with_for_update() if lock else query)

    def running(self, tx: Transaction) -> Sequence[Flow]:
        return _all(tx, select(flows).where(_in(FlowState.RUNNING)).order_by(flows.c.scheduled_at, flows.c.id))

    def ready(
        self, tx: Transaction, now: Timestamp, limit: int, *, account_limit: int | None = None, telling: bool = False
    ) -> Sequence[Flow]:
        """Flows whose time has come, one of each scope where none runs: those that tell receivers, or all others.

        Accounts take turns, those with fewer runs first; in its turn an account has its most urgent flow done.
        """
        query = _ready(telling=telling, is_limited=account_limit is not None)
        return [flow_of(row) for row in tx.execute(query, {"now": now, "turns": account_limit, "at_most": limit})]

    def next_start(self, tx: Transaction, after: Timestamp | None = None) -> Timestamp | None:
        """When the next flow is due, or the first of all; `after` leaves out those whose time has come."""
        given = {"after": after or _BEGINNING}
        found = [tx.find(_NEXT_START, {"state": state, **given}) for state in _STARTABLE]
        return min((row.scheduled_at for rows in found for row in rows), default=None)

    def starts(self, tx: Transaction) -> dict[Binding, Timestamp]:
        """When each flow starts that waits for its time."""
        query = select(flows.c.scope, flows.c.type, flows.c.scheduled_at).where(flows.c.state.in_(_STARTABLE))
        return {Binding(row.scope, FlowType(row.type)): row.scheduled_at for row in tx.execute(query)}

    def count_running(self, tx: Transaction, *, telling: bool = False) -> int:
        """Those that tell receivers, or all others."""
        return self._count(tx, and_(_in(FlowState.RUNNING), _is_telling(telling=telling)))

    def load(self, tx: Transaction, now: Timestamp) -> FlowLoad:
        """Flows that wait although their time has come, and those that run."""
        due = and_(flows.c.state.in_(_STARTABLE), flows.c.scheduled_at <= now)
        return FlowLoad(waiting=self._count(tx, due), running=self._count(tx, _in(FlowState.RUNNING)))

    def _count(self, tx: Transaction, condition: ColumnElement[bool]) -> int:
        return int(tx.execute(select(func.count()).select_from(flows).where(condition)).scalar_one())

    def newest_finished(self, tx: Transaction, dataset: DatasetID) -> Flow | None:
        """The latest flow that did something to the dataset, and has an outcome."""
        ended = and_(
            flows.c.dataset_id == dataset, _is_telling(telling=False), _in(FlowState.FINISHED), flows.c.attempt > 0
        )
        return _first(tx, select(flows).where(ended).order_by(flows.c.finished_at.desc(), flows.c.id.desc()).limit(1))

    def newest_of(self, tx: Transaction, binding: Binding) -> Flow | None:
        """The latest flow of a binding that did something, and has an outcome."""
        query = select(flows).where(flows.c.dataset_id == binding.dataset_id, flows.c.type == binding.type.value)
        ended = query.where(flows.c.scope == binding.scope, _in(FlowState.FINISHED), flows.c.attempt > 0)
        return _first(tx, ended.order_by(flows.c.id.desc()).limit(1))

    def list(
        self, tx: Transaction, *, dataset: DatasetID | None = None, limit: int = 50, before: int | None = None
    ) -> Sequence[Flow]:
        """Newest first; `before` is the last id of the page before."""
        query = select(flows).order_by(flows.c.id.desc()).limit(limit)
        if dataset is not None:
            query = query.where(flows.c.dataset_id == dataset)
        if before is not None:
            query = query.where(flows.c.id < before)
        return _all(tx, query)


@cache
def _ready(*, telling: bool, is_limited: bool) -> Select[Any]:
    """Made once: making it takes longer than executing it where little waits."""
    turns = _turns(_is_telling(telling=telling))
    query = select(flows).join(turns, turns.c.id == flows.c.id).where(turns.c.nth_of_scope == 1)
    if is_limited:
        query = query.where(turns.c.turn <= bindparam("turns", type_=Integer))
    urgent = (turns.c.turn, flows.c.priority.desc(), flows.c.scheduled_at, flows.c.id)
    return query.order_by(*urgent).limit(bindparam("at_most", type_=Integer))


def _turns(which: ColumnElement[bool]) -> Subquery:
    """For every flow that could begin: the how-manieth of its scope it is, and which turn of its account."""
    running = select(_LANE.label("lane"), datasets.c.owner_id).select_from(_owned())
    busy = running.where(_in(FlowState.RUNNING), which).subquery()
    places = select(busy.c.owner_id, func.count().label("taken")).group_by(busy.c.owner_id).subquery()
    due = and_(flows.c.state.in_(_STARTABLE), flows.c.scheduled_at <= bindparam("now"))
    # Nothing is computed from what is about to be dropped.
    emptied = (flows.c.type == FlowType.RESET_TO_METADATA.value).desc()
    order = (emptied, flows.c.priority.desc(), flows.c.scheduled_at, flows.c.id)
    first = func.row_number().over(partition_by=_LANE, order_by=order)
    free = select(flows.c.id, flows.c.priority, flows.c.scheduled_at, datasets.c.owner_id, first.label("nth"))
    free = free.select_from(_owned()).where(due, which, _LANE.not_in(select(busy.c.lane)))
    each = free.subquery()
    within = (each.c.nth, each.c.priority.desc(), each.c.scheduled_at, each.c.id)
    turn = func.row_number().over(partition_by=each.c.owner_id, order_by=within) + func.coalesce(places.c.taken, 0)
    return (
        select(each.c.id, each.c.nth.label("nth_of_scope"), turn.label("turn"))
        .select_from(each.outerjoin(places, places.c.owner_id == each.c.owner_id))
        .subquery()
    )


def _owned() -> FromClause:
    """Flows with the accounts of their datasets, as long as there are some."""
    return flows.outerjoin(datasets, datasets.c.id == flows.c.dataset_id)


def _is_telling(*, telling: bool) -> ColumnElement[bool]:
    told = [type_.value for type_ in FlowType if type_.tells]
    return flows.c.type.in_(told) if telling else flows.c.type.not_in(told)


def _in(state: FlowState) -> ColumnElement[bool]:
    return flows.c.state == state.value


def _all(tx: Transaction, query: Select[Any]) -> list[Flow]:
    return [flow_of(row) for row in tx.execute(query)]


def _first(tx: Transaction, query: Select[Any]) -> Flow | None:
    return next(iter(_all(tx, query)), None)
