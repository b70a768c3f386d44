"""Reads slices for sidecars: few columns, in the order of offsets, never a whole slice at once."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from datafusion import DataFrame

from kamu_assets.coordinator.ingest.session import Bench, engine_failures, quoted, stream
from kamu_assets.coordinator.ingest.sidecars.layout import Layout
from kamu_assets.coordinator.ingest.sidecars.use import Contents
from kamu_assets.engines.listing import listing

_NUMBERS = itertools.count()


def slice_rows(bench: Bench, slices: Sequence[str], layout: Layout) -> Iterator[pa.RecordBatch]:
    """The rows of slices, oldest first."""
    for location in slices:
        with engine_failures():
            frame = listing(bench.session, [location], schema=layout.schema)
        if layout.contents is Contents.STATE and not _is_sorted(bench, frame, layout.vocab.offset_column):
            frame = _query(bench, frame, "*", f"ORDER BY {quoted(layout.vocab.offset_column)}")
        yield from stream(_selected(bench, frame, layout.read_columns))


def _is_sorted(bench: Bench, frame: DataFrame, offset: str) -> bool:
    """Whether rows lie by offset, as they should."""
    last = -1
    for batch in stream(_selected(bench, frame, [offset])):
        offsets = batch.column(0).to_numpy()
        if offsets[0] <= last or not bool(np.all(offsets[1:] > offsets[:-1])):
            return False
        last = int(offsets[-1])
    return True


def _selected(bench: Bench, frame: DataFrame, columns: Sequence[str]) -> DataFrame:
    return _query(bench, frame, ", ".join(map(quoted, columns)))


def _query(bench: Bench, frame: DataFrame, columns: str, rest: str = "") -> DataFrame:
    view = f"__slice_{next(_NUMBERS)}"
    with engine_failures():
        bench.session.register_view(view, frame)
        found = bench.session.sql(f"SELECT {columns} FROM {view} {rest}")
        bench.session.deregister_table(view)
    return found
