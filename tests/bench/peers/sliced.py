"""A finished slice, and the proof that it holds the events it should."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.bench.peers.digest import RecordDigest
from tests.bench.subject import expect

_BATCH = 1 << 17


@dataclass(frozen=True, slots=True)
class Sliced:
    """What its maker says about it; hashes in hexadecimal."""

    path: Path
    rows: int
    physical: str
    logical: str


def check_slice(found: Sliced, rows: int, *, in_order: bool = True) -> None:
    """All rows once, numbered, both hashes true, and in order of event time."""
    expect("rows", found=found.rows, wanted=rows)
    with found.path.open("rb") as file:
        expect("physical hash", found=hashlib.file_digest(file, "sha3_256").hexdigest(), wanted=found.physical)
    with pq.ParquetFile(found.path) as file:
        digest = RecordDigest(file.schema_arrow)
        ids, last, disorder, offset = 0, 0, 0, 0
        for batch in file.iter_batches(_BATCH):
            digest.update(batch)
            times = batch.column("event_time").cast(pa.int64()).to_numpy()
            disorder += int((times[1:] < times[:-1]).sum()) + int(times[0] < last)
            last = int(times[-1])
            expect("first offset", found=batch.column("offset")[0].as_py(), wanted=offset)
            offset += batch.num_rows
            ids += pc.sum(batch.column("id")).as_py()
    expect("offsets", found=offset, wanted=rows)
    expect("sum of ids", found=ids, wanted=rows * (rows - 1) // 2)
    expect("logical hash", found=digest.hexdigest(), wanted=found.logical)
    if in_order:
        expect("rows out of order", found=disorder, wanted=0)
