"""Tumbling windows: rows are folded into the state of their window and key; the watermark closes windows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import datafusion
import pyarrow as pa
import pyarrow.compute as pc
from datafusion.plan import LogicalPlan

from kamu_assets.engines.incremental.aggregates import Aggregate, TypeOf, parse_aggregate
from kamu_assets.engines.incremental.errors import UnsupportedConstructError
from kamu_assets.engines.incremental.nodes import check_no_subqueries, child, expressions, kind, refused, variant
from kamu_assets.engines.incremental.order import sort_rows
from kamu_assets.engines.incremental.rewrite import Tumble
from kamu_assets.engines.incremental.times import TimeColumn, TimeKind, Times, passed_through, times_of_rows
from kamu_assets.engines.incremental.types import empty_batch, plain
from kamu_assets.engines.session import quoted
from kamu_assets.engines.sql_guard import plan_query

MILLIS: Final = pa.timestamp("ms", "UTC")
_WINDOW: Final = "w"
_PICKING: Final = ("min", "max", "first_value", "last_value")
_FOLD: Final = "kamu fold"
_CLOSED: Final = "kamu closed"


def with_windows(context: datafusion.SessionContext, table: str, tumble: Tumble) -> datafusion.DataFrame:
    """A table with the start and the end of each row's window."""
    moment = f"""arrow_cast({quoted(tumble.time)}, 'Timestamp(Millisecond, Some("UTC"))')"""
    millis, size = f"arrow_cast({moment}, 'Int64')", tumble.millis
    # A remainder has the sign of the dividend, and there are times before 1970.
    start = f"({millis} - (({millis} % {size}) + {size}) % {size})"
    as_time = """'Timestamp(Millisecond, Some("UTC"))'"""
    return context.sql(
        f"SELECT *, arrow_cast({start}, {as_time}) AS {quoted(tumble.start)}, "
        f"arrow_cast({start} + {size}, {as_time}) AS {quoted(tumble.end)} FROM {quoted(table)}"
    )


