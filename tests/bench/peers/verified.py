"""The least that verification must do: read slices, hash files and rows, and run the query of a derivative again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.peers.digest import RecordDigest

_BATCH = 1 << 17
_PIECE = 1 << 20

Listed = dict[str, str]


def verify_slices(_: Path, *, home: Path, dataset: str) -> list[bool]:
    """Whether each slice of a dataset has its hashes, side by side."""
    listed = _listed(home)[dataset]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(lambda each: _holds(home, each), listed))


def verify_results(_: Path, *, home: Path, dataset: str, source: str, query: str) -> list[bool]:
    """The same, and whether each slice comes of the slice of the input that was added before it."""
    listed, inputs = _listed(home)[dataset], _listed(home)[source]

    def holds(pair: tuple[Listed, Listed]) -> bool:
        return _holds(home, pair[0]) and _computed(home, *pair, source=source, query=query) == pair[0]["logical"]

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(holds, zip(listed, inputs, strict=True)))


def check_all(found: Sequence[bool], *, slices: int) -> None:
    if list(found) != [True] * slices:
        raise AssertionError(f"{found.count(True)} of {slices} slices hold")


def _listed(home: Path) -> dict[str, list[Listed]]:
    listed: dict[str, list[Listed]] = json.loads((home / "slices.json").read_text())
    return listed


def _holds(home: Path, each: Listed) -> bool:
    path = home / each["path"]
    with pq.ParquetFile(path) as file:
        digest = RecordDigest(file.schema_arrow)
        for batch in file.iter_batches(_BATCH):
            digest.update(batch)
    return digest.hexdigest() == each["logical"] and _hash_of(path) == each["physical"]


def _computed(home: Path, each: Listed, input_: Listed, *, source: str, query: str) -> str:
    """The logical hash of the rows that the query gives, with the system columns of the stored slice."""
    import datafusion

    context = datafusion.SessionContext(datafusion.SessionConfig().with_target_partitions(1))
    context.register_parquet(source, str(home / input_["path"]), file_extension="")
    stored = pq.ParquetFile(home / each["path"])
    schema, system = stored.schema_arrow, stored.read_row_group(0, columns=["offset", "op", "system_time"])
    first, moment = system["offset"][0].as_py(), system["system_time"][0]
    return _digest(context.sql(query).execute_stream(), schema, first, moment)


def _digest(batches: Iterable[Any], schema: pa.Schema, first: int, moment: pa.Scalar) -> str:
    digest = RecordDigest(schema)
    for each in batches:
        batch = each.to_pyarrow()
        rows = batch.num_rows
        columns = [
            pa.array(np.arange(first, first + rows)),
            pa.repeat(pa.scalar(0, pa.int32()), rows),
            pa.repeat(moment, rows),
            *batch.columns,
        ]
        digest.update(pa.RecordBatch.from_arrays(columns, names=schema.names))
        first += rows
    return digest.hexdigest()


def _hash_of(path: Path) -> str:
    hasher = hashlib.sha3_256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            hasher.update(piece)
    return hasher.hexdigest()
