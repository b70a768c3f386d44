"""Which version each row of a stream meets, and what the query makes of both."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import and_

import datafusion
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from kamu_assets.engines.incremental.errors import UnsupportedConstructError
from kamu_assets.engines.incremental.join import TIME, JoinQuery, key_type, known_versions
from kamu_assets.engines.incremental.types import empty_batch, plain_table
from kamu_assets.engines.incremental.versions import NO_VERSION, Numbers
from kamu_assets.engines.session import quoted

_ROW, _VERSION = "kamu row", "kamu version"
_STREAM, _VERSIONS = "kamu stream", "kamu versions"


@dataclass(frozen=True)
class Lookup:
    """A join of rows in memory. Both tables have a column `TIME`, versions also `OPERATION` and `SINCE`."""

    context: datafusion.SessionContext
    query: JoinQuery
    rows: pa.Table
    versions: pa.Table

    def frame(self) -> datafusion.DataFrame:
        """The output, one column with the number of the row of the stream added at the end."""
        query, context = self.query, self.context
        found = self._valid
        versions = self.versions.append_column(_VERSION, pa.array(np.arange(self.versions.num_rows)))
        _register(context, _VERSIONS, versions)
        frame = self._joined(found)
        condition = _all(query.condition)
        if condition is not None and not query.is_left:
            frame = frame.filter(condition)
        elif condition is not None:
            matched = _numbers(self._joined(found, inner=True).filter(condition).select(self._row), 0)
            frame = self._joined(np.where(np.isin(np.arange(len(found)), matched), found, NO_VERSION))
        where = _all(query.where)
        if where is not None:
            frame = frame.filter(where)
        return frame.select(*query.projection, self._row)

    @cached_property
    def _row(self) -> datafusion.Expr:
        return datafusion.col(f"{quoted(self.query.stream.alias)}.{quoted(_ROW)}")

    @cached_property
    def _valid(self) -> Numbers:
        keys = self.query.keys
        table = self.versions
        _register(self.context, _STREAM, self.rows)
        stream = self.context.sql(f"SELECT * FROM {quoted(_STREAM)} AS {quoted(self.query.stream.alias)}")
        frame = stream.select(*(key.value.alias(str(index)) for index, key in enumerate(keys)))
        values = plain_table(frame.collect(), frame.schema())
        self.context.deregister_table(quoted(_STREAM))
        wanted = [_as_key(values[index], table.schema.field(key.column)) for index, key in enumerate(keys)]
        known = known_versions(self.query, table)
        return known.valid_at(wanted, self.rows[TIME].to_numpy())

    def _joined(self, versions: Numbers, *, inner: bool = False) -> datafusion.DataFrame:
        query, context = self.query, self.context
        numbers = pa.array(np.arange(len(versions)))
        found = pa.array(versions, mask=versions == NO_VERSION)
        name = f"{_STREAM} {'inner' if inner else ''}"
        context.deregister_table(quoted(name))
        _register(context, name, self.rows.append_column(_ROW, numbers).append_column(_VERSION, found))
        stream, table, version = quoted(query.stream.alias), quoted(query.versions.alias), quoted(_VERSION)
        how = "LEFT" if query.is_left and not inner else "INNER"
        return context.sql(
            f"SELECT * FROM {quoted(name)} AS {stream} {how} JOIN {quoted(_VERSIONS)} AS {table} "
            f"ON {stream}.{version} = {table}.{version}"
        )


def in_row_order(frame: datafusion.DataFrame) -> pa.Table:
    """The output of a run in the order of the stream."""
    table = plain_table(frame.collect(), frame.schema())
    number = table.num_columns - 1
    order = np.argsort(table[number].to_numpy(), kind="stable")
    return table.remove_column(number).take(pa.array(order))


def _as_key(values: pa.ChunkedArray, wanted: pa.Field) -> pa.ChunkedArray:
    same_kind = values.type == wanted.type or (pt.is_integer(values.type) and pt.is_integer(wanted.type))
    if not same_kind or pt.is_floating(wanted.type) or pt.is_nested(wanted.type):
        raise UnsupportedConstructError(f"a key of {values.type} for column `{wanted.name}` of {wanted.type}")
    return _within(values, key_type(wanted.type))


def _within(values: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """Keys as a type; what it cannot hold meets nothing, as null."""
    if pt.is_uint64(values.type) and not pt.is_uint64(wanted):
        values = pc.if_else(pc.less(values, pa.scalar(1 << 63, pa.uint64())), values, None)
    elif pt.is_signed_integer(values.type) and pt.is_uint64(wanted):
        values = pc.if_else(pc.greater_equal(values, 0), values, None)
    return values.cast(wanted)


def _all(conditions: Sequence[datafusion.Expr]) -> datafusion.Expr | None:
    return reduce(and_, conditions) if conditions else None


def _numbers(frame: datafusion.DataFrame, column: int) -> Numbers:
    found: Numbers = pa.Table.from_batches(frame.collect(), schema=frame.schema())[column].to_numpy()
    return found


def _register(context: datafusion.SessionContext, name: str, table: pa.Table) -> None:
    context.register_record_batches(quoted(name), [table.to_batches() or [empty_batch(table.schema)]])
