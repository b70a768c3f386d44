"""Queries that group the rows of a table by tumbling windows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import datafusion
import pyarrow as pa
from datafusion.plan import LogicalPlan

from kamu_assets.engines.incremental.aggregates import Aggregate, Partial, parse_aggregates
from kamu_assets.engines.incremental.errors import UnsupportedConstructError
from kamu_assets.engines.incremental.nodes import (
    check_no_subqueries,
    child,
    expressions,
    kind,
    only_table,
    refused,
    variant,
)
from kamu_assets.engines.incremental.rewrite import Tumble
from kamu_assets.engines.incremental.times import TimeColumn, TimeKind, Times, passed_through, times_of_rows
from kamu_assets.engines.incremental.types import plain
from kamu_assets.engines.session import quoted
from kamu_assets.engines.sql.guard import plan_query

MILLIS: Final = pa.timestamp("ms", "UTC")
# The column of the state that holds the start of a window in milliseconds.
WINDOW: Final = "w"
_PICKING: Final = ("min", "max", "first_value", "last_value")


def with_windows(rows: datafusion.DataFrame, tumble: Tumble, *, after_epoch: bool = False) -> datafusion.DataFrame:
    """Rows with the start and the end of their windows; `after_epoch` if no time is before 1970."""
    size = datafusion.lit(pa.scalar(tumble.millis, pa.int64()))
    millis = datafusion.col(quoted(tumble.time)).cast(MILLIS).cast(pa.int64())
    # A remainder has the sign of the dividend.
    start = millis - (millis % size if after_epoch else ((millis % size) + size) % size)
    return rows.select(
        *(datafusion.col(quoted(name)) for name in rows.schema().names),
        start.cast(MILLIS).alias(tumble.start),
        (start + size).cast(MILLIS).alias(tumble.end),
    )


@dataclass(frozen=True, slots=True)
class Where:
    """The rows of a table that fulfil a condition; without one, all."""

    condition: datafusion.Expr | None

    @classmethod
    def of(cls, plan: LogicalPlan) -> "Where | None":
        """What a plan reads, if it is one table under its own name."""
        condition = None
        if kind(plan) == "Filter":
            condition, plan = datafusion.Expr(variant(plan).predicate()), child(plan)
        return cls(condition) if kind(plan) == "TableScan" else None

    def rows(self, table: datafusion.DataFrame) -> datafusion.DataFrame:
        return table if self.condition is None else table.filter(self.condition)


@dataclass(frozen=True)
class WindowQuery:
    """A grouping by windows, planned over tables that have the columns of `with_windows`.

    Its expressions name columns, so they hold for the same query over other rows.
    """

    source: str
    tumble: Tumble
    projection: list[datafusion.Expr]
    having: datafusion.Expr | None
    # What of the table is grouped; None if only its SQL tells.
    where: Where | None
    # Groups come first among the fields of the aggregation, then aggregates; state takes both from here.
    fields: list[pa.Field]
    groups: list[datafusion.Expr]
    aggregates: list[Aggregate]
    times: Times

    @classmethod
    def planned(
        cls, context: datafusion.SessionContext, plan: LogicalPlan, tumble: Tumble, *, tables: Mapping[str, Times]
    ) -> "WindowQuery":
        """Take a plan apart; raise unless it is a grouping by windows over rows of one table."""
        check_no_subqueries(plan)
        node, having = _aggregation(plan)
        fields = list(context.create_dataframe_from_logical_plan(node).schema())
        groups = expressions(variant(node).group_by_exprs())
        calls = expressions(variant(node).aggregate_exprs())
        if len(groups) + len(calls) != len(fields):
            raise UnsupportedConstructError("GROUPING SETS")
        if not {tumble.start, tumble.end} & {field.name for field in fields[: len(groups)]}:
            raise UnsupportedConstructError("GROUP BY without the window")
        base = context.create_dataframe_from_logical_plan(child(node))
        found = cls(
            source=only_table(child(node)),
            tumble=tumble,
            projection=expressions(variant(plan).projections()),
            having=having,
            where=Where.of(child(node)),
            fields=fields,
            groups=groups,
            aggregates=parse_aggregates(variant(node), calls, fields[len(groups) :], base),
            times=times_of_rows(child(node), tables, None),
        )
        _ = found.partials
        return found

    def rows_of(self, context: datafusion.SessionContext, sql: str) -> datafusion.DataFrame:
        """The rows that the same query groups in this session, after its WHERE."""
        if self.where is not None:
            return self.where.rows(context.table(quoted(self.source)))
        node, _ = _aggregation(plan_query(context, sql).logical_plan())
        return context.create_dataframe_from_logical_plan(child(node))

    @property
    def group_names(self) -> list[str]:
        return [field.name for field in self.fields[: len(self.groups)]]

    @cached_property
    def keys(self) -> list[int]:
        """Which groups are no window."""
        windows = (self.tumble.start, self.tumble.end)
        return [index for index, name in enumerate(self.group_names) if name not in windows]

    @cached_property
    def partials(self) -> list[tuple[str, int, Partial]]:
        """Columns of the state that aggregates need: name, number of the aggregate, what it holds."""
        return [
            (f"a{index}_{part}", index, partial)
            for index, aggregate in enumerate(self.aggregates)
            for part, partial in enumerate(aggregate.partials())
        ]

    @cached_property
    def state_schema(self) -> pa.Schema:
        """Columns of the state: the window, the keys, what the aggregate functions hold."""
        keys = [pa.field(f"k{index}", plain(self.fields[index].type)) for index in self.keys]
        parts = [pa.field(name, partial.type) for name, _, partial in self.partials]
        return pa.schema([pa.field(WINDOW, pa.int64()), *keys, *parts])

    @cached_property
    def picked(self) -> list[int] | None:
        """Which fields of the aggregation make up the output, in its order; None if more is done with them."""
        names = [field.name for field in self.fields]
        found = [_column(expr) for expr in self.projection]
        if self.having is not None or len(set(names)) < len(names) or not set(found) <= set(names):
            return None
        return [names.index(name) for name in found if name is not None]

    @cached_property
    def leaves_texts_alone(self) -> bool:
        """Whether it makes no difference how texts are kept in memory: nothing is computed from them."""
        used = [*self.groups, *(aggregate.argument for aggregate in self.aggregates)]
        is_all_read = self.where is not None and self.where.condition is None
        return is_all_read and all(one.variant_name() in ("Column", "Literal") for one in used)

    @cached_property
    def relation(self) -> str | None:
        """The table that keys are said to be of."""
        columns = [expr.to_variant() for expr in self.groups if expr.variant_name() == "Column"]
        return next((str(one.relation()) for one in columns if one.relation()), None)

    def output_times(self, names: Sequence[str]) -> Times:
        """Which columns of the output, called `names`, are event time."""
        inside = {name: TimeColumn(TimeKind.INSIDE) for name in self.times}
        known = {
            self.tumble.start: TimeColumn(TimeKind.START),
            self.tumble.end: TimeColumn(TimeKind.END),
            **{name: inside[name] for name in self.group_names if name in inside},
        }
        for aggregate in self.aggregates:
            picked = passed_through(aggregate.argument, inside) if aggregate.function in _PICKING else None
            if picked is not None:
                known[aggregate.name] = picked
        found = zip(names, (passed_through(expr, known) for expr in self.projection), strict=True)
        return {name: column for name, column in found if column is not None}


def _column(expr: datafusion.Expr) -> str | None:
    """The column that an expression passes on, perhaps under another name."""
    match expr.variant_name():
        case "Alias":
            return _column(datafusion.Expr(expr.to_variant().expr()))
        case "Column":
            return str(expr.to_variant().name())
    return None


def _aggregation(plan: LogicalPlan) -> tuple[LogicalPlan, datafusion.Expr | None]:
    """The node that groups, and the HAVING above it."""
    if kind(plan) != "Projection":
        raise refused(plan)
    node, having = child(plan), None
    if kind(node) == "Filter":
        having, node = datafusion.Expr(variant(node).predicate()), child(node)
    if kind(node) != "Aggregate":
        raise UnsupportedConstructError("TUMBLE without GROUP BY") if kind(node) == "TableScan" else refused(node)
    return node, having
