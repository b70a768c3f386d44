"""Rows of an input as a Parquet file, for an engine that looks at files."""

import pyarrow.parquet as pq

from kamu_assets.coordinator.ingest.explain.blame import blame_input
from kamu_assets.coordinator.ingest.explain.guilty_record import general_error
from kamu_assets.coordinator.ingest.read.opening import open_input
from kamu_assets.coordinator.ingest.read.steps import ReadFrame
from kamu_assets.coordinator.ingest.session import Bench, EngineFailureError, open_bench, stream
from kamu_assets.coordinator.ingest.slice_request import RowsRequest
from kamu_assets.storage.errors import StorageFullError
from kamu_assets.storage.files import told_plainly


def make_rows(request: RowsRequest) -> bool:
    """Read the input and write its rows, as they come; False when there is nothing to read."""
    folder = request.target.parent
    with told_plainly(folder):
        bench = open_bench(request.limits, folder)
        source = open_input(bench, request.input)
        if source is None:
            return False
        try:
            _write(source, request)
        except EngineFailureError as error:
            raise _explained(bench, source, request, error) from error
        return True


def _write(source: ReadFrame, request: RowsRequest) -> None:
    with pq.ParquetWriter(request.target, source.frame.schema()) as writer:
        for batch in stream(source.frame):
            writer.write_batch(batch)


def _explained(bench: Bench, source: ReadFrame, request: RowsRequest, error: EngineFailureError) -> Exception:
    if "No space left" in str(error):
        return StorageFullError(bench.scratch)
    blame_input(bench, source, request.input.read)
    return general_error(request.input.name, str(error))
