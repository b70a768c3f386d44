"""Makes runs of rows as they come, however many they are."""

import contextlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from kamu_assets.coordinator.ingest.sidecars.run import Run, write_run
from kamu_assets.coordinator.ingest.sidecars.sorting import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    in_batches,
    merged,
    one_batch,
    run_schema,
    sorted_rows,
)

RUN_SUFFIX: Final = ".run"
MAX_RUNS: Final = 8
# An old run is rewritten only when the newer ones together have at least this part of its rows.
_WORTH: Final = 4


class Workshop:
    """Where runs are written; without a folder, or when its disk is full, they are held in memory."""

    def __init__(self, folder: Path | None, *, key: Sequence[str], payload: pa.Schema, seed: int) -> None:
        self.folder = folder
        self.key = tuple(key)
        self.schema = run_schema(payload)
        self.seed = seed
        self._made: list[Run] = []

    def keep(self, batches: Callable[[], Iterator[pa.RecordBatch]]) -> Run:
        """A run of sorted batches, which may be asked for twice."""
        if self.folder is None:
            return Run.in_memory(list(batches()))
        name = f"{secrets.token_hex(8)}{RUN_SUFFIX}"
        try:
            run = write_run(self.folder, name, self.schema, batches())
        except OSError:
            with contextlib.suppress(OSError):
                (self.folder / name).unlink(missing_ok=True)
            return Run.in_memory(list(batches()))
        self._made.append(run)
        return run

    def tidy(self, kept: Sequence[Run]) -> None:
        """Remove the files of runs that were made on the way; others may still be in use elsewhere."""
        names = {run.note.name for run in kept if run.note is not None}
        for run in self._made:
            if run.note is not None and run.note.name not in names and self.folder is not None:
                with contextlib.suppress(OSError):
                    (self.folder / run.note.name).unlink(missing_ok=True)
        self._made = [run for run in self._made if run.note is not None and run.note.name in names]

    def merged(self, runs: Sequence[Run]) -> Run:
        """One run of several, oldest first."""
        return self.keep(lambda: merged(runs, self.key))

    def compacted(self, runs: Sequence[Run]) -> list[Run]:
        """The same rows in fewer runs, oldest first, if there are many; large runs are left alone for long."""
        found = list(runs)
        while len(found) > MAX_RUNS:
            start = _tail(found)
            found = [*found[:start], self.merged(found[start:])]
        return found


class RunBuilder:
    """`add` rows in order of time, then `finish`. What is not kept for others touches the disk only if it is large."""

    def __init__(self, workshop: Workshop, *, for_others: bool = True) -> None:
        self._workshop = workshop
        self._for_others = for_others
        self._pending: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0
        self._chunks: list[Run] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows; they have the columns of the payload."""
        self._pending.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= CHUNK_ROWS or self._bytes >= CHUNK_BYTES:
            self._flush()

    def finish(self) -> Run | None:
        """All rows as one run; None when there were none."""
        if self._rows and not self._for_others and not self._chunks:
            return Run.in_memory(list(in_batches([self._taken()])))
        self._flush()
        if len(self._chunks) < 2:  # noqa: PLR2004 - one is merged already
            return self._chunks[0] if self._chunks else None
        run = self._workshop.merged(self._chunks)
        self._workshop.tidy([run])
        return run

    def _flush(self) -> None:
        if not self._rows:
            return
        rows = self._taken()
        self._chunks.append(self._workshop.keep(lambda: in_batches([rows])))

    def _taken(self) -> pa.RecordBatch:
        """What is pending, in order."""
        workshop = self._workshop
        rows = sorted_rows(one_batch(self._pending), workshop.schema, key=workshop.key, seed=workshop.seed)
        self._pending = []
        self._rows = self._bytes = 0
        return rows


def _tail(runs: Sequence[Run]) -> int:
    """Where the runs begin that are merged next: always two at least."""
    start = len(runs) - 1
    newer = runs[start].rows
    while start > 0 and (len(runs) - start < 2 or runs[start - 1].rows <= newer * _WORTH):  # noqa: PLR2004 - two
        start -= 1
        newer += runs[start].rows
    return start
