"""The newest row of each key, spread over runs: a newer run hides what older ones say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from kamu_assets.coordinator.ingest.sidecars.equality import Mask, as_mask
from kamu_assets.coordinator.ingest.sidecars.history import History
from kamu_assets.coordinator.ingest.sidecars.keys import Keys, Places, taken, taken_rows
from kamu_assets.coordinator.ingest.sidecars.layout import GONE
from kamu_assets.coordinator.ingest.sidecars.run import Match, Run, hashes_of, stored_columns

# Pairs that do not count are left in when there are fewer than one in so many.
_WORTH: Final = 2


@dataclass(frozen=True, slots=True)
class Pairs:
    """Rows of a dataset, and the rows of the same keys that were looked for."""

    old: pa.RecordBatch
    wanted: Places
    # Which pairs count: neighbours are not torn apart for the sake of a few old rows that are outdated or gone.
    counts: Mask

    @property
    def found(self) -> Places:
        """The rows that have a current row of the same key."""
        return self.wanted if self.counts.all() else self.wanted[self.counts]


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
                seen[run.starts[match.number] + match.rows] = True
                hits.append(match.wanted)
                yield from self._pairs(match, ~settled[match.wanted])
            for wanted in hits:
                settled[wanted] = True

    def not_found(self) -> Iterator[pa.RecordBatch]:
        """The current rows that nobody looked for, keys with nulls included."""
        self._hide_outdated()
        for run, seen in zip(self._runs, self._seen, strict=True):
            if seen.all():
                continue
            for number, start in enumerate(run.starts[:-1]):
                rows = np.flatnonzero(~seen[start : run.starts[number + 1]])
                batch = run.batch(number)
                rows = rows[~_gone(batch, rows)]
                if len(rows):
                    yield taken_rows(batch.select(self._columns), rows)

    def _pairs(self, match: Match, fresh: Mask) -> Iterator[Pairs]:
        counts = fresh & ~_gone(match.batch, match.rows)
        rows, wanted = match.rows, match.wanted
        if counts.sum() * _WORTH < len(counts):
            rows, wanted, counts = rows[counts], wanted[counts], counts[counts]
        if len(rows):
            yield Pairs(taken_rows(match.batch.select(self._columns), rows), wanted, counts)

    def _hide_outdated(self) -> None:
        for place, newer in enumerate(self._runs):
            for run, seen in zip(self._runs[place + 1 :], self._seen[place + 1 :], strict=True):
                for batch in newer.batches():
                    _mark(run, seen, batch, self._key)


def _gone(batch: pa.RecordBatch, rows: Places) -> Mask:
    return as_mask(taken(batch.column(GONE), rows))


def _mark(run: Run, seen: Mask, newer: pa.RecordBatch, key: Sequence[str]) -> None:
    keys = Keys(tuple(stored_columns(newer, key)), hashes_of(newer), None)
    for match in run.find(keys, key):
        seen[run.starts[match.number] + match.rows] = True
