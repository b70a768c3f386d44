"""Rows of subscriptions."""

from collections.abc import Collection, Sequence
from typing import Any

from pydantic import SecretStr
from sqlalchemy import (
    Column,
    Index,
    Row,
    String,
    Table,
    Text,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    type_coerce,
    update,
)

from kamu_assets.database.columns import DatasetIDColumn, MultihashColumn, RowNumber, TimestampColumn
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.flows.model import FlowType
from kamu_assets.flows.processes.store import processes
from kamu_assets.flows.scopes import WEBHOOK
from kamu_assets.flows.triggers.rules import StopReason
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.webhooks.delivery_store import deliveries
from kamu_assets.webhooks.model import EventType, Subscription, SubscriptionStatus

_SEPARATOR = ","

subscriptions = Table(
    "webhook_subscriptions",
    metadata,
    # In the order of their making, which is the order of lists.
    Column("number", RowNumber, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("dataset_id", DatasetIDColumn),
    Column("target_url", Text, nullable=False),
    Column("event_types", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("secret", Text, nullable=False),
    Column("created_at", TimestampColumn, nullable=False),
    Column("status_since", TimestampColumn),
    Column("stop_reason", String(32)),
    Column("told_head", MultihashColumn),
    Index("ix_webhook_subscriptions_dataset_id", "dataset_id"),
)
_IS_THERE = subscriptions.c.status != SubscriptionStatus.REMOVED.value
_IS_LABELED = and_(subscriptions.c.label != "", _IS_THERE)
Index(
    "uq_webhook_subscriptions_label",
    subscriptions.c.dataset_id,
    subscriptions.c.label,
    unique=True,
    sqlite_where=_IS_LABELED,
)


# With how its flows have gone.
_SCOPE = literal(WEBHOOK) + subscriptions.c.id
_READ = select(subscriptions, processes.c.consecutive_failures.label("failures")).select_from(
    subscriptions.outerjoin(
        processes,
        and_(type_coerce(processes.c.scope, Text) == _SCOPE, processes.c.type == FlowType.WEBHOOK_DELIVER.value),
    )
)


class SubscriptionStore:
    """Subscriptions; removed ones are kept for the history of their deliveries, and found by nobody."""

    def add(self, tx: Transaction, subscription: Subscription) -> None:
        tx.execute(insert(subscriptions).values(id=subscription.id, **_values(subscription)))

    def save(self, tx: Transaction, subscription: Subscription) -> None:
        changed = update(subscriptions).where(subscriptions.c.id == subscription.id)
        tx.execute(changed.values(**_values(subscription)))

    def find(self, tx: Transaction, id_: str) -> Subscription | None:
        row = tx.execute(_READ.where(subscriptions.c.id == id_, _IS_THERE)).one_or_none()
        return None if row is None else _subscription(row)

    def hold(self, tx: Transaction, id_: str) -> Subscription | None:
        """The same, to be changed: nobody else changes it before the end."""
        tx.lock(f"webhook-subscription {id_}")
        return self.find(tx, id_)

    def of_dataset(self, tx: Transaction, dataset: DatasetID | None) -> Sequence[Subscription]:
        """Those of one dataset, or those of all, oldest first."""
        query = _READ.where(_IS_THERE, _of(dataset)).order_by(subscriptions.c.number)
        return [_subscription(row) for row in tx.execute(query)]

    def all(self, tx: Transaction) -> Sequence[Subscription]:
        """Oldest first."""
        query = _READ.where(_IS_THERE).order_by(subscriptions.c.number)
        return [_subscription(row) for row in tx.execute(query)]

    def listening(self, tx: Transaction, datasets: Collection[DatasetID]) -> Sequence[Subscription]:
        """Those that are told of some datasets."""
        about = or_(subscriptions.c.dataset_id.is_(None), subscriptions.c.dataset_id.in_(datasets))
        query = _READ.where(subscriptions.c.status == SubscriptionStatus.ENABLED.value, about)
        return [_subscription(row) for row in tx.execute(query.order_by(subscriptions.c.number))]

    def has_label(self, tx: Transaction, dataset: DatasetID | None, label: str, *, besides: str | None) -> bool:
        """Whether another subscription of the dataset has this label."""
        query = select(func.count()).select_from(subscriptions).where(_IS_THERE, _of(dataset))
        query = query.where(subscriptions.c.label == label, subscriptions.c.id != (besides or ""))
        return bool(tx.execute(query).scalar_one())

    def forget(self, tx: Transaction, dataset: DatasetID) -> None:
        """Remove all of a dataset that is gone."""
        tx.execute(delete(subscriptions).where(subscriptions.c.dataset_id == dataset))

    def write_anew(self, tx: Transaction) -> None:
        """Leave no bytes of what rows had before, where the database would keep them until it needs the room."""
        if not tx.is_sqlite:
            return
        rows = [dict(row) for row in tx.execute(select(subscriptions)).mappings()]
        tx.overwrite_what_is_freed()
        tx.execute(delete(subscriptions))
        tx.execute(insert(subscriptions), rows)

    def forget_removed(self, tx: Transaction) -> Sequence[str]:
        """Remove those that were kept for deliveries which are forgotten by now; tells which."""
        has_history = exists().where(deliveries.c.subscription_id == subscriptions.c.id)
        gone = delete(subscriptions).where(subscriptions.c.status == SubscriptionStatus.REMOVED.value, ~has_history)
        return list(tx.execute(gone.returning(subscriptions.c.id)).scalars())

    def note_told(self, tx: Transaction, id_: str, told: Multihash | None) -> None:
        """It knows this head now."""
        tx.execute(update(subscriptions).where(subscriptions.c.id == id_).values(told_head=told))


def _of(dataset: DatasetID | None) -> Any:
    return subscriptions.c.dataset_id.is_(None) if dataset is None else subscriptions.c.dataset_id == dataset


def _values(subscription: Subscription) -> dict[str, object]:
    return {
        "dataset_id": subscription.dataset_id,
        "target_url": subscription.target_url,
        "event_types": _SEPARATOR.join(subscription.event_types),
        "label": subscription.label,
        "status": subscription.status.value,
        "secret": subscription.secret.get_secret_value(),
        "created_at": subscription.created_at,
        "status_since": subscription.status_since,
        "stop_reason": subscription.stop_reason.value if subscription.stop_reason else None,
        "told_head": subscription.told_head,
    }


def _subscription(row: Row[Any]) -> Subscription:
    return Subscription(
        id=row.id,
        dataset_id=row.dataset_id,
        target_url=row.target_url,
        event_types=tuple(EventType(each) for each in row.event_types.split(_SEPARATOR)),
        label=row.label,
        status=SubscriptionStatus(row.status),
        secret=SecretStr(row.secret),
        created_at=row.created_at,
        status_since=row.status_since,
        stop_reason=StopReason(row.stop_reason) if row.stop_reason else None,
        consecutive_failures=row.failures or 0,
        told_head=row.told_head,
    )
