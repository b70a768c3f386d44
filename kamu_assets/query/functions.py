"""Table functions of queries: `as_of('account/name', <point>)` and `to_table('account/name')`."""

import contextlib
from collections.abc import Callable
from typing import Final

import datafusion
import pyarrow as pa
from datafusion import functions
from datafusion.catalog import Table
from datafusion.expr import Column, Literal

from kamu_assets.datasets.chains.point import Point
from kamu_assets.engines.session import quoted
from kamu_assets.engines.sql.errors import InvalidQueryError
from kamu_assets.errors import InvalidError
from kamu_assets.odf.data import OperationType
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, SECONDS_PER_DAY, Timestamp
from kamu_assets.query.errors import AmbiguousPrimaryKeyError, InvalidCallError, NoPrimaryKeyError
from kamu_assets.query.questions import TableSpec
from kamu_assets.query.sessions import KAMU
from kamu_assets.query.tables.named import NamedDatasets

_NANOS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_OWN: Final = (f"{KAMU}.{KAMU}.", f"{KAMU}.")
_RANK: Final = "\u2063rank"
_CALLS: Final = {
    "as_of": "as_of('account/name', <block hash, offset or time>)",
    "to_table": "to_table('account/name')",
}


def register_functions(context: datafusion.SessionContext, datasets: NamedDatasets) -> None:
    """Make the functions known to a session; they see what `datasets` sees."""

    def register(name: str, body: Callable[..., datafusion.DataFrame]) -> None:
        def call(*arguments: datafusion.Expr) -> Table:
            return datasets.aside(lambda: Table(body(datasets, arguments)))

        context.register_udtf(datafusion.udtf(call, name))

    register("as_of", _as_of)
    register("to_table", _to_table)


def _as_of(datasets: NamedDatasets, arguments: tuple[datafusion.Expr, ...]) -> datafusion.DataFrame:
    """The rows that were there at a point; at an offset those up to it."""
    given, asked = _arguments("as_of", arguments, count=2)
    name, point = _name("as_of", given), _point(asked)
    frame, spec = _found(datasets, name, point)
    if not isinstance(point, int) or spec.schema is None:
        return frame
    last = datafusion.lit(pa.scalar(point, pa.int64()))
    return frame.filter(datafusion.col(quoted(spec.offset_column)) <= last)


def _to_table(datasets: NamedDatasets, arguments: tuple[datafusion.Expr, ...]) -> datafusion.DataFrame:
    """The latest row of each key, without those that were retracted."""
    (given,) = _arguments("to_table", arguments, count=1)
    name = _name("to_table", given)
    frame, spec = _found(datasets, name, None)
    if spec.schema is None:
        return frame
    if len(spec.primary_keys) > 1:
        raise AmbiguousPrimaryKeyError(name, spec.primary_keys)
    if not spec.primary_keys:
        raise NoPrimaryKeyError(name)
    return _latest(frame, spec, spec.primary_keys[0])


def _latest(frame: datafusion.DataFrame, spec: TableSpec, key: tuple[str, ...]) -> datafusion.DataFrame:
    columns = [datafusion.col(quoted(name)) for name in frame.schema().names]
    operation = datafusion.col(quoted(spec.vocab.operation_type_column))
    newest_first = datafusion.col(quoted(spec.offset_column)).sort(ascending=False)
    keys = [datafusion.col(quoted(name)) for name in key]
    rank = functions.row_number(partition_by=keys, order_by=[newest_first]).alias(_RANK)
    # What is about to be corrected only says again what was there before.
    kept = frame.filter(operation != datafusion.lit(int(OperationType.CORRECT_FROM)))
    ranked = kept.select(*columns, rank).filter(datafusion.col(quoted(_RANK)) == datafusion.lit(1))
    return ranked.filter(operation != datafusion.lit(int(OperationType.RETRACT))).select(*columns)


def _found(datasets: NamedDatasets, name: str, point: Point | None) -> tuple[datafusion.DataFrame, TableSpec]:
    found = datasets.find(name, point)
    if found is None:
        raise InvalidQueryError(f"table '{KAMU}.{KAMU}.{name}' not found")
    # Plans that read different tables are equal to DataFusion if names and columns are: it would compute one of them.
    return found.frame.alias(f"{found.id}@{found.head}"), found.spec


def _arguments(function: str, given: tuple[datafusion.Expr, ...], *, count: int) -> tuple[datafusion.Expr, ...]:
    if len(given) != count:
        takes = "1 argument" if count == 1 else f"{count} arguments"
        raise InvalidCallError(f"{_CALLS[function]} takes {takes}, got {len(given)}")
    return given


def _name(function: str, argument: datafusion.Expr) -> str:
    """A name in any quotes; to the parser some of them make a text of it, others a column."""
    column = argument.to_variant()
    if isinstance(column, Column):
        name: str = column.qualified_name()
        return next((name.removeprefix(own) for own in _OWN if name.startswith(own)), name)
    value = _value(argument)
    if not isinstance(value, pa.StringScalar):
        raise InvalidCallError(f"{_CALLS[function]}: the dataset must be a name in quotes, got {_told(argument)}")
    text: str = value.as_py()
    return text


def _point(argument: datafusion.Expr) -> Point:
    value = _value(argument)
    found = None if value is None else _point_of(value)
    if found is None:
        raise InvalidCallError(
            f"{_CALLS['as_of']}: the point must be the hash of a block (f1620…), an offset from 0 on, or a time such"
            f" as '2024-01-31T12:00:00Z', got {_told(argument)}"
        )
    return found


def _point_of(value: pa.Scalar) -> Point | None:
    if pa.types.is_integer(value.type):
        offset: int = value.as_py()
        return offset if offset >= 0 else None
    if pa.types.is_timestamp(value.type):
        return Timestamp(value.value * _NANOS[value.type.unit])
    if pa.types.is_date32(value.type):
        return Timestamp(value.value * SECONDS_PER_DAY * NANOS_PER_SECOND)
    return _parsed(value.as_py()) if isinstance(value, pa.StringScalar) else None


def _parsed(text: str) -> Point | None:
    for parse in (Multihash.parse, Timestamp.parse):
        with contextlib.suppress(InvalidError):
            return parse(text)
    return None


def _value(argument: datafusion.Expr) -> pa.Scalar | None:
    """What a constant is, unless it is null."""
    if not isinstance(argument.to_variant(), Literal):
        return None
    value = argument.python_value()
    return value if value.is_valid else None


def _told(argument: datafusion.Expr) -> str:
    value = _value(argument)
    return repr(str(argument))[:100] if value is None else repr(str(value))[:100]
