"""Columns that are event time, and the watermark they allow (ODF: Watermark).

A watermark W says that rows before W have all been seen: later ones have an event time of W or more. The default of
ingestion, the newest event time, says no more either, as rows of that very time may follow in the next block. So a row
is late when its time is before the watermark, a window [start, end) is complete when end <= W, and what happened at T
is known when T < W. Windows of a downstream dataset are right only if the output watermark keeps that promise for
*output* rows:

- ROW: times pass through unchanged. Rows still to come are at or after the input watermark W, so W holds for the
  output.
- START: a window still open at W ends after W, so it starts at or after W rounded down to a window: that is the
  output watermark. (W itself, as Flink passes on, would make the next window late downstream: it starts before W.)
- INSIDE: a time picked from the rows of a window (`max(event_time)`) is in the window: as START.
- END: windows still open end after W: W.

Cast to a date, rows still to come may be of the day of the watermark: rounded down to the day. All of these rise with
W.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import datafusion
from datafusion.plan import LogicalPlan

from kamu_assets.engines.incremental.blocks import NEVER
from kamu_assets.engines.incremental.nodes import child, expressions, kind, variant

_DAY: Final = 86_400_000


class TimeKind(StrEnum):
    ROW = "row"
    START = "start"
    END = "end"
    INSIDE = "inside"


@dataclass(frozen=True, slots=True)
class TimeColumn:
    """How a column follows from event time."""

    kind: TimeKind
    is_date: bool = False

    def watermark(self, watermark: int, window: int) -> int:
        """What is complete in the output when the input is complete up to `watermark` (milliseconds)."""
        if watermark == NEVER:
            return NEVER
        if self.kind in (TimeKind.START, TimeKind.INSIDE):
            watermark -= watermark % window
        return watermark - watermark % _DAY if self.is_date else watermark


Times = Mapping[str, TimeColumn]


def passed_through(expr: datafusion.Expr, times: Times, *, relation: str | None = None) -> TimeColumn | None:
    """What an expression is, if it is a column of event time (of that table), perhaps cast to a date or a timestamp."""
    match expr.variant_name():
        case "Alias":
            return passed_through(datafusion.Expr(expr.to_variant().expr()), times, relation=relation)
        case "Column":
            column = expr.to_variant()
            return times.get(column.name()) if relation in (None, column.relation()) else None
        case "Cast":
            inner = passed_through(datafusion.Expr(expr.to_variant().expr()), times, relation=relation)
            return _cast(inner, str(expr.canonical_name())) if inner else None
    return None


def _cast(inner: TimeColumn, text: str) -> TimeColumn | None:
    if text.endswith("AS Date32)"):
        return replace(inner, is_date=True)
    finer = any(f"AS Timestamp({unit}" in text for unit in ("ms", "µs", "ns"))
    return inner if finer else None


def times_of_rows(plan: LogicalPlan, times: Mapping[str, Times], names: Any) -> Times:
    """The time columns of projections and filters over one table; `names` are those of the plan's columns."""
    match kind(plan):
        case "TableScan":
            return times[variant(plan).table_name()]
        case "Projection":
            inner = times_of_rows(child(plan), times, None)
            found = {}
            for index, expr in enumerate(expressions(variant(plan).projections())):
                column = passed_through(expr, inner)
                if column is not None:
                    found[names[index] if names else _name(expr)] = column
            return found
        case _:
            return times_of_rows(child(plan), times, None)


def _name(expr: datafusion.Expr) -> str:
    found = expr.to_variant().name() if expr.variant_name() == "Column" else expr.schema_name()
    return str(found)
