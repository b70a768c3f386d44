"""A run: rows sorted by the number of their key, each key once; a mapped file, or batches in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kamu_assets.coordinator.ingest.sidecars.errors import SidecarUnusableError
from kamu_assets.coordinator.ingest.sidecars.key_hash import Hashes
from kamu_assets.coordinator.ingest.sidecars.keys import Keys, Places, equal_pairs

# System columns aside, a dataset may have columns of any name, but hardly of this one.
HASH: Final = "\u2063hash"
_BLOCK_WORDS: Final = 512


@dataclass(frozen=True, slots=True)
class BatchNote:
    """What must be true of a batch of a run."""

    rows: int
    first: int
    last: int
    checksum: int


@dataclass(frozen=True, slots=True)
class RunNote:
    """What must be true of a run's file."""

    name: str
    size: int
    batches: tuple[BatchNote, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """Rows of a run's batch that have the keys of other rows."""

    number: int
    batch: pa.RecordBatch
    rows: Places
    # The rows that were looked for.
    wanted: Places


class Run:
    """Sorted rows that can be searched."""

    def __init__(self, batches: Sequence[BatchNote], source: Any, *, note: RunNote | None = None) -> None:
        # None when the run is not kept in a file.
        self.note = note
        self.starts = np.cumsum([0, *(batch.rows for batch in batches)])
        self.batch_notes = tuple(batches)
        self._firsts = np.array([batch.first for batch in batches], np.uint64)
        self._lasts = np.array([batch.last for batch in batches], np.uint64)
        self._source = source
        self._checked: set[int] = set()

    @classmethod
    def in_memory(cls, batches: Sequence[pa.RecordBatch]) -> Self:
        """Batches that are sorted already."""
        return cls([_bounds(batch) for batch in batches], _InMemory(batches))

    @classmethod
    def open(cls, folder: Path, note: RunNote) -> Self:
        """A file as its note says; SidecarUnusableError."""
        path = folder / note.name
        try:
            if path.stat().st_size != note.size:
                raise SidecarUnusableError(f"{note.name} has another size")
            source = pa.ipc.open_file(pa.memory_map(str(path)))
            if source.num_record_batches != len(note.batches):
                raise SidecarUnusableError(f"{note.name} has another number of batches")
        except (OSError, pa.ArrowException) as error:
            raise SidecarUnusableError(f"{note.name}: {error}") from error
        return cls(note.batches, source, note=note)

    @property
    def rows(self) -> int:
        """How many there are."""
        return int(self.starts[-1])

    def batch(self, number: int) -> pa.RecordBatch:
        """One batch, proven to be what was written."""
        try:
            batch = self._source.get_batch(number)
        except (OSError, pa.ArrowException) as error:
            raise SidecarUnusableError(str(error)) from error
        if number not in self._checked:
            if self.note is not None and _note(batch) != self.batch_notes[number]:
                raise SidecarUnusableError(f"{self.note.name}, batch {number} is damaged")
            self._checked.add(number)
        return batch

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All batches in order."""
        return (self.batch(number) for number in range(len(self.batch_notes)))

    def find(self, keys: Keys, key: Sequence[str]) -> Iterator[Match]:
        """The rows that have one of the keys. A key without a row costs a look at one batch."""
        starts = np.searchsorted(keys.hashes, self._firsts, "left")
        ends = np.searchsorted(keys.hashes, self._lasts, "right")
        for number in np.flatnonzero(starts < ends):
            batch = self.batch(int(number))
            start, end = int(starts[number]), int(ends[number])
            places, rows = _candidates(hashes_of(batch), keys.hashes[start:end])
            if not len(rows):
                continue
            wanted = keys.rows(places + start)
            equal = equal_pairs(keys, wanted, stored_columns(batch, key), rows)
            if not equal.all():
                rows, wanted = rows[equal], wanted[equal]
            if len(rows):
                yield Match(int(number), batch, rows, wanted)


class _InMemory:
    def __init__(self, batches: Sequence[pa.RecordBatch]) -> None:
        self._batches = tuple(batches)

    def get_batch(self, number: int) -> pa.RecordBatch:
        return self._batches[number]


def write_run(folder: Path, name: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Run:
    """Write sorted batches to a new file; gives the run, read from there."""
    path = folder / name
    with path.open("xb") as file, pa.ipc.new_file(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    source = pa.ipc.open_file(pa.memory_map(str(path)))
    notes = tuple(_note(source.get_batch(number)) for number in range(source.num_record_batches))
    note = RunNote(name, path.stat().st_size, notes)
    return Run(notes, source, note=note)


def stored_columns(batch: pa.RecordBatch, key: Sequence[str]) -> list[pa.Array]:
    """The key columns; none where the numbers tell everything."""
    return [batch.column(column) for column in key if column in batch.schema.names]


def hashes_of(batch: pa.RecordBatch) -> Hashes:
    """The numbers of the keys, ascending."""
    found: Hashes = batch.column(HASH).to_numpy()
    return found


def _candidates(present: Hashes, wanted: Hashes) -> tuple[Places, Places]:
    """Pairs (place in `wanted`, place in `present`) of equal numbers; both are sorted."""
    first = int(np.searchsorted(present, wanted[0], "left"))
    end = first + len(wanted)
    if np.array_equal(present[first:end], wanted) and _is_strict(present[first : end + 1]):
        return np.arange(len(wanted)), np.arange(first, end)
    left = np.searchsorted(present, wanted, "left")
    inside = left < len(present)
    hit = np.zeros(len(wanted), np.bool_)
    hit[inside] = present[left[inside]] == wanted[inside]
    places = np.flatnonzero(hit)
    rows = left[places]
    following = np.minimum(rows + 1, len(present) - 1)
    if not np.any((following > rows) & (present[following] == present[rows])):
        return places, rows
    counts = np.searchsorted(present, wanted[places], "right") - rows
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(places, counts), np.repeat(rows, counts) + within


def _is_strict(hashes: Hashes) -> bool:
    return bool(np.all(hashes[1:] > hashes[:-1]))


def _bounds(batch: pa.RecordBatch, checksum: int = 0) -> BatchNote:
    hashes = hashes_of(batch)
    return BatchNote(batch.num_rows, int(hashes[0]), int(hashes[-1]), checksum)


def _note(batch: pa.RecordBatch) -> BatchNote:
    checksum = 0
    for column in batch.columns:
        for buffer in column.buffers():
            checksum = (checksum * 0x100000001B3 + (_sum(buffer) if buffer is not None else 1)) % (1 << 64)
    return _bounds(batch, checksum)


def _sum(buffer: pa.Buffer) -> int:
    """A sum over all bytes in which their order counts, at the speed of memory."""
    data = np.frombuffer(buffer, np.uint8)
    whole = len(data) // 8
    words = data[: whole * 8].view(np.uint64)
    blocks = whole // _BLOCK_WORDS
    sums = words[: blocks * _BLOCK_WORDS].reshape(blocks, _BLOCK_WORDS).sum(axis=1, dtype=np.uint64)
    total = _weighted(sums) + _weighted(words[blocks * _BLOCK_WORDS :])
    return total * 3 + int.from_bytes(data[whole * 8 :].tobytes(), "little") + len(data)


def _weighted(numbers: npt.NDArray[np.uint64]) -> int:
    weights = np.arange(1, 2 * len(numbers) + 1, 2, dtype=np.uint64)
    return int((numbers * weights).sum(dtype=np.uint64))
