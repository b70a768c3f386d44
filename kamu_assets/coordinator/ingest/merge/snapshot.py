"""The input is all there is; what differs from the current state becomes records (ODF: MergeStrategySnapshot)."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from kamu_assets.coordinator.ingest.merge.changes import Comparison, as_operation, kept
from kamu_assets.coordinator.ingest.sidecars.equality import Mask, as_mask
from kamu_assets.coordinator.ingest.sidecars.keys import taken_rows
from kamu_assets.coordinator.ingest.sidecars.state import LatestState
from kamu_assets.odf.data import OperationType


class SnapshotMerge:
    """Compares a snapshot with the current state. Upstream's full outer join, with all its corner cases.

    Whether a row is old or new is told by the first key column, so that rows without a key are never what they seem:
    see `_added` and `_removed`.
    """

    def __init__(self, state: LatestState, comparison: Comparison, *, key: str, operation: str) -> None:
        self._state = state
        self._comparison = comparison
        self._key = key
        self._operation = operation
        # Upstream's engine loses the other half of a correction then.
        self._lone = comparison.columns == (comparison.event_time,)

    def changes(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The records, in no order."""
        for batch in batches:
            yield from self._compared(batch)
        for old in self._state.not_found():
            yield from self._removed(kept(old, self._comparison.vanished(old)))

    def _compared(self, new: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        known = np.zeros(new.num_rows, np.bool_)
        for pairs in self._state.find(new):
            known[pairs.found] = True
            there = taken_rows(new, pairs.wanted)
            changed = self._comparison.changed(pairs.old, there) & pairs.counts
            if not changed.any():
                continue
            if not self._lone:
                yield as_operation(kept(pairs.old, changed), OperationType.CORRECT_FROM, self._operation)
            yield as_operation(kept(there, changed), OperationType.CORRECT_TO, self._operation)
        if not known.all():
            yield from self._added(kept(new, ~known & self._comparison.appeared(new)))

    def _added(self, new: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """New rows; of one without a key, upstream takes the values of the old side, where there are none."""
        keyless = self._keyless(new)
        if keyless.any():
            nothing = [pa.nulls(int(keyless.sum()), field.type) for field in new.schema]
            yield as_operation(
                pa.RecordBatch.from_arrays(nothing, schema=new.schema), OperationType.APPEND, self._operation
            )
            new = kept(new, ~keyless)
        if new.num_rows:
            yield as_operation(new, OperationType.APPEND, self._operation)

    def _removed(self, old: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Retracted rows; one without a key looks to upstream as if it had not been there before."""
        keyless = self._keyless(old)
        if keyless.any():
            yield as_operation(kept(old, keyless), OperationType.APPEND, self._operation)
            old = kept(old, ~keyless)
        if old.num_rows:
            yield as_operation(old, OperationType.RETRACT, self._operation)

    def _keyless(self, rows: pa.RecordBatch) -> Mask:
        return as_mask(rows.column(self._key).is_null())
