"""Reads a slice in a worker process: Parquet from elsewhere is hostile."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kamu_assets.coordinator.verify.linked_objects import unknown_links
from kamu_assets.coordinator.verify.slice_questions import SliceAnswer, SliceQuestion
from kamu_assets.coordinator.verify.slice_schema import columns_without_nulls, embedded_schema, schema_fault
from kamu_assets.engines.workers.process import report
from kamu_assets.odf.arrow_schema import restore_arrow_types
from kamu_assets.odf.data_hash import LogicalHasher
from kamu_assets.odf.links import object_links
from kamu_assets.odf.multihash import Multihash

_BATCH_BYTES: Final = 64 << 20
_MAX_BATCH_ROWS: Final = 1 << 16
# Several slices are read at a time: only in large ones columns are hashed side by side as well.
_WORTH_THREADS_ROWS: Final = 1 << 19
_THREADS: Final = 2
_MILLIS_PER_DAY: Final = 86_400_000


def read_slice(question: SliceQuestion) -> SliceAnswer:
    """Hash and look at every row, a batch at a time."""
    try:
        with pq.ParquetFile(question.location) as file:
            return _Reading(file, question).answer()
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a foreign file makes a reader do, it is the file's fault
        return SliceAnswer(unreadable=str(error) or type(error).__name__)


class _Reading:
    def __init__(self, file: Any, question: SliceQuestion) -> None:
        self._file = file
        self._question = question
        self._schema = embedded_schema(file)
        self._next_offset = question.offsets.start
        self._wrong_offsets: str | None = None
        self._nulls = dict.fromkeys(columns_without_nulls(self._schema, question.schema), 0)
        self._newest: int | None = None
        kinds = object_links(question.schema)
        self._wrong_links = unknown_links(kinds)
        self._links: dict[str, set[str]] = {name: set() for name in kinds if name in self._schema.names}

    def answer(self) -> SliceAnswer:
        wrong = schema_fault(self._schema, self._question.schema, self._question.vocab)
        logical_hash, records = self._hash(look=wrong is None)
        end = self._question.offsets.end
        if wrong is None and self._wrong_offsets is None and self._next_offset != end + 1:
            self._wrong_offsets = f"offsets end at {self._next_offset - 1}"
        filled = [f"column `{name}` has {count} nulls" for name, count in self._nulls.items() if count]
        return SliceAnswer(
            logical_hash=logical_hash,
            records=records,
            wrong_schema=wrong or "; ".join(filled) or None,
            wrong_offsets=self._wrong_offsets,
            max_event_millis=self._newest,
            links={name: sorted(found) for name, found in self._links.items()},
            wrong_links=self._wrong_links,
        )

    def _hash(self, *, look: bool) -> tuple[Multihash, int]:
        records = 0
        threads = _THREADS if self._file.metadata.num_rows >= _WORTH_THREADS_ROWS else 1
        with ThreadPoolExecutor(threads) as executor:
            hasher = LogicalHasher(self._schema, executor=executor if threads > 1 else None)
            for batch in self._batches():
                hasher.update(batch)
                records += batch.num_rows
                if look:
                    self._look(batch)
                report(records)
        return hasher.digest(), records

    def _batches(self) -> Iterator[pa.RecordBatch]:
        rows = batch_rows(self._file.metadata)
        for batch in self._file.iter_batches(rows):
            yield restore_arrow_types(batch, self._schema)

    def _look(self, batch: pa.RecordBatch) -> None:
        vocab = self._question.vocab
        if self._wrong_offsets is None:
            self._wrong_offsets = self._compare_offsets(batch.column(vocab.offset_column))
        for name in self._nulls:
            self._nulls[name] += batch.column(name).null_count
        for name, found in self._links.items():
            found.update(str(link) for link in batch.column(name).unique().drop_null().to_pylist())
        newest = _newest_millis(batch.column(vocab.event_time_column))
        self._newest = newest if self._newest is None else max(self._newest, newest or self._newest)

    def _compare_offsets(self, offsets: pa.Array) -> str | None:
        expected = self._next_offset
        if offsets.null_count:
            return f"a row after offset {expected - 1} has no offset"
        values = offsets.to_numpy(zero_copy_only=False)
        self._next_offset += len(values)
        if len(values) and (values[0] != expected or values[-1] != expected + len(values) - 1):
            return f"rows at {expected} have offsets {values[0]} to {values[-1]}"
        return f"offsets after {expected} do not count by one" if (np.diff(values) != 1).any() else None


def batch_rows(metadata: Any) -> int:
    """As many rows as fit the memory meant for a batch, by what the file says of itself."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    widest = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=1)
    return max(1, min(_MAX_BATCH_ROWS, _BATCH_BYTES // max(widest, 1)))


def _newest_millis(times: pa.Array) -> int | None:
    newest = pc.max(times)
    if not newest.is_valid:
        return None
    if pa.types.is_date32(newest.type):
        return int(newest.cast(pa.int32()).as_py()) * _MILLIS_PER_DAY
    if pa.types.is_timestamp(newest.type):
        newest = newest.cast(pa.timestamp("ms", newest.type.tz), safe=False)
    return int(newest.cast(pa.int64()).as_py())
