"""Rows of bindings: how what is done to a dataset has gone so far."""

from dataclasses import dataclass, fields

from sqlalchemy import Column, Integer, String, Table, bindparam, delete, select

from kamu_assets.database.columns import TimestampColumn
from kamu_assets.database.frequent import Frequent
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.flows.model import Binding
from kamu_assets.flows.scopes import Scope, ScopeColumn
from kamu_assets.odf.timestamp import Timestamp

processes = Table(
    "flow_processes",
    metadata,
    Column("scope", ScopeColumn, primary_key=True),
    Column("type", String(32), primary_key=True),
    Column("last_attempt_at", TimestampColumn),
    Column("last_success_at", TimestampColumn),
    Column("last_failure_at", TimestampColumn),
    Column("consecutive_failures", Integer, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Record:
    """How a binding's flows have gone."""

    last_attempt_at: Timestamp | None = None
    last_success_at: Timestamp | None = None
    last_failure_at: Timestamp | None = None
    consecutive_failures: int = 0


_FIELDS = tuple(field.name for field in fields(Record))
# Made once: every plan looks.
_SELECT = Frequent(
    select(processes).where(processes.c.scope == bindparam("scope"), processes.c.type == bindparam("type"))
)


class ProcessStore:
    """One row per binding that ever had an attempt."""

    def get(self, tx: Transaction, binding: Binding) -> Record:
        for row in tx.find(_SELECT, {"scope": binding.scope, "type": binding.type.value}):
            return Record(**{name: getattr(row, name) for name in _FIELDS})
        return Record()

    def save(self, tx: Transaction, binding: Binding, record: Record) -> None:
        values = {name: getattr(record, name) for name in _FIELDS}
        keys = {"scope": binding.scope, "type": binding.type.value}
        query = tx.insert(processes).values(**keys, **values)
        tx.execute(query.on_conflict_do_update(index_elements=["scope", "type"], set_=values))

    def remove(self, tx: Transaction, scope: Scope) -> None:
        tx.execute(delete(processes).where(processes.c.scope == scope))
