"""Rows by the number of their key, of each key the newest."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kamu_assets.coordinator.ingest.sidecars.keys import Keys, equal_pairs, taken, taken_rows
from kamu_assets.coordinator.ingest.sidecars.run import HASH, Run, hashes_of, stored_columns

CHUNK_ROWS: Final = 1 << 20
CHUNK_BYTES: Final = 64 << 20
_BATCH_ROWS: Final = 1 << 18
_BATCH_BYTES: Final = 16 << 20


def run_schema(payload: pa.Schema) -> pa.Schema:
    """The columns of a run."""
    return pa.schema([pa.field(HASH, pa.uint64(), nullable=False), *payload])


def sorted_rows(rows: pa.RecordBatch, schema: pa.Schema, *, key: Sequence[str], seed: int) -> pa.RecordBatch:
    """Rows in order of time become rows of a run."""
    keys = Keys.of([rows.column(column) for column in key], seed, with_nulls=True)
    columns = [rows.column(field.name).cast(field.type) for field in schema if field.name != HASH]
    if keys.order is not None:
        columns = [taken(column, keys.order) for column in columns]
    batch = pa.RecordBatch.from_arrays([pa.array(keys.hashes), *columns], schema=schema)
    return _newest_only(batch, key)


def merged(runs: Sequence[Run], key: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of several runs, oldest run first, as those of one; holds about one chunk at a time."""
    for start, end in _ranges(runs):
        parts = [part for run in runs for part in _between(run, start, end)]
        if parts:
            yield from _batches(_merged_part(parts, key))


def in_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of a size that is good to map and to search."""
    for batch in batches:
        yield from _batches(batch)


def _batches(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES * batch.num_rows // max(batch.nbytes, 1)))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _merged_part(parts: Sequence[pa.RecordBatch], key: Sequence[str]) -> pa.RecordBatch:
    batch = one_batch(parts)
    hashes = hashes_of(batch)
    if np.any(hashes[1:] < hashes[:-1]):
        # Stable: of equal keys the one of the newest run stays last.
        batch = taken_rows(batch, np.argsort(hashes, kind="stable"))
    return _newest_only(batch, key)


def one_batch(parts: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """All rows in one piece."""
    return parts[0] if len(parts) == 1 else pa.concat_batches(parts)


def _newest_only(batch: pa.RecordBatch, key: Sequence[str]) -> pa.RecordBatch:
    """Without rows that are followed by a row of the same key."""
    hashes = hashes_of(batch)
    alike = np.flatnonzero(hashes[1:] == hashes[:-1])
    if not len(alike):
        return batch
    columns = stored_columns(batch, key)
    keys = Keys(tuple(columns), hashes, None)
    same = equal_pairs(keys, alike, columns, alike + 1)
    outdated = alike[same]
    if not same.all():
        outdated = np.union1d(outdated, _outdated_among_collisions(keys, alike[~same]))
    kept = np.ones(len(hashes), np.bool_)
    kept[outdated] = False
    return taken_rows(batch, np.flatnonzero(kept))


def _outdated_among_collisions(keys: Keys, collisions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Rows of an equal number but different keys may lie between two of one key: compare all with all."""
    found = []
    for number in np.unique(keys.hashes[collisions]):
        start = int(np.searchsorted(keys.hashes, number, "left"))
        end = int(np.searchsorted(keys.hashes, number, "right"))
        older, newer = np.triu_indices(end - start, 1)
        found.append(start + older[equal_pairs(keys, start + older, keys.columns, start + newer)])
    return np.unique(np.concatenate(found))


def _ranges(runs: Sequence[Run]) -> Iterator[tuple[int, int]]:
    """Ranges of numbers, both ends included, that hold about a chunk of rows of all runs together."""
    step = max(1, CHUNK_ROWS // max(len(runs), 1))
    samples = [hashes_of(batch)[step - 1 :: step] for run in runs for batch in run.batches()]
    start = 0
    for end in np.unique(np.concatenate(samples)) if samples else ():
        yield start, int(end)
        start = int(end) + 1
        if start >= 1 << 64:
            return
    yield start, (1 << 64) - 1


def _between(run: Run, start: int, end: int) -> Iterator[pa.RecordBatch]:
    for number, note in enumerate(run.batch_notes):
        if note.last < start or note.first > end:
            continue
        batch = run.batch(number)
        hashes = hashes_of(batch)
        first = int(np.searchsorted(hashes, np.uint64(start), "left"))
        last = int(np.searchsorted(hashes, np.uint64(end), "right"))
        if first < last:
            yield batch.slice(first, last - first)
