"""Queries that say between which numbers or moments the values of a column are.

Told from the optimised plan, where a condition stands at the table that it is about, in the type of the column: rows
that break it are dropped before anything is made of them.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.types as pt
from datafusion.expr import BinaryExpr, Expr, Literal, TableScan
from datafusion.plan import LogicalPlan

from kamu_assets.query.plans.walking import column_of, variant_of

_MIN: Final = -(2**63)
_MAX: Final = 2**63 - 1


class Bounds(NamedTuple):
    """From `low` to `high`, both included: as 64-bit integers, which times are, too."""

    low: int = _MIN
    high: int = _MAX

    def with_(self, other: "Bounds") -> "Bounds":
        """What is within both."""
        return Bounds(max(self.low, other.low), min(self.high, other.high))

    def meet(self, other: "Bounds") -> bool:
        """Whether anything can be within both."""
        return max(self.low, other.low) <= min(self.high, other.high)


def filter_bounds(optimized: LogicalPlan, schema: pa.Schema) -> Mapping[str, Bounds]:
    """For columns of the only table that is read; others have no bounds."""
    scans = [scan for scan in map(variant_of, _all_parts(optimized)) if isinstance(scan, TableScan)]
    found: dict[str, Bounds] = {}
    for condition in scans[0].filters() if len(scans) == 1 else ():
        for column, bounds in _bounds_of(condition, schema):
            found[column] = found.get(column, Bounds()).with_(bounds)
    return found


def _bounds_of(condition: Expr, schema: pa.Schema) -> Iterator[tuple[str, Bounds]]:
    """Conditions that all must hold come one by one: what is combined in another way tells nothing."""
    comparison = variant_of(condition)
    if not isinstance(comparison, BinaryExpr):
        return
    column, value = column_of(comparison.left()), _value(comparison.right())
    if column is None or value is None or column not in schema.names:
        return
    if value.type == schema.field(column).type and (pt.is_int64(value.type) or pt.is_timestamp(value.type)):
        yield column, _bounds(comparison.op(), value.cast(pa.int64()).as_py())


def _bounds(operator: str, value: int) -> Bounds:
    match operator:
        case "=":
            return Bounds(value, value)
        case "<" | "<=":
            return Bounds(high=value)
        case ">" | ">=":
            return Bounds(low=value)
        case _:
            return Bounds()


def _value(expression: Expr) -> pa.Scalar | None:
    if not isinstance(variant_of(expression), Literal):
        return None
    value = expression.python_value()
    return value if isinstance(value, pa.Scalar) and value.is_valid else None


def _all_parts(plan: LogicalPlan) -> Iterator[LogicalPlan]:
    yield plan
    for each in plan.inputs():
        yield from _all_parts(each)
