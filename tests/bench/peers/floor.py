"""The least that must happen to make a slice out of a file: parse, add columns, Parquet, both hashes. No checks."""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.json as pajson
import pyarrow.parquet as pq

from tests.bench import data
from tests.bench.peers.digest import RecordDigest
from tests.bench.peers.sliced import Sliced

# Our workers have it, too: the floor is to differ in what it does, not in how memory is handed out.
VARIABLES: Final = {"MIMALLOC_ALLOW_THP": "0"}

_BLOCK = 8 << 20
_GROUP_ROWS = 1 << 20
_SORTED_BATCH = 1 << 18
_SYSTEM_MILLIS = data.START_MILLIS + 10**12
_REST = [name for name in data.SCHEMA.names if name != "event_time"]
SLICE_SCHEMA = pa.schema(
    [
        ("offset", pa.int64()),
        ("op", pa.int32()),
        ("system_time", data.MILLIS),
        *[data.SCHEMA.field(name) for name in ["event_time", *_REST]],
    ]
)


def csv_slice(folder: Path, *, source: Path) -> Sliced:
    """Rows as they come."""
    return _slice(csv_batches(source), folder)


def csv_slice_sorted(folder: Path, *, source: Path) -> Sliced:
    """In order of event time: everything in memory, sorted if it needs to be."""
    return _slice(_in_order(csv_batches(source).read_all()), folder)


def ndjson_slice(folder: Path, *, source: Path) -> Sliced:
    return _slice(ndjson_batches(source), folder)


def table_slice(table: pa.Table, folder: Path) -> Sliced:
    """Rows that somebody has read."""
    return _slice(table.to_batches(), folder)


def csv_batches(path: Path) -> Any:
    options = pacsv.ConvertOptions(column_types=data.SCHEMA, timestamp_parsers=[pacsv.ISO8601])
    return pacsv.open_csv(path, convert_options=options, read_options=pacsv.ReadOptions(block_size=_BLOCK))


def ndjson_batches(path: Path) -> Any:
    options = pajson.ParseOptions(explicit_schema=data.SCHEMA)
    return pajson.open_json(path, parse_options=options, read_options=pajson.ReadOptions(block_size=_BLOCK))


def _slice(batches: Iterable[pa.RecordBatch], folder: Path) -> Sliced:
    """Hashed in a thread beside the writing."""
    path = folder / "slice"
    writer = pq.ParquetWriter(path, SLICE_SCHEMA, **_encodings())
    waiting: queue.Queue[pa.RecordBatch | None] = queue.Queue(4)
    digest = RecordDigest(SLICE_SCHEMA)

    def hash_all() -> None:
        while (batch := waiting.get()) is not None:
            digest.update(batch)

    hashing = threading.Thread(target=hash_all)
    hashing.start()
    rows, group = 0, []
    for batch in batches:
        full = _with_system_columns(batch, rows)
        waiting.put(full)
        group.append(full)
        rows += full.num_rows
        if sum(one.num_rows for one in group) >= _GROUP_ROWS:
            writer.write_table(pa.Table.from_batches(group))
            group = []
    if group:
        writer.write_table(pa.Table.from_batches(group))
    writer.close()
    waiting.put(None)
    hashing.join()
    return Sliced(path, rows, physical=_hash_of(path), logical=digest.hexdigest())


def _in_order(table: pa.Table) -> list[pa.RecordBatch]:
    times = table["event_time"].cast(pa.int64()).to_numpy()
    if (np.diff(times) < 0).any():
        table = table.take(pa.array(np.argsort(times, kind="stable")))
    found: list[pa.RecordBatch] = table.to_batches(_SORTED_BATCH)
    return found


def _with_system_columns(batch: pa.RecordBatch, first: int) -> pa.RecordBatch:
    rows = batch.num_rows
    system = [
        pa.array(np.arange(first, first + rows)),
        pa.array(np.zeros(rows, np.int32)),
        pa.array(np.full(rows, _SYSTEM_MILLIS), data.MILLIS),
    ]
    columns = [batch.column(name) for name in ["event_time", *_REST]]
    return pa.RecordBatch.from_arrays(system + columns, schema=SLICE_SCHEMA)


def _encodings() -> dict[str, Any]:
    """The fastest ones; not those that a node writes unless it is told to."""
    deltas = dict.fromkeys(["offset", "id", "event_time"], "DELTA_BINARY_PACKED")
    return {
        "compression": "snappy",
        "use_dictionary": ["symbol", "op", "system_time"],
        "column_encoding": deltas,
    }


def _hash_of(path: Path) -> str:
    hasher = hashlib.sha3_256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            hasher.update(piece)
        os.fsync(file.fileno())
    return hasher.hexdigest()
