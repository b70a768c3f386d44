"""The keys that a ledger has seen."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from kamu_assets.coordinator.ingest.sidecars.building import RunBuilder
from kamu_assets.coordinator.ingest.sidecars.equality import Mask
from kamu_assets.coordinator.ingest.sidecars.history import History
from kamu_assets.coordinator.ingest.sidecars.keys import Keys
from kamu_assets.coordinator.ingest.sidecars.run import Run


class SeenKeys:
    """Tells rows of new keys from others; takes more keys on the way."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._added: list[Run] = []

    def unseen(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The rows whose keys are new, in their order. Keys with nulls always are; equal ones in `rows` all stay."""
        seen = self._seen(rows)
        return rows.filter(pa.array(~seen)) if seen.any() else rows

    def add(self, rows: Sequence[pa.RecordBatch]) -> None:
        """Count the keys of these rows as seen. They are held in memory: they come from pushes that share a block."""
        layout = self._history.layout
        workshop = self._history.workshop(None, layout.payload)
        builder = RunBuilder(workshop)
        for batch in rows:
            builder.add(layout.kept(batch))
        run = builder.finish()
        if run is not None:
            self._added = workshop.compacted([*self._added, run])

    def _seen(self, rows: pa.RecordBatch) -> Mask:
        history = self._history
        keys = Keys.of(history.layout.key_of(rows), history.seed, with_nulls=False)
        seen = np.zeros(rows.num_rows, np.bool_)
        for run in (*history.runs, *self._added):
            for match in run.find(keys, history.layout.key):
                seen[match.wanted] = True
        return seen
