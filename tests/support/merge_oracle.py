"""Merge strategies as plain SQL over all previous records: slow, simple enough to be believed (ODF: MergeStrategy)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from datafusion import SessionConfig, SessionContext

from kamu_assets.odf.source import (
    MergeStrategy,
    MergeStrategyAppend,
    MergeStrategyChangelogStream,
    MergeStrategyLedger,
    MergeStrategySnapshot,
    MergeStrategyUpsertStream,
)

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Oracle:
    """Says which records an input becomes; `columns` are those of the data, event time among them."""

    schema: pa.Schema
    event_time: str

    def merged(self, strategy: MergeStrategy, previous: Rows, new: Rows) -> Rows:
        """The records, with their operation, in commit order; an event time that is not given stays null."""
        match strategy:
            case MergeStrategyAppend():
                return self._by_event_time([{"op": 0} | row for row in new])
            case MergeStrategyLedger():
                return self._by_event_time(self._ledger(strategy.primary_key, previous, new))
            case MergeStrategyChangelogStream():
                return self._by_key(strategy.primary_key, new)
            case MergeStrategySnapshot():
                return self._by_key(strategy.primary_key, self._snapshot(strategy, previous, new))
            case MergeStrategyUpsertStream():
                return self._by_key(strategy.primary_key, self._upsert(strategy.primary_key, previous, new))

    def _ledger(self, key: Sequence[str], previous: Rows, new: Rows) -> Rows:
        same = " AND ".join(f"new.{column} = prev.{column}" for column in key)
        query = f"SELECT 0 AS op, new.* FROM new LEFT ANTI JOIN prev ON {same} ORDER BY n"
        return self._ask(query, prev=self._previous(previous), new=self._numbered(new))

    def _snapshot(self, strategy: MergeStrategySnapshot, previous: Rows, new: Rows) -> Rows:
        numbered = self._numbered(new)
        if not previous:
            return self._ask("SELECT 0 AS op, * FROM new ORDER BY n", new=numbered)
        key, columns = strategy.primary_key, self.schema.names
        compared = strategy.compare_columns or [column for column in columns if column not in key]
        differs = self._differs(compared) or "false"
        sides = ", ".join(f"old.{column} AS o_{column}, new.{column} AS n_{column}" for column in columns)
        on = " AND ".join(f"old.{column} = new.{column}" for column in key)
        # In two steps: joined and filtered at once, DataFusion 55 loses rows when only the event time is compared.
        joined = self._table(
            f"SELECT {sides}, {differs} AS differs, n FROM old FULL OUTER JOIN new ON {on}",
            old=self._state(key, previous),
            new=numbered,
        )
        pairs = self._table("SELECT * FROM joined WHERE differs", joined=joined)
        no_old, no_new = f"o_{key[0]} IS NULL", f"n_{key[0]} IS NULL"
        values = ", ".join(f"CASE WHEN {no_new} THEN o_{column} ELSE n_{column} END AS {column}" for column in columns)
        op = f"CASE WHEN {no_old} THEN 0 WHEN {no_new} THEN 1 ELSE 3 END AS op"
        found = self._ask(f"SELECT {op}, {values} FROM pairs ORDER BY n", pairs=pairs)
        if list(compared) == [self.event_time]:
            return found
        old = ", ".join(f"o_{column} AS {column}" for column in columns)
        both = f"NOT ({no_old}) AND NOT ({no_new})"
        return found + self._ask(f"SELECT 2 AS op, {old} FROM pairs WHERE {both} ORDER BY n", pairs=pairs)

    def _upsert(self, key: Sequence[str], previous: Rows, new: Rows) -> Rows:
        with_op = [{"op": 0} | row for row in new]
        last = f"row_number() OVER (PARTITION BY {', '.join(key)} ORDER BY n DESC) = 1"
        schema = self.schema.append(pa.field("op", pa.int64()))
        newest = self._table(f"SELECT * FROM new QUALIFY {last}", new=self._numbered(with_op, schema))
        columns = self.schema.names
        sides = ", ".join(f"old.{column} AS o_{column}, new.{column} AS n_{column}" for column in columns)
        on = " AND ".join(f"old.{column} = new.{column}" for column in key)
        differs = self._differs([column for column in columns if column not in key]) or "false"
        pairs = self._table(
            f"SELECT {sides}, new.op, {differs} AS differs FROM new LEFT JOIN old ON {on}",
            old=self._state(key, previous),
            new=newest,
        )
        no_old = f"o_{key[0]} IS NULL"
        old, fresh = (", ".join(f"{side}_{column} AS {column}" for column in columns) for side in "on")
        changes = f"op <> 1 AND NOT ({no_old}) AND differs"
        return [
            *self._ask(f"SELECT 1 AS op, {old} FROM pairs WHERE op = 1 AND NOT ({no_old})", pairs=pairs),
            *self._ask(f"SELECT 0 AS op, {fresh} FROM pairs WHERE op <> 1 AND {no_old}", pairs=pairs),
            *self._ask(f"SELECT 2 AS op, {old} FROM pairs WHERE {changes}", pairs=pairs),
            *self._ask(f"SELECT 3 AS op, {fresh} FROM pairs WHERE {changes}", pairs=pairs),
        ]

    def _differs(self, columns: Sequence[str]) -> str:
        parts = []
        for column in columns:
            part = f"(old.{column} IS DISTINCT FROM new.{column})"
            parts.append(f"({part} AND new.{column} IS NOT NULL)" if column == self.event_time else part)
        return f"({' OR '.join(parts)})" if parts else ""

    def _state(self, key: Sequence[str], previous: Rows) -> pa.Table:
        last = f"row_number() OVER (PARTITION BY {', '.join(key)} ORDER BY offset DESC) = 1"
        newest = self._table(f"SELECT * FROM prev QUALIFY {last}", prev=self._previous(previous))
        return self._table("SELECT * FROM newest WHERE op <> 1", newest=newest)

    def _by_event_time(self, rows: Rows) -> Rows:
        timeless = [row for row in rows if row[self.event_time] is None]
        timed = [row for row in rows if row[self.event_time] is not None]
        return [self._plain(row) for row in timeless + sorted(timed, key=lambda row: row[self.event_time])]

    def _by_key(self, key: Sequence[str], rows: Rows) -> Rows:
        schema = self.schema.append(pa.field("op", pa.int64()))
        order = ", ".join(f"{column} ASC NULLS FIRST" for column in key)
        found = self._ask(f"SELECT * FROM new ORDER BY {order}, op, n", new=self._numbered(rows, schema))
        return [self._plain(row) for row in found]

    def _plain(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"op": row["op"], **{column: row[column] for column in self.schema.names}}

    def _previous(self, rows: Rows) -> pa.Table:
        return pa.Table.from_pylist(rows, schema=pa.schema([("offset", pa.int64()), ("op", pa.int64()), *self.schema]))

    def _numbered(self, rows: Rows, schema: pa.Schema | None = None) -> pa.Table:
        schema = (schema or self.schema).append(pa.field("n", pa.int64()))
        return pa.Table.from_pylist([{**row, "n": place} for place, row in enumerate(rows)], schema=schema)

    def _table(self, query: str, **tables: pa.Table) -> pa.Table:
        context = SessionContext(SessionConfig().with_target_partitions(1))
        for name, table in tables.items():
            context.from_arrow(table, name)
        found: pa.Table = context.sql(query).to_arrow_table()
        return found

    def _ask(self, query: str, **tables: pa.Table) -> Rows:
        rows: Rows = self._table(query, **tables).to_pylist()
        return rows
