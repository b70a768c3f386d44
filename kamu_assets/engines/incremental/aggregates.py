"""Aggregate functions as state that rows are added to, one after the other.

State is what a function holds after some rows. To add rows, the state goes before them as one more row and the fold
function runs over all. That continues exactly the left-to-right computation of a run over all rows: also sums of
floating point numbers come out bit by bit the same, wherever the input is cut. It needs one partition and no spilling.

Where it makes no difference (whole numbers, the smallest and the largest value) new rows are folded among themselves
first: that takes no copy of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any, Final

import datafusion
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from datafusion import functions

from kamu_assets.engines.incremental.errors import MeanTooLargeError, UnsupportedConstructError
from kamu_assets.engines.incremental.types import plain

FUNCTIONS: Final = ("count", "sum", "min", "max", "avg", "first_value", "last_value")
_IGNORE, _RESPECT = " IGNORE NULLS", " RESPECT NULLS"
_MAX_DIGITS: Final = 38
# Exact, whatever is moved by its scale; the context of a thread rounds to 28 digits.
_EXACT: Final = Context(prec=2 * _MAX_DIGITS)
_ONE: Final = datafusion.lit(pa.scalar(1, pa.int64()))
_FOLDS: Final[Mapping[str, Callable[[datafusion.Expr], datafusion.Expr]]] = {
    "sum({})": functions.sum,
    "min({})": functions.min,
    "max({})": functions.max,
}


@dataclass(frozen=True, slots=True)
class Partial:
    """One column of state: what a row adds to it, and the function that folds it."""

    argument: datafusion.Expr
    fold: str
    type: pa.DataType
    # Each row adds one.
    counts_rows: bool = False

    @property
    def can_regroup(self) -> bool:
        """Whether some rows may be folded before they are added (of floating point numbers: if none is NaN)."""
        return self.fold in _FOLDS and (self.fold != "sum({})" or pt.is_integer(self.type))

    def folded(self, column: datafusion.Expr) -> datafusion.Expr:
        """The fold of a column of the state, where it can regroup rows."""
        return _FOLDS[self.fold](column)

    def regrouped(self, column: datafusion.Expr) -> datafusion.Expr:
        """The same of what rows add; counting them is cheaper than adding up ones."""
        return functions.count(_ONE) if self.counts_rows else self.folded(column)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A call of an aggregate function in a query; `name` and `type` are those of its result."""

    name: str
    type: pa.DataType
    function: str
    argument: datafusion.Expr
    argument_type: pa.DataType
    nulls: str

    def partials(self) -> list[Partial]:
        """The columns of its state."""
        argument, result = self.argument, plain(self.type)
        match self.function:
            case "count":
                return [_count(argument)]
            case "avg":
                total = self._total_type(result)
                return [Partial(argument.cast(total), "sum({})", total), _count(argument)]
            case "sum" if not (pt.is_integer(result) or pt.is_floating(result) or pt.is_decimal128(result)):
                raise UnsupportedConstructError(f"sum of {self.argument_type}")
        return [Partial(argument.cast(result), f"{self.function}({{}}){self.nulls}", result)]

    def result(self, state: list[pa.ChunkedArray]) -> pa.ChunkedArray:
        """What the function gives for the rows that were added."""
        if self.function != "avg":
            return state[0]
        total, count = state
        if not pt.is_decimal(total.type):
            return pc.divide(total, pc.if_else(pc.equal(count, 0), None, count).cast(pa.float64()))
        rows = zip(total.to_pylist(), count.to_pylist(), strict=True)
        return pa.chunked_array([pa.array([self._decimal_mean(*row) for row in rows], self.type)])

    def _total_type(self, result: pa.DataType) -> pa.DataType:
        if pt.is_floating(result):
            return pa.float64()
        if pt.is_decimal128(result) and pt.is_decimal128(self.argument_type):
            precision = min(_MAX_DIGITS, self.argument_type.precision + 10)
            return pa.decimal128(precision, self.argument_type.scale)
        raise UnsupportedConstructError(f"avg of {self.argument_type}")

    def _decimal_mean(self, total: Decimal | None, count: int) -> Decimal | None:
        """As DataFusion: the digits beyond the scale are cut off."""
        if total is None:
            return None
        digits = int(_EXACT.scaleb(total, self.type.scale))
        mean = abs(digits) // count * (1 if digits >= 0 else -1)
        if abs(mean) >= 10**self.type.precision:
            raise MeanTooLargeError(self.name, self.type)
        return _EXACT.scaleb(Decimal(mean), -self.type.scale)


def parse_aggregates(
    node: Any, calls: list[datafusion.Expr], fields: list[pa.Field], rows: datafusion.DataFrame
) -> list[Aggregate]:
    """The calls of an aggregation over these rows; refuses other functions and forms."""
    parsed = [_parse(node, call) for call in calls]
    arguments = [argument.alias(str(index)) for index, (_, argument, _) in enumerate(parsed)]
    types = rows.select(*arguments).schema().types if arguments else []
    return [
        Aggregate(field.name, field.type, function, argument, argument_type, nulls)
        for (function, argument, nulls), field, argument_type in zip(parsed, fields, types, strict=True)
    ]


def _parse(node: Any, call: datafusion.Expr) -> tuple[str, datafusion.Expr, str]:
    """Function, argument, and how it treats nulls."""
    function = str(node.agg_func_name(call.expr))
    arguments = [datafusion.Expr(one) for one in node.aggregation_arguments(call.expr)]
    if function not in FUNCTIONS:
        raise UnsupportedConstructError(f"the aggregate function {function}")
    nulls = next((suffix for suffix in (_IGNORE, _RESPECT) if str(call.canonical_name()).endswith(suffix)), "")
    if len(arguments) != 1:
        raise UnsupportedConstructError(f"{function} of {len(arguments)} values")
    if f"{function}({arguments[0].canonical_name()}){nulls}" != call.canonical_name():
        raise UnsupportedConstructError(f"{function} with DISTINCT, FILTER or ORDER BY")
    return function, arguments[0], nulls


def _count(argument: datafusion.Expr) -> Partial:
    if argument.variant_name() == "Literal" and argument.python_value().is_valid:
        return Partial(_ONE, "sum({})", pa.int64(), counts_rows=True)
    return Partial(argument.is_not_null().cast(pa.int64()), "sum({})", pa.int64())
