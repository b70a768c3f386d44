"""Of each key the last row of the input counts; what it changes becomes records (ODF: MergeStrategyUpsertStream)."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from kamu_assets.coordinator.ingest.merge.changes import Comparison, as_operation, kept
from kamu_assets.coordinator.ingest.sidecars.building import RunBuilder
from kamu_assets.coordinator.ingest.sidecars.equality import Mask, as_mask
from kamu_assets.coordinator.ingest.sidecars.keys import taken_rows
from kamu_assets.coordinator.ingest.sidecars.state import LatestState, Pairs
from kamu_assets.odf.data import OperationType


class UpsertMerge:
    """Applies upserts and retractions to the current state."""

    def __init__(self, state: LatestState, comparison: Comparison, *, operation: str) -> None:
        self._state = state
        self._comparison = comparison
        self._operation = operation

    def changes(self, batches: Iterable[pa.RecordBatch], builder: RunBuilder) -> Iterator[pa.RecordBatch]:
        """The records, in no order. `builder` keeps the last row of each key."""
        for batch in batches:
            builder.add(batch)
        run = builder.finish()
        if run is None:
            return
        columns = [name for name in run.batch(0).schema.names[1:] if name != self._operation]
        for batch in run.batches():
            yield from self._applied(batch.select(columns), batch.column(self._operation))

    def _applied(self, new: pa.RecordBatch, operations: pa.Array) -> Iterator[pa.RecordBatch]:
        # A row without an operation is dropped, as upstream does.
        wanted = as_mask(operations.is_valid())
        retracts = as_mask(operations.fill_null(-1)) == int(OperationType.RETRACT)
        known = np.zeros(new.num_rows, np.bool_)
        for pairs in self._state.find(new):
            known[pairs.found] = True
            yield from self._retracted(pairs, retracts[pairs.wanted] & pairs.counts)
            yield from self._corrected(pairs, new, (wanted & ~retracts)[pairs.wanted] & pairs.counts)
        added = wanted & ~retracts & ~known
        if added.any():
            yield as_operation(kept(new, added), OperationType.APPEND, self._operation)

    def _retracted(self, pairs: Pairs, retracts: Mask) -> Iterator[pa.RecordBatch]:
        if retracts.any():
            yield as_operation(kept(pairs.old, retracts), OperationType.RETRACT, self._operation)

    def _corrected(self, pairs: Pairs, new: pa.RecordBatch, upserts: Mask) -> Iterator[pa.RecordBatch]:
        old, there = pairs.old, taken_rows(new, pairs.wanted)
        changed = self._comparison.changed(old, there) & upserts
        if changed.any():
            yield as_operation(kept(old, changed), OperationType.CORRECT_FROM, self._operation)
            yield as_operation(kept(there, changed), OperationType.CORRECT_TO, self._operation)
