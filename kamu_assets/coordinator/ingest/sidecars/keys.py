"""The keys of some rows, in the order in which runs are searched."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kamu_assets.coordinator.ingest.sidecars.equality import any_null, same_keys
from kamu_assets.coordinator.ingest.sidecars.key_hash import Hashes, key_hashes, tells_all

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Keys:
    """Key columns of rows, and the numbers of those rows that are looked for, ascending."""

    columns: tuple[pa.Array, ...]
    hashes: Hashes
    # Which row each number belongs to; None when rows are in that order already.
    order: Places | None

    @classmethod
    def of(cls, columns: Sequence[pa.Array], seed: int, *, with_nulls: bool) -> Self:
        """Sorted stably. Without nulls, rows with a null in the key are not looked for."""
        hashes = key_hashes(columns, seed)
        order = None
        nulls = None if with_nulls else any_null(columns)
        if nulls is not None:
            order = np.flatnonzero(~nulls)
            hashes = hashes[order]
        if np.any(hashes[1:] < hashes[:-1]):
            places = _sorting(hashes)
            hashes = hashes[places]
            order = places if order is None else order[places]
        return cls(tuple(columns), hashes, order)

    def rows(self, places: Places) -> Places:
        """The rows that numbers at these places belong to."""
        return places if self.order is None else self.order[places]

    @property
    def are_exact(self) -> bool:
        """Whether equal numbers mean equal keys, among keys that are alike in this."""
        no_nulls = not any(column.null_count for column in self.columns)
        return no_nulls and tells_all([column.type for column in self.columns])


def _sorting(hashes: Hashes) -> Places:
    """A stable order. Numpy's fast sort is not stable, which matters only where numbers are equal."""
    places = np.argsort(hashes)
    found = hashes[places]
    return np.argsort(hashes, kind="stable") if np.any(found[1:] == found[:-1]) else places


def equal_pairs(some: Keys, some_rows: Places, others: Sequence[pa.Array], other_rows: Places) -> npt.NDArray[np.bool_]:
    """Which of the pairs with equal numbers have equal keys. Without columns to compare, all have."""
    if not others or (some.are_exact and not any(column.null_count for column in others)):
        return np.ones(len(some_rows), np.bool_)
    mine = [taken(column, some_rows) for column in some.columns]
    return same_keys(mine, [taken(column, other_rows) for column in others])


def taken(column: pa.Array, rows: Places) -> pa.Array:
    """The values of these rows; neighbours are not copied."""
    if is_stretch(rows):
        return column.slice(int(rows[0]), len(rows)) if len(rows) else column.slice(0, 0)
    return column.take(pa.array(rows))


def taken_rows(batch: pa.RecordBatch, rows: Places) -> pa.RecordBatch:
    """These rows; neighbours are not copied."""
    if is_stretch(rows):
        return batch.slice(int(rows[0]), len(rows)) if len(rows) else batch.slice(0, 0)
    return batch.take(pa.array(rows))


def is_stretch(rows: Places) -> bool:
    """Whether the rows follow one another."""
    if len(rows) == 0:
        return True
    return int(rows[-1]) - int(rows[0]) == len(rows) - 1 and bool(np.all(np.diff(rows) == 1))
