"""The logical hash of Arrow data, value by value as written down (arrow-digest, RecordDigestV0 with SHA3-256)."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tests.support.verifier.multiformats import ARROW0_SHA3_256, multihash

Validity = list[bool] | None
UNITS = {"s": 0, "ms": 1, "us": 2, "ns": 3}
LISTS = (pa.ListType, pa.LargeListType, pa.FixedSizeListType)


@dataclass(frozen=True)
class Leaf:
    array: Any
    # What the structs around the leaf say about its values; None: nothing.
    validity: Validity


def logical_hash(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> bytes:
    """Multihash of the records, in their order; how they are split into batches does not matter."""
    total = hashlib.sha3_256(b"".join(_header(schema, level=0)))
    columns = [hashlib.sha3_256(type_bytes(leaf)) for field in schema for leaf in _leaf_types(field.type)]
    for batch in batches:
        leaves = [leaf for column in batch.columns for leaf in _leaves(column, None)]
        for digest, leaf in zip(columns, leaves, strict=True):
            digest.update(b"".join(_items(leaf.array, leaf.validity)))
    for digest in columns:
        total.update(digest.digest())
    return multihash(ARROW0_SHA3_256, total.digest())


def _header(fields: Iterable[pa.Field], *, level: int) -> Iterator[bytes]:
    for field in fields:
        name = field.name.encode()
        yield _u64(len(name)) + name + _u64(level)
        if pa.types.is_struct(field.type):
            yield from _header(field.type.fields, level=level + 1)


def _leaf_types(kind: pa.DataType) -> Iterator[pa.DataType]:
    if pa.types.is_struct(kind):
        for child in kind.fields:
            yield from _leaf_types(child.type)
    else:
        yield kind


def type_bytes(kind: pa.DataType) -> bytes:
    t = pa.types
    if t.is_integer(kind):
        return struct.pack("<HBQ", 1, t.is_signed_integer(kind), kind.bit_width)
    if t.is_floating(kind):
        return struct.pack("<HQ", 2, kind.bit_width)
    if t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind) or t.is_binary_view(kind):
        return struct.pack("<H", 3)
    if t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind):
        return struct.pack("<H", 4)
    if t.is_boolean(kind):
        return struct.pack("<H", 5)
    return _parameterised_type_bytes(kind)


def _parameterised_type_bytes(kind: pa.DataType) -> bytes:
    t = pa.types
    if t.is_decimal(kind):
        return struct.pack("<HQQq", 6, kind.bit_width, kind.precision, kind.scale)
    if t.is_date(kind):
        return struct.pack("<HQH", 7, kind.bit_width, t.is_date64(kind))
    if t.is_time(kind):
        return struct.pack("<HQH", 8, kind.bit_width, UNITS[kind.unit])
    if t.is_timestamp(kind):
        zone = b"\0" if kind.tz is None else _u64(len(kind.tz)) + kind.tz.encode()
        return struct.pack("<HH", 9, UNITS[kind.unit]) + zone
    if isinstance(kind, LISTS) and not t.is_struct(kind.value_type):
        return struct.pack("<H", 11) + type_bytes(kind.value_type)
    msg = f"data of type {kind} has no logical hash"
    raise ValueError(msg)


def _leaves(array: Any, outer: Validity) -> Iterator[Leaf]:
    if not pa.types.is_struct(array.type):
        yield Leaf(array, outer)
        return
    here = combined(outer, _validity(array))
    for index in range(array.type.num_fields):
        # `field` ignores the validity of the struct itself, which is what we want: it is in `here`.
        yield from _leaves(array.field(index), here)


def _validity(array: Any) -> Validity:
    return list(array.is_valid().to_pylist()) if array.null_count else None


def combined(parent: Validity, child: Validity) -> Validity:
    """Of two bitmaps: the one there is; neither if only one has nulls; else valid where either says so (sic)."""
    if parent is None or child is None:
        return child if parent is None else parent
    if all(parent) or all(child):
        return None
    return [a or b for a, b in zip(parent, child, strict=True)]


def _items(array: Any, outer: Validity) -> list[bytes]:
    values = _values(array)
    valid = combined(outer, _validity(array))
    return values if valid is None else [item if ok else b"\0" for item, ok in zip(values, valid, strict=True)]


def _values(array: Any) -> list[bytes]:
    """The bytes hashed for each value, whether it is null or not."""
    kind = array.type
    if pa.types.is_boolean(kind):
        return [b"\2" if value else b"\1" for value in array.to_pylist()]
    if isinstance(kind, LISTS):
        return _list_values(array)
    if type_bytes(kind)[0] in {3, 4}:
        # Null slots own no text worth hashing; their place is taken by a single zero byte.
        return [_sized(value) for value in array.cast(pa.large_binary()).to_pylist()]
    width = kind.bit_width // 8
    raw = array.buffers()[1].to_pybytes() if len(array) else b""
    return [raw[at : at + width] for at in range(array.offset * width, (array.offset + len(array)) * width, width)]


def _list_values(array: Any) -> list[bytes]:
    values = []
    for item in array:
        inside = item.values
        values.append(b"" if inside is None else _u64(len(inside)) + b"".join(_items(inside, None)))
    return values


def _sized(value: bytes | None) -> bytes:
    raw = value or b""
    return _u64(len(raw)) + raw


def _u64(value: int) -> bytes:
    return struct.pack("<Q", value)
