"""Rows of triggers: at most one per binding."""

from collections.abc import Sequence

from sqlalchemy import Boolean, Column, ColumnElement, Row, String, Table, and_, delete, exists, insert, select

from kamu_assets.database.columns import DatasetIDColumn
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.flows.flow_rows import flows, is_live
from kamu_assets.flows.model import Binding, FlowType
from kamu_assets.flows.rules import Cron, Interval, Trigger, TriggerRule
from kamu_assets.odf.identity import DatasetID

triggers = Table(
    "flow_triggers",
    metadata,
    Column("dataset_id", DatasetIDColumn, primary_key=True),
    Column("type", String(32), primary_key=True),
    Column("rule_kind", String(16), nullable=False),
    Column("rule", String(255), nullable=False),
    Column("paused", Boolean, nullable=False),
)


class TriggerStore:
    """One trigger per binding."""

    def set(self, tx: Transaction, trigger: Trigger) -> None:
        self.remove(tx, trigger.binding)
        tx.execute(
            insert(triggers).values(
                dataset_id=trigger.dataset_id,
                type=trigger.type.value,
                rule_kind=type(trigger.rule).__name__,
                rule=_rule_text(trigger.rule),
                paused=trigger.paused,
            )
        )

    def remove(self, tx: Transaction, binding: Binding) -> None:
        tx.execute(delete(triggers).where(_of(binding)))

    def forget(self, tx: Transaction, dataset: DatasetID) -> None:
        tx.execute(delete(triggers).where(triggers.c.dataset_id == dataset))

    def find(self, tx: Transaction, binding: Binding) -> Trigger | None:
        row = tx.execute(select(triggers).where(_of(binding))).one_or_none()
        return _trigger(row) if row else None

    def list(self, tx: Transaction) -> Sequence[Trigger]:
        return [_trigger(row) for row in tx.execute(select(triggers).order_by(triggers.c.dataset_id, triggers.c.type))]

    def unplanned(self, tx: Transaction) -> Sequence[Trigger]:
        """Active rules of time whose binding has no live flow."""
        live = exists().where(
            flows.c.dataset_id == triggers.c.dataset_id,
            flows.c.type == triggers.c.type,
            is_live,
        )
        return [_trigger(row) for row in tx.execute(select(triggers).where(triggers.c.paused.is_(False), ~live))]


def _of(binding: Binding) -> ColumnElement[bool]:
    return and_(triggers.c.dataset_id == binding.dataset_id, triggers.c.type == binding.type.value)


def _rule_text(rule: TriggerRule) -> str:
    return str(rule.seconds) if isinstance(rule, Interval) else rule.expression


def _trigger(row: Row[tuple[object, ...]]) -> Trigger:
    rule: TriggerRule = Interval(int(row.rule)) if row.rule_kind == Interval.__name__ else Cron(row.rule)
    return Trigger(row.dataset_id, FlowType(row.type), rule, row.paused)
