"""Rows of triggers: at most one per dataset."""

from collections.abc import Sequence

from sqlalchemy import Boolean, Column, Row, String, Table, and_, delete, func, insert, select, update

from kamu_assets.database.columns import DatasetIDColumn, TimestampColumn
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.flows.model import Cron, Interval, Trigger, TriggerRule
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.timestamp import Timestamp

triggers = Table(
    "flow_triggers",
    metadata,
    Column("dataset_id", DatasetIDColumn, primary_key=True),
    Column("rule_kind", String(16), nullable=False),
    Column("rule", String(255), nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("next_due", TimestampColumn, nullable=False, index=True),
)


class TriggerStore:
    """One trigger per dataset."""

    def set(self, tx: Transaction, trigger: Trigger) -> None:
        self.remove(tx, trigger.dataset_id)
        tx.execute(
            insert(triggers).values(
                dataset_id=trigger.dataset_id,
                rule_kind=type(trigger.rule).__name__,
                rule=_rule_text(trigger.rule),
                paused=trigger.paused,
                next_due=trigger.next_due,
            )
        )

    def remove(self, tx: Transaction, dataset: DatasetID) -> None:
        tx.execute(delete(triggers).where(triggers.c.dataset_id == dataset))

    def advance(self, tx: Transaction, trigger: Trigger, to: Trigger) -> bool:
        """Move the due time, unless somebody changed the trigger since it was read."""
        same = and_(triggers.c.dataset_id == trigger.dataset_id, triggers.c.next_due == trigger.next_due)
        return bool(tx.execute(update(triggers).where(same).values(next_due=to.next_due)).rowcount)

    def find(self, tx: Transaction, dataset: DatasetID) -> Trigger | None:
        row = tx.execute(select(triggers).where(triggers.c.dataset_id == dataset)).one_or_none()
        return _trigger(row) if row else None

    def list(self, tx: Transaction) -> Sequence[Trigger]:
        return [_trigger(row) for row in tx.execute(select(triggers).order_by(triggers.c.next_due))]

    def due(self, tx: Transaction, now: Timestamp) -> Sequence[Trigger]:
        query = select(triggers).where(triggers.c.paused.is_(False), triggers.c.next_due <= now)
        return [_trigger(row) for row in tx.execute(query.order_by(triggers.c.next_due))]

    def next_due(self, tx: Transaction) -> Timestamp | None:
        """When the next trigger fires."""
        query = select(func.min(triggers.c.next_due)).where(triggers.c.paused.is_(False))
        soonest: Timestamp | None = tx.execute(query).scalar_one()
        return soonest


def _rule_text(rule: TriggerRule) -> str:
    return str(rule.seconds) if isinstance(rule, Interval) else rule.expression


def _trigger(row: Row[tuple[object, ...]]) -> Trigger:
    rule: TriggerRule = Interval(int(row.rule)) if row.rule_kind == Interval.__name__ else Cron(row.rule)
    return Trigger(row.dataset_id, rule, row.next_due, row.paused)
