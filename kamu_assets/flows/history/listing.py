"""Flows page by page, as people look through them: filtered, counted, in an order."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select

from kamu_assets.auth.model import Caller
from kamu_assets.database.database import Database
from kamu_assets.datasets.store import datasets
from kamu_assets.flows.flow_rows import flow_of, flows
from kamu_assets.flows.history.orders import FlowOrder, ids_of_page
from kamu_assets.flows.model import Flow, FlowState, FlowType, OutcomeKind
from kamu_assets.flows.scopes import WebhookScope
from kamu_assets.odf.identity import AccountID, DatasetID
from kamu_assets.odf.timestamp import Timestamp


@dataclass(frozen=True, slots=True)
class FlowFilter:
    """Which flows to show: what is None lets all pass, what is empty none."""

    datasets: Collection[DatasetID] | None = None
    # Of whose datasets; those of deleted datasets are nobody's.
    owner: AccountID | None = None
    types: Collection[FlowType] | None = None
    # Webhooks that were told.
    subscriptions: Collection[str] | None = None
    # As they are shown (`Flow.status`).
    statuses: Collection[FlowState] | None = None
    outcomes: Collection[OutcomeKind] | None = None
    # Who asked first; None among them stands for flows that nobody asked for.
    initiators: Collection[AccountID | None] | None = None


EVERY = FlowFilter()


@dataclass(frozen=True, slots=True)
class FlowPage:
    """Some flows, and how many there are on all pages."""

    flows: Sequence[Flow]
    total: int


class FlowLists:
    """Reads the rows of flows for who wants to see many."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self,
        caller: Caller,
        wanted: FlowFilter = EVERY,
        *,
        order: FlowOrder = FlowOrder.NEWEST,
        limit: int = 50,
        offset: int = 0,
        before: int | None = None,
    ) -> FlowPage:
        """A page begins behind so many flows or, where the newest come first, behind the one with the id `before`."""
        del caller  # Everybody may read.
        passing = list(_conditions(wanted))
        listed = [*passing, flows.c.id < before] if before is not None else passing
        with self._database.reading() as tx:
            total = int(tx.execute(select(func.count()).select_from(flows).where(*passing)).scalar_one())
            # The rows are wide: only those of the page are read.
            ids = ids_of_page(tx, listed, order, limit=limit, offset=offset)
            found = {row.id: flow_of(row) for row in tx.execute(select(flows).where(flows.c.id.in_(ids)))}
            return FlowPage([found[number] for number in ids], total)

    def failed_since(self, caller: Caller, moment: Timestamp, *, limit: int = 50) -> FlowPage:
        """Flows that failed after a moment, latest first."""
        del caller  # Everybody may read.
        # The index by the end is the one to use: there may be far more that failed before, so not that of outcomes.
        failed = and_(func.coalesce(flows.c.outcome, "") == OutcomeKind.FAILED.value, flows.c.finished_at > moment)
        query = select(flows).where(failed).order_by(flows.c.finished_at.desc(), flows.c.id.desc()).limit(limit)
        with self._database.reading() as tx:
            total = int(tx.execute(select(func.count()).select_from(flows).where(failed)).scalar_one())
            return FlowPage([flow_of(row) for row in tx.execute(query)], total)


def _conditions(wanted: FlowFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.datasets is not None:
        yield flows.c.dataset_id.in_(wanted.datasets)
    if wanted.owner is not None:
        yield flows.c.dataset_id.in_(select(datasets.c.id).where(datasets.c.owner_id == wanted.owner))
    if wanted.types is not None:
        yield flows.c.type.in_([type_.value for type_ in wanted.types])
    if wanted.subscriptions is not None:
        yield flows.c.scope.in_([WebhookScope(id_) for id_ in wanted.subscriptions])
    if wanted.statuses is not None:
        yield _any([_is_shown(status) for status in wanted.statuses])
    if wanted.outcomes is not None:
        yield flows.c.outcome.in_([outcome.value for outcome in wanted.outcomes])
    if wanted.initiators is not None:
        accounts = [account for account in wanted.initiators if account is not None]
        nobody = [flows.c.initiator.is_(None)] if None in wanted.initiators else []
        yield _any([flows.c.initiator.in_(accounts), *nobody])


def _is_shown(status: FlowState) -> ColumnElement[bool]:
    """Whether a flow is shown in this state; what runs and has no executor yet waits."""
    state = flows.c.state == status.value
    runs = flows.c.state == FlowState.RUNNING.value
    waits = and_(runs, flows.c.started_at.is_(None))
    match status:
        case FlowState.WAITING:
            return or_(state, and_(waits, flows.c.attempt <= 1))
        case FlowState.RETRYING:
            return or_(state, and_(waits, flows.c.attempt > 1))
        case FlowState.RUNNING:
            return and_(runs, flows.c.started_at.is_not(None))
        case FlowState.FINISHED:
            return state


def _any(conditions: Sequence[ColumnElement[Any]]) -> ColumnElement[bool]:
    """One of them; of none, nothing."""
    return or_(*conditions) if conditions else flows.c.id.in_(())
