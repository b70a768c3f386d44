"""Sorts rows by event time beyond memory: sorted runs in files, then merged. Ties stay as they came."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from kamu_assets.coordinator.ingest.event_order import Keys, order_keys, sorted_rows

# Of one run, held at a time while runs are merged.
_BLOCK_ROWS: Final = 1 << 13
# A run is held up to three times: as it came, in one piece, and in order.
_RUN_SHARE: Final = 8
_OUTPUT_ROWS: Final = 1 << 17


def sorted_by_time(
    batches: Iterable[pa.RecordBatch], event_time: str, *, scratch: Path, memory_bytes: int
) -> Iterator[pa.RecordBatch]:
    """All rows in order; files in `scratch` where they are too many for memory."""
    runs: list[_Run] = []
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        held.append(batch)
        size += batch.nbytes
        if size * _RUN_SHARE > memory_bytes:
            runs.append(_Run.write(_in_order(held, event_time), scratch / f"run-{len(runs)}", event_time))
            held, size = [], 0
    last = [_in_order(held, event_time)] if held else []
    held = []
    if runs:
        runs.extend(_Run.write(batch, scratch / f"run-{len(runs)}", event_time) for batch in last)
        yield from _merged(runs)
        return
    for batch in last:
        yield from _pieces(batch, _OUTPUT_ROWS)


def _in_order(batches: list[pa.RecordBatch], event_time: str) -> pa.RecordBatch:
    keys = np.concatenate([order_keys(batch, event_time) for batch in batches])
    return sorted_rows(batches, keys)[0]


def _pieces(batch: pa.RecordBatch, rows: int) -> Iterator[pa.RecordBatch]:
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _merged(runs: list["_Run"]) -> Iterator[pa.RecordBatch]:
    """Rows of all runs; each of them is in order, and earlier runs come first where times are equal."""
    for run in runs:
        run.load()
    while runs := [run for run in runs if run.has_rows]:
        settled = min(run.last for run in runs)
        parts: list[tuple[pa.RecordBatch, Keys]] = []
        ties = True
        for run in runs:
            has_more_ties = run.has_more and run.last == settled
            parts.append(run.take(settled, ties=ties))
            # Equal times in later runs wait until this one has no more of them.
            ties = ties and not has_more_ties
        found = [batch for batch, _ in parts if batch.num_rows]
        yield sorted_rows(found, np.concatenate([keys for _, keys in parts]))[0]


class _Run:
    """Rows in order, in a file that is read block by block."""

    def __init__(self, path: Path, event_time: str) -> None:
        self._path = path
        self._event_time = event_time
        self._reader = pa.ipc.open_file(pa.OSFile(str(path)))
        self._next = 0
        self._block: pa.RecordBatch
        self._keys: Keys = np.empty(0, np.int64)

    @classmethod
    def write(cls, batch: pa.RecordBatch, path: Path, event_time: str) -> "_Run":
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
            for piece in _pieces(batch, _BLOCK_ROWS):
                writer.write_batch(piece)
        return cls(path, event_time)

    @property
    def has_rows(self) -> bool:
        return len(self._keys) > 0

    @property
    def has_more(self) -> bool:
        """Whether there are blocks that are not yet read."""
        blocks: int = self._reader.num_record_batches
        return self._next < blocks

    @property
    def last(self) -> int:
        """The last time of the block at hand."""
        return int(self._keys[-1])

    def load(self) -> None:
        """The next block; the file goes with the last one."""
        if not self.has_more:
            self._path.unlink(missing_ok=True)
            return
        self._block = self._reader.get_batch(self._next)
        self._keys = order_keys(self._block, self._event_time)
        self._next += 1

    def take(self, until: int, *, ties: bool) -> tuple[pa.RecordBatch, Keys]:
        """Rows of the block before a time, or up to it."""
        count = int(np.searchsorted(self._keys, until, side="right" if ties else "left"))
        found = self._block.slice(0, count), self._keys[:count]
        self._block, self._keys = self._block.slice(count), self._keys[count:]
        if not self.has_rows:
            self.load()
        return found
