"""Small commits of others: the least that a commit in the shape of ODF can be, and deltalake."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench import data
from tests.bench.peers.digest import RecordDigest
from tests.bench.subject import expect


@dataclass(frozen=True, slots=True)
class Table:
    """Where the rows went."""

    folder: Path
    rows: int
    commits: int


def slice_rows(rows: pa.Table, offset: int, system_millis: int) -> pa.Table:
    """With system columns before them, in the order of event time."""
    rows = rows.sort_by("event_time")
    count = rows.num_rows
    system = {
        "offset": pa.array(np.arange(offset, offset + count)),
        "op": pa.array(np.zeros(count, np.int32)),
        "system_time": pa.array(np.full(count, system_millis), data.MILLIS),
        "event_time": rows["event_time"].combine_chunks(),
    }
    own = {name: rows[name].combine_chunks() for name in rows.column_names if name != "event_time"}
    kept = {"offset", "op", "system_time"}
    fields = [pa.field(name, column.type, nullable=name not in kept) for name, column in (system | own).items()]
    return pa.table(list((system | own).values()), schema=pa.schema(fields))


def bare_commits(
    folder: Path, *, tables: Sequence[pa.Table], synced: bool, on_commit: Callable[[], object] = int
) -> Table:
    """Parquet and both hashes in memory, then three files: slice, block, reference. No rules, no database."""
    for name in ("data", "blocks", "refs"):
        (folder / name).mkdir()
    offset, previous = 0, bytes(32)
    for rows in tables:
        complete = slice_rows(rows, offset, data.START_MILLIS + 10**12)
        offset += rows.num_rows
        digest = RecordDigest(complete.schema)
        for batch in complete.to_batches():
            digest.update(batch)
        sink = pa.BufferOutputStream()
        pq.write_table(complete, sink, compression="snappy")
        content = sink.getvalue().to_pybytes()
        physical = hashlib.sha3_256(content)
        _put(folder / "data" / physical.hexdigest(), content, synced=synced)
        block = previous + bytes.fromhex(digest.hexdigest()[-64:]) + physical.digest() + offset.to_bytes(8, "little")
        head = hashlib.sha3_256(block + bytes(150))
        _put(folder / "blocks" / head.hexdigest(), block + bytes(150), synced=synced)
        _put(folder / "refs" / "head", head.hexdigest().encode(), synced=synced)
        previous = head.digest()
        on_commit()
    return Table(folder / "data", offset, len(tables))


def delta_commits(folder: Path, *, tables: Sequence[pa.Table]) -> Table:
    """By the table's address, one commit after another."""
    from deltalake import write_deltalake

    place = str(folder / "delta")
    write_deltalake(place, tables[0])
    for rows in tables[1:]:
        write_deltalake(place, rows, mode="append")
    return Table(folder / "delta", sum(rows.num_rows for rows in tables), len(tables))


def check_table(table: Table, *, rows: int, commits: int) -> None:
    files = [path for path in table.folder.iterdir() if path.is_file()]
    expect("rows", found=sum(pq.read_metadata(path).num_rows for path in files), wanted=rows)
    expect("commits", found=len(files), wanted=commits)


def _put(path: Path, content: bytes, *, synced: bool) -> None:
    pending = path.with_suffix(".tmp")
    descriptor = os.open(pending, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(descriptor, content)
    if synced:
        os.fsync(descriptor)
    os.close(descriptor)
    pending.replace(path)
