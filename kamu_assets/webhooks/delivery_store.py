"""Rows of deliveries."""

from collections.abc import Mapping, Sequence
from typing import Any

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
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    type_coerce,
    union_all,
    update,
)

from kamu_assets.database.columns import DatasetIDColumn, MultihashColumn, RowNumber, TimestampColumn
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.flows.flow_rows import flows, is_live
from kamu_assets.flows.scopes import WEBHOOK
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.webhooks.model import Delivery, DeliveryState, EventType

deliveries = Table(
    "webhook_deliveries",
    metadata,
    # In the order of their making.
    Column("number", RowNumber, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("subscription_id", String(36), nullable=False),
    Column("event_type", String(32), nullable=False),
    Column("dataset_id", DatasetIDColumn),
    Column("created_at", TimestampColumn, nullable=False),
    Column("old_hash", MultihashColumn),
    Column("new_hash", MultihashColumn),
    Column("is_breaking", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("flow_id", RowNumber),
    Column("finished_at", TimestampColumn),
    Column("response_status", Integer),
    Column("message", Text),
    Index("ix_webhook_deliveries_subscription", "subscription_id", "number"),
    Index("ix_webhook_deliveries_dataset_id", "dataset_id"),
    Index("ix_webhook_deliveries_finished_at", "finished_at"),
)
_IS_WAITING = deliveries.c.state == DeliveryState.WAITING.value
Index("ix_webhook_deliveries_open", deliveries.c.subscription_id, sqlite_where=deliveries.c.finished_at.is_(None))
# Whoever races: updates that wait are folded into one delivery.
Index(
    "uq_webhook_deliveries_waiting",
    deliveries.c.subscription_id,
    deliveries.c.dataset_id,
    deliveries.c.event_type,
    unique=True,
    sqlite_where=_IS_WAITING,
)


class DeliveryStore:
    """Deliveries, open and finished."""

    def add(self, tx: Transaction, delivery: Delivery) -> None:
        tx.execute(insert(deliveries).values(id=delivery.id, **_values(delivery)))

    def save(self, tx: Transaction, delivery: Delivery, *, was: Delivery) -> bool:
        """Write it, unless somebody else has changed it since it `was` read."""
        unchanged = (
            deliveries.c.id == was.id,
            deliveries.c.state == was.state.value,
            deliveries.c.attempt == was.attempt,
        )
        return tx.execute(update(deliveries).where(*unchanged).values(**_values(delivery))).rowcount == 1

    def find(self, tx: Transaction, id_: str) -> Delivery | None:
        row = tx.execute(select(deliveries).where(deliveries.c.id == id_)).one_or_none()
        return None if row is None else _delivery(row)

    def hold(self, tx: Transaction, id_: str) -> Delivery | None:
        """The same, to be begun: nobody folds anything into it before the end."""
        row = tx.execute(select(deliveries).where(deliveries.c.id == id_).with_for_update()).one_or_none()
        return None if row is None else _delivery(row)

    def waiting(
        self, tx: Transaction, subscription: str, dataset: DatasetID | None, event_type: EventType
    ) -> Delivery | None:
        """The delivery that newer updates are folded into; nobody begins to send it before the end."""
        query = select(deliveries).where(_IS_WAITING, deliveries.c.subscription_id == subscription)
        query = query.where(deliveries.c.dataset_id == dataset, deliveries.c.event_type == event_type.value)
        row = tx.execute(query.with_for_update()).one_or_none()
        return None if row is None else _delivery(row)

    def reached(self, tx: Transaction, subscription: str) -> Mapping[DatasetID, Multihash | None]:
        """Which head of each dataset a receiver knows: that of its last delivery, or where its first failure began."""
        number, has_arrived = deliveries.c.number, deliveries.c.state == DeliveryState.DELIVERED.value
        mine = (
            deliveries.c.subscription_id == subscription,
            deliveries.c.event_type == EventType.DATASET_REF_UPDATED.value,
            deliveries.c.dataset_id.is_not(None),
        )
        last = select(func.max(number)).where(*mine, has_arrived).group_by(deliveries.c.dataset_id)
        first = select(func.min(number)).where(*mine, ~has_arrived).group_by(deliveries.c.dataset_id)
        query = select(deliveries).where(number.in_(union_all(last, first))).order_by(number)
        heads: dict[DatasetID, Multihash | None] = {}
        for row in tx.execute(query):
            if row.state == DeliveryState.DELIVERED.value:
                heads[row.dataset_id] = row.new_hash
            else:
                heads.setdefault(row.dataset_id, row.old_hash)
        return heads

    def open_of(self, tx: Transaction, subscription: str) -> Sequence[Delivery]:
        """What is still to be sent, oldest first."""
        query = select(deliveries).where(_is_open(), deliveries.c.subscription_id == subscription)
        return [_delivery(row) for row in tx.execute(query.order_by(deliveries.c.number))]

    def forsaken(self, tx: Transaction) -> Sequence[str]:
        """Subscriptions that something is still to be sent to, and no flow is there that would."""
        scope = literal(WEBHOOK) + deliveries.c.subscription_id
        sent = exists().where(type_coerce(flows.c.scope, Text) == scope, is_live)
        query = select(deliveries.c.subscription_id).where(_is_open(), ~sent).distinct()
        return list(tx.execute(query.order_by(deliveries.c.subscription_id)).scalars())

    def list(
        self, tx: Transaction, subscription: str, *, flow: int | None = None, limit: int, offset: int = 0
    ) -> Sequence[Delivery]:
        """Newest first; of one flow only."""
        query = select(deliveries).where(deliveries.c.subscription_id == subscription)
        if flow is not None:
            query = query.where(deliveries.c.flow_id == flow)
        query = query.order_by(deliveries.c.number.desc()).limit(limit).offset(offset)
        return [_delivery(row) for row in tx.execute(query)]

    def forget(self, tx: Transaction, dataset: DatasetID) -> None:
        """Remove all about a dataset that is gone."""
        tx.execute(delete(deliveries).where(deliveries.c.dataset_id == dataset))

    def prune(self, tx: Transaction, finished_before: Timestamp) -> int:
        """Remove what is over since long; tells how many."""
        return tx.execute(delete(deliveries).where(deliveries.c.finished_at < finished_before)).rowcount


def _is_open() -> ColumnElement[bool]:
    return deliveries.c.finished_at.is_(None)


def _values(delivery: Delivery) -> dict[str, object]:
    return {
        "subscription_id": delivery.subscription_id,
        "event_type": delivery.event_type.value,
        "dataset_id": delivery.dataset_id,
        "created_at": delivery.created_at,
        "old_hash": delivery.old_hash,
        "new_hash": delivery.new_hash,
        "is_breaking": delivery.is_breaking,
        "state": delivery.state.value,
        "attempt": delivery.attempt,
        "flow_id": delivery.flow,
        "finished_at": delivery.finished_at,
        "response_status": delivery.response_status,
        "message": delivery.message,
    }


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        subscription_id=row.subscription_id,
        event_type=EventType(row.event_type),
        dataset_id=row.dataset_id,
        created_at=row.created_at,
        old_hash=row.old_hash,
        new_hash=row.new_hash,
        is_breaking=row.is_breaking,
        state=DeliveryState(row.state),
        attempt=row.attempt,
        flow=row.flow_id,
        finished_at=row.finished_at,
        response_status=row.response_status,
        message=row.message,
    )
