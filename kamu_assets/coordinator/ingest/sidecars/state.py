"""The newest row of each key, spread over runs: a newer run hides what older ones say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from kamu_assets.coordinator.ingest.sidecars.equality import Mask, as_mask
from kamu_assets.coordinator.ingest.sidecars.history import History
from kamu_assets.coordinator.ingest.sidecars.keys import Keys, Places, taken, taken_rows
from kamu_assets.coordinator.ingest.sidecars.layout import GONE
from kamu_assets.coordinator.ingest.sidecars.run import Run, hashes_of, stored_columns


@dataclass(frozen=True, slots=True)
class Pairs:
    """Current rows of a dataset, and the rows of the same keys that were looked for."""

    old: pa.RecordBatch
    wanted: Places


class LatestState:
    """Looks up current rows, and remembers which of them were found."""

    def __init__(self, history: History) -> None:
        self._key = history.layout.key
        self._columns = history.layout.data_columns
        self.seed = history.seed
        self._runs = history.runs[::-1]
        # Rows that were found, or that newer runs hide.
        self._seen = [np.zeros(run.rows, np.bool_) for run in self._runs]

    def find(self, rows: pa.RecordBatch) -> Iterator[Pairs]:
        """The current rows of these keys. Keys with nulls, and keys that are gone, have none."""
        keys = Keys.of([rows.column(column) for column in self._key], self.seed, with_nulls=False)
        settled = np.zeros(rows.num_rows, np.bool_)
        for run, seen in zip(self._runs, self._seen, strict=True):
            hits = []
            for match in run.find(keys, self._key):
                fresh = ~settled[match.wanted]
                places, wanted = match.rows[fresh], match.wanted[fresh]
                if not len(places):
                    continue
                seen[run.starts[match.number] + places] = True
                hits.append(wanted)
                yield from self._current(match.batch, places, wanted)
            for wanted in hits:
                settled[wanted] = True

    def not_found(self) -> Iterator[pa.RecordBatch]:
        """The current rows that nobody looked for, keys with nulls included."""
        self._hide_outdated()
        for run, seen in zip(self._runs, self._seen, strict=True):
            if seen.all():
                continue
            for number, start in enumerate(run.starts[:-1]):
                places = np.flatnonzero(~seen[start : run.starts[number + 1]])
                if len(places):
                    yield from (pairs.old for pairs in self._current(run.batch(number), places, places))

    def _current(self, batch: pa.RecordBatch, places: Places, wanted: Places) -> Iterator[Pairs]:
        gone = as_mask(taken(batch.column(GONE), places))
        if gone.any():
            places, wanted = places[~gone], wanted[~gone]
        if len(places):
            yield Pairs(taken_rows(batch.select(self._columns), places), wanted)

    def _hide_outdated(self) -> None:
        for place, newer in enumerate(self._runs):
            for run, seen in zip(self._runs[place + 1 :], self._seen[place + 1 :], strict=True):
                for batch in newer.batches():
                    _mark(run, seen, batch, self._key)


def _mark(run: Run, seen: Mask, newer: pa.RecordBatch, key: Sequence[str]) -> None:
    keys = Keys(tuple(stored_columns(newer, key)), hashes_of(newer), None)
    for match in run.find(keys, key):
        seen[run.starts[match.number] + match.rows] = True
