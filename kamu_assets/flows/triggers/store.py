"""Rows of triggers: at most one per binding."""

from collections.abc import Sequence

from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    Row,
    String,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    select,
    update,
)

from kamu_assets.database.columns import DatasetIDColumn, TimestampColumn
from kamu_assets.database.frequent import Frequent
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.flows.flow_rows import flows, is_live
from kamu_assets.flows.model import Binding, FlowType
from kamu_assets.flows.triggers.rules import (
    BreakingChange,
    Cron,
    Interval,
    Reactive,
    StopReason,
    Trigger,
    TriggerRule,
    followed,
)
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.timestamp import Timestamp

triggers = Table(
    "flow_triggers",
    metadata,
    Column("dataset_id", DatasetIDColumn, primary_key=True),
    Column("type", String(32), primary_key=True),
    Column("rule_kind", String(16), nullable=False),
    Column("rule", String(255), nullable=False),
    Column("stop_after", Integer),
    Column("paused_at", TimestampColumn),
    Column("stopped_at", TimestampColumn),
    Column("stop_reason", String(32)),
)

# Made once: every plan looks.
_FIND = Frequent(
    select(triggers).where(triggers.c.dataset_id == bindparam("dataset"), triggers.c.type == bindparam("type"))
)
is_active = and_(triggers.c.paused_at.is_(None), triggers.c.stopped_at.is_(None))
is_timed = triggers.c.rule_kind.in_((Interval.__name__, Cron.__name__))


class TriggerStore:
    """One trigger per binding."""

    def set(self, tx: Transaction, trigger: Trigger) -> None:
        """Whatever others set at the same time."""
        values = {
            "rule_kind": type(trigger.rule).__name__,
            "rule": _rule_text(trigger.rule),
            "stop_after": trigger.stop_after,
            "paused_at": trigger.paused_at,
            "stopped_at": trigger.stopped_at,
            "stop_reason": trigger.stop_reason,
        }
        keys = {"dataset_id": trigger.dataset_id, "type": trigger.type.value}
        query = tx.insert(triggers).values(**keys, **values)
        tx.execute(query.on_conflict_do_update(index_elements=[*keys], set_=values))

    def pause(self, tx: Transaction, binding: Binding, at: Timestamp) -> None:
        """Nothing else of it changes: somebody may be about to."""
        tx.execute(update(triggers).where(_of(binding)).values(paused_at=at))

    def stop(self, tx: Transaction, binding: Binding, at: Timestamp | None, reason: StopReason | None) -> None:
        """For a reason, or None: let it go on. Nothing else of it changes."""
        tx.execute(update(triggers).where(_of(binding)).values(stopped_at=at, stop_reason=reason))

    def remove(self, tx: Transaction, binding: Binding) -> None:
        tx.execute(delete(triggers).where(_of(binding)))

    def forget(self, tx: Transaction, dataset: DatasetID) -> None:
        tx.execute(delete(triggers).where(triggers.c.dataset_id == dataset))

    def find(self, tx: Transaction, binding: Binding) -> Trigger | None:
        found = tx.find(_FIND, {"dataset": binding.dataset_id, "type": binding.type.value})
        return next(map(trigger_of, found), None)

    def in_force(self, tx: Transaction, binding: Binding) -> Trigger | None:
        """What somebody set, or else what holds by itself."""
        return self.find(tx, binding) or followed(binding)

    def reaction(self, tx: Transaction, binding: Binding) -> Reactive | None:
        """The rule by which changes of inputs start flows of the binding now, if they do."""
        trigger = self.in_force(tx, binding)
        return trigger.rule if trigger and not trigger.paused and isinstance(trigger.rule, Reactive) else None

    def list(self, tx: Transaction) -> Sequence[Trigger]:
        return [
            trigger_of(row) for row in tx.execute(select(triggers).order_by(triggers.c.dataset_id, triggers.c.type))
        ]

    def unplanned(self, tx: Transaction) -> Sequence[Trigger]:
        """Active rules of time whose binding has no live flow."""
        live = exists().where(
            flows.c.dataset_id == triggers.c.dataset_id,
            flows.c.type == triggers.c.type,
            is_live,
        )
        return [trigger_of(row) for row in tx.execute(select(triggers).where(is_active, is_timed, ~live))]


def _of(binding: Binding) -> ColumnElement[bool]:
    return and_(triggers.c.dataset_id == binding.dataset_id, triggers.c.type == binding.type.value)


def _rule_text(rule: TriggerRule) -> str:
    match rule:
        case Interval(seconds):
            return str(seconds)
        case Cron(expression):
            return expression
        case Reactive(records, seconds, breaking_change):
            return f"{records} {seconds} {breaking_change}"


def _rule(kind: str, text: str) -> TriggerRule:
    match kind:
        case Interval.__name__:
            return Interval(int(text))
        case Cron.__name__:
            return Cron(text)
        case _:
            # Older rules say nothing of breaking changes.
            records, seconds, *breaking_change = text.split()
            return Reactive(int(records), int(seconds), *map(BreakingChange, breaking_change))


def trigger_of(row: Row[tuple[object, ...]]) -> Trigger:
    """The trigger that a row tells of."""
    return Trigger(
        row.dataset_id,
        FlowType(row.type),
        _rule(row.rule_kind, row.rule),
        stop_after=row.stop_after,
        paused_at=row.paused_at,
        stopped_at=row.stopped_at,
        stop_reason=StopReason(row.stop_reason) if row.stop_reason else None,
    )