@dataclass(frozen=True)
class WindowQuery:
    """A grouping by windows, planned over tables that have the columns of `with_windows`."""

    context: datafusion.SessionContext
    tumble: Tumble
    projection: list[datafusion.Expr]
    having: datafusion.Expr | None
    node: LogicalPlan

    @classmethod
    def planned(cls, context: datafusion.SessionContext, sql: str, tumble: Tumble) -> "WindowQuery":
        """Plan a query; raise unless it is a grouping by windows over rows of one table."""
        plan = plan_query(context, sql).logical_plan()
        check_no_subqueries(plan)
        if kind(plan) != "Projection":
            raise refused(plan)
        projection, node, having = expressions(variant(plan).projections()), child(plan), None
        if kind(node) == "Filter":
            having, node = datafusion.Expr(variant(node).predicate()), child(node)
        if kind(node) != "Aggregate":
            raise UnsupportedConstructError("TUMBLE without GROUP BY") if kind(node) == "TableScan" else refused(node)
        found = cls(context, tumble, projection, having, node)
        if not {tumble.start, tumble.end} & set(found._group_names):
            raise UnsupportedConstructError("GROUP BY without the window")
        return found

    @cached_property
    def _base(self) -> datafusion.DataFrame:
        return self.context.create_dataframe_from_logical_plan(child(self.node))

    @cached_property
    def _fields(self) -> list[pa.Field]:
        return list(self.context.create_dataframe_from_logical_plan(self.node).schema())

    @cached_property
    def _groups(self) -> list[datafusion.Expr]:
        found = expressions(variant(self.node).group_by_exprs())
        if len(found) + len(variant(self.node).aggregate_exprs()) != len(self._fields):
            raise UnsupportedConstructError("GROUPING SETS")
        return found

    @cached_property
    def _group_names(self) -> list[str]:
        return [field.name for field in self._fields[: len(self._groups)]]

    @cached_property
    def _keys(self) -> list[int]:
        """Which groups are no window."""
        windows = (self.tumble.start, self.tumble.end)
        return [index for index, name in enumerate(self._group_names) if name not in windows]

    @cached_property
    def _aggregates(self) -> list[Aggregate]:
        node = variant(self.node)
        fields = self._fields[len(self._groups) :]
        found = expressions(node.aggregate_exprs())
        types = TypeOf(self._base)
        return [parse_aggregate(node, expr, field, types) for expr, field in zip(found, fields, strict=True)]

    @cached_property
    def _partials(self) -> list[tuple[str, Any]]:
        return [
            (f"a{index}_{part}", partial)
            for index, aggregate in enumerate(self._aggregates)
            for part, partial in enumerate(aggregate.partials())
        ]

    @cached_property
    def state_schema(self) -> pa.Schema:
        """Columns of the state: the window's start, the keys, what the aggregate functions hold."""
        keys = [pa.field(f"k{index}", plain(self._fields[index].type)) for index in self._keys]
        parts = [pa.field(name, partial.type) for name, partial in self._partials]
        return pa.schema([pa.field(_WINDOW, pa.int64()), *keys, *parts])

    def times(self, tables: Mapping[str, Times], names: Sequence[str]) -> Times:
        """Which columns of the output are event time."""
        rows = times_of_rows(child(self.node), tables, None)
        inside = {name: TimeColumn(TimeKind.INSIDE) for name in rows}
        known = {
            self.tumble.start: TimeColumn(TimeKind.START),
            self.tumble.end: TimeColumn(TimeKind.END),
            **{name: inside[name] for name in self._group_names if name in inside},
        }
        for aggregate in self._aggregates:
            picked = passed_through(aggregate.argument, inside) if aggregate.function in _PICKING else None
            if picked is not None:
                known[aggregate.name] = picked
        found = zip(names, (passed_through(expr, known) for expr in self.projection), strict=True)
        return {name: column for name, column in found if column is not None}

    def rows(self) -> list[pa.RecordBatch]:
        """What the rows of the table add to the state."""
        schema = self.state_schema
        start = datafusion.col(quoted(self.tumble.start)).cast(pa.int64()).alias(_WINDOW)
        keys = [
            self._groups[index].cast(schema.field(name).type).alias(name)
            for index, name in zip(self._keys, schema.names[1:], strict=False)
        ]
        parts = [partial.argument.alias(name) for name, partial in self._partials]
        found = self._base.select(start, *keys, *parts).collect()
        return [pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in found]

    def count(self) -> int:
        """How many rows of the table count, after WHERE."""
        return self._base.count()

    def fold(self, context: datafusion.SessionContext, state: pa.Table, rows: list[pa.RecordBatch]) -> pa.Table:
        """The state after these rows. `context` must not spill."""
        schema = self.state_schema
        context.register_record_batches(quoted(_FOLD), [[*state.to_batches(), *rows] or [empty_batch(schema)]])
        groups = ", ".join(quoted(name) for name in schema.names[: 1 + len(self._keys)])
        folds = [f"{partial.fold.format(quoted(name))} AS {quoted(name)}" for name, partial in self._partials]
        selected = ", ".join([groups, *folds])
        try:
            frame = context.sql(f"SELECT {selected} FROM {quoted(_FOLD)} GROUP BY {groups}")
            return pa.Table.from_batches(frame.collect(), schema=frame.schema()).cast(schema)
        finally:
            context.deregister_table(quoted(_FOLD))

    def parted(self, state: pa.Table, watermark: int) -> tuple[pa.Table, pa.Table]:
        """Windows that end at or before the watermark, and those still open; both in a fixed order."""
        state = sort_rows(state)
        starts = state[_WINDOW].to_numpy()
        is_closed = pa.array(starts + self.tumble.millis <= watermark)
        return state.filter(is_closed), state.filter(pc.invert(is_closed)).combine_chunks()

    def finish(self, context: datafusion.SessionContext, closed: pa.Table) -> datafusion.DataFrame:
        """The output for closed windows: HAVING, then the columns of SELECT."""
        table = self._results(closed)
        context.register_record_batches(quoted(_CLOSED), [table.to_batches() or [empty_batch(table.schema)]])
        frame = context.sql(f"SELECT * FROM {quoted(_CLOSED)} AS {quoted(self._relation)}")
        if self.having is not None:
            frame = frame.filter(self.having)
        return frame.select(*self.projection)

    @cached_property
    def _relation(self) -> str:
        """The table that keys are said to be of."""
        columns = [expr.to_variant() for expr in self._groups if expr.variant_name() == "Column"]
        return next((str(one.relation()) for one in columns if one.relation()), _CLOSED)

    def _results(self, closed: pa.Table) -> pa.Table:
        start = closed[_WINDOW]
        ends = {self.tumble.start: start, self.tumble.end: pc.add(start, self.tumble.millis)}
        keys = {index: closed[f"k{index}"] for index in self._keys}
        columns = [
            keys[index] if index in keys else ends[name].cast(MILLIS) for index, name in enumerate(self._group_names)
        ]
        for index, aggregate in enumerate(self._aggregates):
            parts = [closed[name] for name, _ in self._partials if name.startswith(f"a{index}_")]
            columns.append(aggregate.result(parts).cast(plain(aggregate.type)))
        fields = [pa.field(field.name, plain(field.type), field.nullable) for field in self._fields]
        return pa.Table.from_arrays(columns, schema=pa.schema(fields))
