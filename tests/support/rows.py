"""Records as kamu prints them in its JSON formats, value by value."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

UNITS_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
EPOCH = date(1970, 1, 1).toordinal()
SECONDS_PER_DAY = 86_400
Printer = Callable[[Any], Any]


def printed(tables: Iterable[pa.Table], columns: list[str]) -> Iterator[str]:
    """One JSON object per record; columns a table does not have yet are null."""
    for table in tables:
        values = [printed_column(table, name) for name in columns]
        for record in zip(*values, strict=True):
            yield dumps(dict(zip(columns, record, strict=True)))


def dumps(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def printed_column(table: pa.Table, name: str) -> list[Any]:
    if name not in table.column_names:
        return [None] * table.num_rows
    return printed_values(table.column(name).combine_chunks())


def printed_values(array: Any) -> list[Any]:
    """JSON values of an Arrow array."""
    if isinstance(array, pa.ChunkedArray):
        return [value for chunk in array.chunks for value in printed_values(chunk)]
    kind = array.type
    if pa.types.is_struct(kind):
        return _structs(array)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [None if item.values is None else printed_values(item.values) for item in array]
    values = _storage(array).to_pylist()
    return list(map(_nullable(_printer(kind)), values))


def _structs(array: Any) -> list[Any]:
    names = [field.name for field in array.type.fields]
    children = [printed_values(child) for child in array.flatten()]
    valid = array.is_valid().to_pylist()
    records = [dict(zip(names, record, strict=True)) for record in zip(*children, strict=True)]
    return [record if ok else None for record, ok in zip(records, valid, strict=True)]


def _storage(array: Any) -> Any:
    """Moments and times as the integers they are, whatever Python's own types can hold."""
    kind = array.type
    if pa.types.is_timestamp(kind) or pa.types.is_time64(kind) or pa.types.is_date64(kind):
        return array.cast(pa.int64())
    if pa.types.is_time32(kind) or pa.types.is_date32(kind):
        return array.cast(pa.int32())
    return array


def _nullable(printer: Printer) -> Printer:
    return lambda value: None if value is None else printer(value)


def _printer(kind: pa.DataType) -> Printer:
    t = pa.types
    if t.is_timestamp(kind) or t.is_time(kind) or t.is_date(kind):
        return _moment_printer(kind)
    if t.is_floating(kind):
        return _float_printer(kind)
    if t.is_decimal(kind):
        return lambda value: f"{Decimal(value):f}"
    if t.is_binary(kind) or t.is_large_binary(kind) or t.is_binary_view(kind) or t.is_fixed_size_binary(kind):
        return bytes.hex
    return lambda value: value


def _moment_printer(kind: pa.DataType) -> Printer:
    if pa.types.is_timestamp(kind):
        return lambda value: moment(value, UNITS_PER_SECOND[kind.unit])
    if pa.types.is_time(kind):
        return lambda value: clock(value, UNITS_PER_SECOND[kind.unit])
    if pa.types.is_date64(kind):
        return lambda value: day(value // (1_000 * SECONDS_PER_DAY))
    return day


def _float_printer(kind: pa.DataType) -> Printer:
    narrow = {16: np.float16, 32: np.float32}.get(kind.bit_width)

    def shortest(value: float) -> float | None:
        if not math.isfinite(value):
            return None
        # The shortest text that reads back as the same narrow number, not as its widening.
        return float(str(narrow(value))) if narrow else value

    return shortest


def moment(value: int, per_second: int) -> str:
    seconds, fraction = divmod(value, per_second)
    days, rest = divmod(seconds, SECONDS_PER_DAY)
    return f"{day(days)}T{clock(rest * per_second + fraction, per_second)}Z"


def day(days: int) -> str:
    return date.fromordinal(EPOCH + days).isoformat()


def clock(value: int, per_second: int) -> str:
    seconds, fraction = divmod(value, per_second)
    whole = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    digits = f"{fraction * (1_000_000_000 // per_second):09}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{whole}.{digits}" if digits else whole
