"""One data slice against what its block says: size, physical and logical hash, columns, offsets."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.verifier.blocks import Block, Column, Slice
from tests.support.verifier.faults import FaultError
from tests.support.verifier.logical_hash import logical_hash
from tests.support.verifier.multiformats import sha3, text

MILLIS_UTC = pa.timestamp("ms", tz="UTC")
KINDS = {
    "Binary": ("binary", "large_binary", "binary_view", "fixed_size_binary"),
    "String": ("string", "large_string", "string_view"),
    "Bool": ("bool",),
    "Date": ("date",),
    "Decimal": ("decimal",),
    "Float16": ("halffloat",),
    "Float32": ("float",),
    "Float64": ("double",),
    "List": ("list", "large_list", "fixed_size_list"),
    "Struct": ("struct",),
    "Time": ("time",),
    "Timestamp": ("timestamp",),
}


def check_object(root: Path, folder: str, name: bytes, size: int) -> Path:
    """The file of that hash: there, as long as said, and hashing to its name."""
    path = root / folder / text(name)
    where = f"{folder}/{text(name)}"
    if not path.is_file():
        raise FaultError(where, "missing")
    if path.stat().st_size != size:
        raise FaultError(where, f"has {path.stat().st_size} bytes, not {size}")
    if sha3(path.read_bytes()) != name:
        raise FaultError(where, "content does not hash to its name")
    return path


def check_slice(root: Path, block: Block, columns: tuple[Column, ...] | None, vocab: tuple[str, ...]) -> int:
    """Check the data of `block`, return the number of its records."""
    data = block.data.slice if block.data else None
    if data is None:
        return 0
    path = check_object(root, "data", data.physical_hash, data.size)
    try:
        return _check_content(path, block, data, columns, vocab)
    except (ValueError, pa.ArrowException) as error:
        raise FaultError(f"data/{path.name}", str(error)) from error


def _check_content(
    path: Path, block: Block, data: Slice, columns: tuple[Column, ...] | None, vocab: tuple[str, ...]
) -> int:
    file = pq.ParquetFile(path)
    schema = stored_schema(file)
    _check_columns(schema, columns, vocab)
    watch = Watch(data, vocab, block.system_time // 1_000_000)
    found = logical_hash(schema, watch.over(batches(file, schema)))
    _demand(found == data.logical_hash, f"logical hash is {text(found)}, not {text(data.logical_hash)}")
    _demand(watch.next_offset == data.end + 1, f"ends at offset {watch.next_offset - 1}, not {data.end}")
    return data.end - data.start + 1


class Watch:
    """Looks at every batch on its way to the hash: offsets one by one, no record newer than its block."""

    def __init__(self, data: Slice, vocab: tuple[str, ...], newest: int) -> None:
        self.next_offset = data.start
        self._vocab = vocab
        self._newest = newest

    def over(self, source: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in source:
            offsets = batch.column(self._vocab[0]).to_pylist()
            expected = list(range(self.next_offset, self.next_offset + len(offsets)))
            _demand(offsets == expected, f"offsets do not count from {self.next_offset} by one")
            self.next_offset += len(offsets)
            _demand(batch.column(self._vocab[2]).null_count == 0, "a record without system time")
            times = batch.column(self._vocab[2]).cast(pa.int64()).to_pylist()
            _demand(max(times, default=0) <= self._newest, "a record is newer than its block")
            yield batch


def stored_schema(file: Any) -> pa.Schema:
    """The Arrow schema the writer had in mind; Parquet alone has no `date64`, `time32[s]` and the like."""
    embedded = (file.metadata.metadata or {}).get(b"ARROW:schema")
    if embedded is None:
        return file.schema_arrow
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(embedded)))


def batches(file: Any, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in file.iter_batches():
        columns = [_restored(column, field.type) for column, field in zip(batch.columns, schema, strict=True)]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _restored(column: Any, wanted: pa.DataType) -> Any:
    if column.type == wanted:
        return column
    bare = pa.types.is_integer(column.type) and pa.types.is_primitive(wanted) and not pa.types.is_integer(wanted)
    return column.view(wanted) if bare and column.type.bit_width == wanted.bit_width else column.cast(wanted)


def _check_columns(schema: pa.Schema, columns: tuple[Column, ...] | None, vocab: tuple[str, ...]) -> None:
    _demand(tuple(schema.names[:4]) == vocab, f"starts with columns {schema.names[:4]}, not {list(vocab)}")
    _demand(schema.field(0).type == pa.int64(), "offsets are not int64")
    _demand(schema.field(2).type == MILLIS_UTC, "system time is not timestamp[ms, UTC]")
    event_time = schema.field(3).type
    _demand(event_time == MILLIS_UTC or pa.types.is_date(event_time), f"event time is {event_time}")
    if columns is not None:
        _check_declared(schema, columns)


def _check_declared(schema: pa.Schema, columns: tuple[Column, ...]) -> None:
    declared = [column.name for column in columns]
    _demand(schema.names == declared, f"columns {schema.names} are not the declared {declared}")
    for field, column in zip(schema, columns, strict=True):
        names = KINDS.get(column.kind, (column.kind.lower(),))
        _demand(str(field.type).startswith(names), f"`{column.name}` is {field.type}, declared {column.kind}")
        _demand(column.optional or not field.nullable, f"`{column.name}` may be null, declared required")


def _demand(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence: demand a condition, otherwise …
    if not holds:
        raise ValueError(otherwise)
