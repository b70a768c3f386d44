"""Writes one data slice in one pass: Parquet, physical hash, logical hash and statistics from the same batches.

Encoding and hashing run beside each other and beside whoever makes the batches. Only slices with structs are read once
more for the logical hash. Memory is bounded by a few times the larger of a batch and a row group. The file is not
synced: the store does that when it takes the file over.
"""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt

from kamu_assets.engines.slices.facts import Encodings, SliceStats
from kamu_assets.engines.slices.file import GROUP_BYTES, SliceFile
from kamu_assets.engines.slices.lane import Lane
from kamu_assets.engines.slices.plan import plan_slice
from kamu_assets.engines.slices.storable import as_schema
from kamu_assets.odf.data import DatasetVocabulary
from kamu_assets.odf.data_hash import UPSTREAM_BATCH_ROWS
from kamu_assets.odf.timestamp import Timestamp

# Enough for lanes to work side by side; more would only touch more fresh memory, which costs as much as hashing it.
_AHEAD_BYTES: Final = 8 << 20
# Rows are encoded a group at a time: meanwhile others must not stand still for want of room.
_AHEAD_OF_GROUP_BYTES: Final = GROUP_BYTES // 2
_MILLIS_PER_DAY: Final = 86_400_000


class SliceWriter:
    """Use as a context manager: `write` batches in offset order, then `finish`. Left without, the file is removed."""

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        *,
        vocab: DatasetVocabulary | None = None,
        encodings: Encodings = Encodings.KAMU,
    ) -> None:
        self._path = path
        self._vocab = vocab or DatasetVocabulary()
        plan = plan_slice(schema, self._vocab, encodings)
        self._schema = plan.schema
        self._hasher = plan.hasher.copy()
        self._file = SliceFile(path, plan.file_format)
        self._encoding = Lane("slice-encode", self._file.write, limit_bytes=_AHEAD_OF_GROUP_BYTES)
        self._hashing: Lane[pa.RecordBatch] | None = None
        if not plan.has_structs:
            self._hashing = Lane("slice-hash", self._hasher.update, limit_bytes=_AHEAD_BYTES)
        self._rows = 0
        self._first_offset: int | None = None
        self._last_offset: int | None = None
        self._max_event_time: int | None = None
        self._finished = False

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows. Their offsets must follow the previous ones without a gap."""
        if batch.num_rows == 0:
            return
        batch = as_schema(batch, self._schema)
        self._note_offsets(batch.column(self._vocab.offset_column))
        self._note_event_time(batch.column(self._vocab.event_time_column))
        self._rows += batch.num_rows
        size = batch.nbytes
        self._encoding.put(batch, size)
        if self._hashing is not None:
            self._hashing.put(batch, size)

    def finish(self) -> SliceStats:
        """Complete the file and tell what is in it."""
        self._encoding.finish()
        self._file.complete()
        if self._hashing is None:
            self._hash_file()
        else:
            self._hashing.finish()
        self._finished = True
        millis = self._max_event_time
        return SliceStats(
            num_records=self._rows,
            physical_hash=self._file.multihash(),
            logical_hash=self._hasher.digest(),
            size=self._file.size,
            first_offset=self._first_offset,
            last_offset=self._last_offset,
            max_event_time=None if millis is None else Timestamp.from_millis(millis),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._finished:
            for lane in (self._encoding, self._hashing):
                if lane is not None:
                    lane.abandon()
            self._file.give_up()
            self._path.unlink(missing_ok=True)

    def _hash_file(self) -> None:
        """Which nulls of a struct are hashed depends on how a reader lays them out, so there it takes a second pass."""
        with pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(UPSTREAM_BATCH_ROWS):
                self._hasher.update(as_schema(batch, self._schema))

    def _note_offsets(self, offsets: pa.Array) -> None:
        first, last = offsets[0].as_py(), offsets[-1].as_py()
        expected = first if self._last_offset is None else self._last_offset + 1
        if first != expected or last - first != len(offsets) - 1:
            raise ValueError(f"offsets {first} to {last} of {len(offsets)} rows do not follow {self._last_offset}")
        self._first_offset = first if self._first_offset is None else self._first_offset
        self._last_offset = last

    def _note_event_time(self, times: pa.Array) -> None:
        newest = pc.max(times)
        if newest.is_valid:
            millis = _millis(newest)
            self._max_event_time = millis if self._max_event_time is None else max(millis, self._max_event_time)


def write_slice(
    path: Path,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    *,
    vocab: DatasetVocabulary | None = None,
    encodings: Encodings = Encodings.KAMU,
) -> SliceStats:
    """Write all `batches` to a new file at `path`."""
    with SliceWriter(path, schema, vocab=vocab, encodings=encodings) as writer:
        for batch in batches:
            writer.write(batch)
        return writer.finish()


def _millis(time: pa.Scalar) -> int:
    if pt.is_date32(time.type):
        return int(time.cast(pa.int32()).as_py()) * _MILLIS_PER_DAY
    if pt.is_timestamp(time.type) and time.type.unit != "ms":
        time = time.cast(pa.timestamp("ms", time.type.tz), safe=False)
    return int(time.value)
