"""Rows of queries."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    delete,
    literal_column,
    select,
    update,
)

from kamu_assets.database.columns import AccountIDColumn, TimestampColumn
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.odf.identity import AccountID
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.query.history.model import Door, Origin, QueryRecord, QueryState
from kamu_assets.query.model import PinnedDataset

queries = Table(
    "queries",
    metadata,
    # They sort by time.
    Column("id", String(36), primary_key=True),
    Column("account_id", AccountIDColumn),
    Column("door", String(32), nullable=False),
    Column("request_id", String(64)),
    Column("sql", Text),
    Column("sql_length", Integer, nullable=False),
    Column("datasets", Text, nullable=False),
    Column("started_at", TimestampColumn, nullable=False),
    Column("seen_at", TimestampColumn, nullable=False),
    Column("finished_at", TimestampColumn),
    Column("waited_ns", BigInteger, nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("peak_bytes", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("error", String(64)),
    Column("message", Text),
    Column("cancel_requested", Boolean, nullable=False),
    Index("ix_queries_account_id", "account_id", "id"),
)
# In the words of the index: SQLite compares texts, and knows no parameters then.
_IS_UNUSUAL = queries.c.state != literal_column(f"'{QueryState.OK.value}'")
Index("ix_queries_unusual", queries.c.state, queries.c.id, sqlite_where=_IS_UNUSUAL)

_DATASETS: Final = TypeAdapter(tuple[PinnedDataset, ...])
# As long as a query runs.
_CHANGING: Final = (
    *("datasets", "seen_at", "finished_at", "waited_ns", "records", "bytes", "peak_bytes"),
    *("state", "error", "message"),
)


class QueryStore:
    """Queries that have ended, and those that run for a while."""

    def save(self, tx: Transaction, records: Sequence[QueryRecord]) -> None:
        """Add them, or tell how they go on."""
        insert = tx.insert(queries)
        changes = {name: insert.excluded[name] for name in _CHANGING}
        tx.execute(
            insert.on_conflict_do_update(index_elements=["id"], set_=changes), [_values(each) for each in records]
        )

    def list(
        self,
        tx: Transaction,
        *,
        account: AccountID | None = None,
        state: QueryState | None = None,
        seen_after: Timestamp | None = None,
        before: str | None = None,
        limit: int,
    ) -> Sequence[QueryRecord]:
        """Newest first; of an account, in a state; `before` is the last id of the page before."""
        query = select(queries).order_by(queries.c.id.desc()).limit(limit)
        if account is not None:
            query = query.where(queries.c.account_id == account)
        if state is not None:
            query = query.where(queries.c.state == state.value)
        if state not in (None, QueryState.OK):
            query = query.where(_IS_UNUSUAL)
        if seen_after is not None:
            query = query.where(queries.c.seen_at > seen_after)
        if before is not None:
            query = query.where(queries.c.id < before)
        return [_record(row) for row in tx.execute(query)]

    def find(self, tx: Transaction, query: str) -> QueryRecord | None:
        row = tx.execute(select(queries).where(queries.c.id == query)).one_or_none()
        return None if row is None else _record(row)

    def request_cancel(self, tx: Transaction, query: str) -> bool:
        """Tells whether it runs."""
        is_it = (queries.c.id == query, queries.c.state == QueryState.RUNNING.value)
        return tx.execute(update(queries).where(*is_it).values(cancel_requested=True)).rowcount == 1

    def cancelled(self, tx: Transaction, among: Collection[str]) -> Collection[str]:
        """Those that somebody wants to be cancelled."""
        wanted = select(queries.c.id).where(queries.c.id.in_(among), queries.c.cancel_requested)
        return {row.id for row in tx.execute(wanted)}

    def prune(self, tx: Transaction, before: str, *, limit: int) -> int:
        """Remove the oldest before an id, so many at most; tells how many."""
        oldest = select(queries.c.id).where(queries.c.id < before).order_by(queries.c.id).limit(limit)
        return tx.execute(delete(queries).where(queries.c.id.in_(oldest))).rowcount


def _values(record: QueryRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "account_id": record.account,
        "door": record.origin.door.value,
        "request_id": record.origin.request,
        "sql": record.sql,
        "sql_length": record.sql_length,
        "datasets": _DATASETS.dump_json(record.datasets).decode(),
        "started_at": record.started_at,
        "seen_at": record.seen_at,
        "finished_at": record.finished_at,
        "waited_ns": round(record.waited_seconds * 1e9),
        "records": record.rows,
        "bytes": record.bytes,
        "peak_bytes": record.peak_bytes,
        "state": record.state.value,
        "error": record.error,
        "message": record.message,
        "cancel_requested": False,
    }


def _record(row: Row[Any]) -> QueryRecord:
    return QueryRecord(
        id=row.id,
        account=row.account_id,
        origin=Origin(Door(row.door), row.request_id),
        sql=row.sql,
        sql_length=row.sql_length,
        datasets=_DATASETS.validate_json(row.datasets),
        started_at=row.started_at,
        seen_at=row.seen_at,
        finished_at=row.finished_at,
        waited_seconds=row.waited_ns / 1e9,
        rows=row.records,
        bytes=row.bytes,
        peak_bytes=row.peak_bytes,
        state=QueryState(row.state),
        error=row.error,
        message=row.message,
    )
