"""The logical hash of plain columns, written a second time: what the node says is checked against this.

arrow-digest V0 over SHA3-256: a type tag and the items of each column, then names and digests of all columns.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

_UNITS = {"s": 0, "ms": 1, "us": 2, "ns": 3}


class RecordDigest:
    """Takes batches in their order."""

    def __init__(self, schema: pa.Schema) -> None:
        self._names = schema.names
        self._columns = [hashlib.sha3_256(_tag(field.type)) for field in schema]

    def update(self, batch: pa.RecordBatch) -> None:
        for hasher, column in zip(self._columns, batch.columns, strict=True):
            hasher.update(_items(column))

    def hexdigest(self) -> str:
        total = hashlib.sha3_256()
        for name in self._names:
            total.update(struct.pack("<Q", len(name.encode())) + name.encode() + struct.pack("<Q", 0))
        for hasher in self._columns:
            total.update(hasher.digest())
        return total.hexdigest()


def _tag(kind: pa.DataType) -> bytes:
    if pt.is_string(kind) or pt.is_string_view(kind):
        return struct.pack("<H", 4)
    if pt.is_integer(kind):
        return struct.pack("<HBQ", 1, pt.is_signed_integer(kind), kind.bit_width)
    if pt.is_floating(kind):
        return struct.pack("<HQ", 2, kind.bit_width)
    zone: bytes = kind.tz.encode()
    return struct.pack("<HHQ", 9, _UNITS[kind.unit], len(zone)) + zone


def _items(column: pa.Array) -> Any:
    if column.null_count:
        raise NotImplementedError("events have no nulls")
    if not (pt.is_string(column.type) or pt.is_string_view(column.type)):
        width = column.type.bit_width // 8
        return memoryview(column.buffers()[1])[column.offset * width : (column.offset + len(column)) * width]
    contents = column.cast(pa.large_binary())
    lengths = pa.py_buffer(np.diff(_offsets(contents)).astype("<u8"))
    prefixes = pa.Array.from_buffers(pa.binary(8), len(contents), [None, lengths]).cast(pa.large_binary())
    items = pc.binary_join_element_wise(prefixes, contents, pa.scalar(b"", pa.large_binary()))
    offsets = _offsets(items)
    return memoryview(items.buffers()[2])[offsets[0] : offsets[-1]] if len(items) else b""


def _offsets(array: pa.Array) -> Any:
    return np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
