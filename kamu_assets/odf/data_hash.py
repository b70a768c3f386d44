"""The logical hash of Arrow data: equal rows hash equal, whatever file, engine or batches they come in.

Algorithm: arrow-digest V0 over SHA3-256 (ODF: Logical Hash). One hasher per leaf column; an item is its little-endian
bytes, or `u64` length and content, or a single zero byte for null. How items become bytes is in `item_encoding`.
"""

import hashlib
import struct
from collections.abc import Iterator
from concurrent.futures import Executor
from copy import copy
from typing import Any, Final

import pyarrow as pa
import pyarrow.types as pt

from kamu_assets.odf.data import UnsupportedTypeError
from kamu_assets.odf.item_encoding import (
    Validity,
    combine_validity,
    storage_type,
    type_tag,
    update_hasher,
    with_validity,
)
from kamu_assets.odf.multihash import Multicodec, Multihash

__all__ = ["UPSTREAM_BATCH_ROWS", "LogicalHasher", "UnsupportedTypeError", "logical_hash"]

UPSTREAM_BATCH_ROWS: Final = 10_000
"""Upstream hashes files in batches of this many rows, and its rule for nulls in structs looks at a batch as a whole."""


def logical_hash(data: "pa.Table | pa.RecordBatchReader", *, executor: Executor | None = None) -> Multihash:
    """Hash all rows of `data`."""
    hasher = LogicalHasher(data.schema, executor=executor)
    for batch in data.to_batches() if isinstance(data, pa.Table) else data:
        hasher.update(batch)
    return hasher.digest()


class LogicalHasher:
    """Hashes batches as they come; how rows are split into batches makes no difference.

    With an `executor` the columns of a batch are hashed side by side: hashing and Arrow kernels release the GIL.
    `struct_batch_rows` are the rows at a time in which structs are hashed; with None, they are those of each update.
    """

    def __init__(
        self,
        schema: pa.Schema,
        *,
        executor: Executor | None = None,
        struct_batch_rows: int | None = UPSTREAM_BATCH_ROWS,
    ) -> None:
        self._schema = schema
        self._header = hashlib.sha3_256(b"".join(_header(schema, level=0)))
        self._columns = [_column(field, struct_batch_rows) for field in schema]
        self._map = map if executor is None else executor.map

    def update(self, batch: "pa.RecordBatch | pa.Table") -> None:
        """Add rows; names and logical types must be those of the schema."""
        if not batch.schema.equals(self._schema) and _signature(batch.schema) != _signature(self._schema):
            msg = f"batch of another schema: expected {self._schema}, got {batch.schema}"
            raise ValueError(msg)
        for _ in self._map(_update_column, self._columns, batch.columns):
            pass

    def copy(self) -> "LogicalHasher":
        """Another one that has seen the same rows."""
        other = copy(self)
        other._columns = [column.copy() for column in self._columns]  # noqa: SLF001 - our own class
        return other

    def digest(self) -> Multihash:
        """The hash of the rows so far; more may follow."""
        total = self._header.copy()
        for column in self._columns:
            for digest in column.digests():
                total.update(digest)
        return Multihash(Multicodec.ARROW0_SHA3_256, total.digest())


def _header(fields: Any, *, level: int) -> Iterator[bytes]:
    """Names of all fields, depth first, with their nesting level."""
    for field in fields:
        name = field.name.encode()
        yield struct.pack("<Q", len(name)) + name + struct.pack("<Q", level)
        if pt.is_struct(storage_type(field.type)):
            yield from _header(storage_type(field.type), level=level + 1)


def _signature(schema: pa.Schema) -> tuple[bytes, ...]:
    leaves = (leaf for field in schema for leaf in _leaves(field.type, field.name))
    return (*_header(schema, level=0), *(type_tag(data_type, path) for path, data_type in leaves))


def _column(field: pa.Field, struct_batch_rows: int | None) -> "_Leaf | _Struct":
    if pt.is_struct(storage_type(field.type)):
        leaves = _leaves(field.type, field.name)
        return _Struct([hashlib.sha3_256(type_tag(leaf, path)) for path, leaf in leaves], batch_rows=struct_batch_rows)
    return _Leaf(hashlib.sha3_256(type_tag(field.type, field.name)))


def _update_column(column: "_Leaf | _Struct", values: "pa.Array | pa.ChunkedArray") -> None:
    for chunk in values.chunks if isinstance(values, pa.ChunkedArray) else [values]:
        column.update(chunk)


class _Leaf:
    """A column of plain values or lists of them: one hasher."""

    def __init__(self, hasher: "hashlib._Hash") -> None:
        self._hasher = hasher

    def update(self, values: pa.Array) -> None:
        update_hasher(self._hasher, values)

    def copy(self) -> "_Leaf":
        return _Leaf(self._hasher.copy())

    def digests(self) -> Iterator[bytes]:
        yield self._hasher.digest()


class _Struct:
    """A column of structs: one hasher for every leaf below. Rows wait until a batch of them is complete."""

    def __init__(self, hashers: "list[hashlib._Hash]", *, batch_rows: int | None) -> None:
        self._hashers = hashers
        self._batch_rows = batch_rows
        self._waiting: list[pa.Array] = []

    def update(self, values: pa.Array) -> None:
        rows = self._batch_rows or len(values)
        while len(values) > 0:
            missing = rows - sum(map(len, self._waiting))
            self._waiting.append(values.slice(0, missing))
            if len(values) >= missing:
                _hash_structs(self._hashers, self._waiting)
                self._waiting = []
            values = values.slice(missing)

    def copy(self) -> "_Struct":
        other = _Struct([hasher.copy() for hasher in self._hashers], batch_rows=self._batch_rows)
        other._waiting = list(self._waiting)
        return other

    def digests(self) -> Iterator[bytes]:
        hashers = [hasher.copy() for hasher in self._hashers]
        _hash_structs(hashers, self._waiting)
        for hasher in hashers:
            yield hasher.digest()


def _leaves(data_type: pa.DataType, path: str) -> Iterator[tuple[str, pa.DataType]]:
    data_type = storage_type(data_type)
    if not pt.is_struct(data_type):
        yield path, data_type
        return
    for field in data_type:
        yield from _leaves(field.type, f"{path}.{field.name}")


def _hash_structs(hashers: "list[hashlib._Hash]", structs: list[pa.Array]) -> None:
    if structs:
        leaves = _leaf_arrays(pa.concat_arrays(structs), None)
        for hasher, leaf in zip(hashers, leaves, strict=True):
            update_hasher(hasher, leaf)


def _leaf_arrays(array: pa.Array, parent: Validity) -> Iterator[pa.Array]:
    validity = combine_validity(parent, array)
    if not pt.is_struct(storage_type(array.type)):
        yield with_validity(array, validity)
        return
    structs = array.storage if isinstance(array, pa.ExtensionArray) else array
    for index in range(structs.type.num_fields):
        yield from _leaf_arrays(structs.field(index), validity)
