"""Reads slices for sidecars: few columns, in the order of offsets, never a whole slice at once."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from datafusion import DataFrame

from kamu_assets.coordinator.ingest.session import Bench, EngineFailureError, engine_failures, quoted, stream
from kamu_assets.coordinator.ingest.sidecars.errors import UnreadableSliceError
from kamu_assets.coordinator.ingest.sidecars.layout import Layout
from kamu_assets.coordinator.ingest.sidecars.use import Contents
from kamu_assets.engines.listing import listing

_NUMBERS = itertools.count()


def slice_rows(bench: Bench, slices: Sequence[str], layout: Layout) -> Iterator[pa.RecordBatch]:
    """The rows of slices, oldest first."""
    for location in slices:
        try:
            yield from _rows(bench, location, layout)
        except EngineFailureError as error:
            raise UnreadableSliceError(location, str(error)) from error


def _rows(bench: Bench, location: str, layout: Layout) -> Iterator[pa.RecordBatch]:
    with engine_failures():
        frame = listing(bench.session, [location], schema=layout.schema)
    offset, order = layout.vocab.offset_column, ""
    if layout.contents is Contents.STATE and not _is_sorted(bench, frame, offset):
        order = f"ORDER BY {quoted(offset)}"
    return stream(_selected(bench, frame, layout.read_columns, order))


def _is_sorted(bench: Bench, frame: DataFrame, offset: str) -> bool:
    """Whether rows lie by offset, as they should."""
    last = -1
    for batch in stream(_selected(bench, frame, [offset])):
        offsets = batch.column(0).to_numpy()
        if offsets[0] <= last or not bool(np.all(offsets[1:] > offsets[:-1])):
            return False
        last = int(offsets[-1])
    return True


def _selected(bench: Bench, frame: DataFrame, columns: Sequence[str], order: str = "") -> DataFrame:
    view = f"__slice_{next(_NUMBERS)}"
    with engine_failures():
        bench.session.register_view(view, frame)
        found = bench.session.sql(f"SELECT {', '.join(map(quoted, columns))} FROM {view} {order}")
        bench.session.deregister_table(view)
    return found
