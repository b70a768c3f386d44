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
from kamu_assets.engines.slices.listing import listing

_NUMBERS = itertools.count()


def slice_rows(bench: Bench, slices: Sequence[str], layout: Layout) -> Iterator[pa.RecordBatch]:
    """The rows of slices, oldest first."""
    for location in slices:
        try:
            yield from _rows(bench, location, layout)
        except EngineFailureError as error:
            raise UnreadableSliceError(location, str(error)) from error


def slice_statistics(bench: Bench, slices: Sequence[str], layout: Layout) -> Iterator[pa.RecordBatch]:
    """One row per slice. Values decide, not what the file says of itself: texts are cut there."""
    bounds = [f"min({quoted(column)}), max({quoted(column)})" for column in layout.bounded_columns]
    query = f"SELECT count(*), {', '.join(bounds)} FROM "
    for location in slices:
        try:
            with engine_failures():
                view = _view(bench, listing(bench.session, [location], schema=layout.schema))
                (found,) = stream(bench.session.sql(query + view))
                bench.session.deregister_table(view)
        except EngineFailureError as error:
            raise UnreadableSliceError(location, str(error)) from error
        columns = [pa.array([location.rpartition("/")[2]]), *found.columns]
        fields = zip(columns, layout.payload, strict=True)
        yield pa.RecordBatch.from_arrays([column.cast(field.type) for column, field in fields], schema=layout.payload)


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
    with engine_failures():
        view = _view(bench, frame)
        found = bench.session.sql(f"SELECT {', '.join(map(quoted, columns))} FROM {view} {order}")
        bench.session.deregister_table(view)
    return found


def _view(bench: Bench, frame: DataFrame) -> str:
    name = f"__slice_{next(_NUMBERS)}"
    bench.session.register_view(name, frame)
    return name
