"""An export as it runs in a worker."""

from collections.abc import Iterator

import datafusion
import pyarrow as pa

from kamu_assets.engines.workers.process import report
from kamu_assets.errors import InvalidError
from kamu_assets.query.exports.files import ExportFiles
from kamu_assets.query.exports.model import ExportJob, ExportResult
from kamu_assets.query.job import planned, query_failures


class NothingToExportError(InvalidError):
    """The rows have no columns."""

    def __init__(self) -> None:
        super().__init__("there is nothing to export: no columns yet")


def write_export(job: ExportJob) -> ExportResult:
    """Plan the query and write its rows as they come; whatever an earlier attempt left in the folder is removed."""
    request = job.request
    for leftover in request.folder.iterdir():
        leftover.unlink()
    frame = planned(request.sql, job.memory_bytes)
    with query_failures():
        schema = frame.schema()
        if not schema.names:
            raise NothingToExportError
        files = ExportFiles(
            schema, request.folder, file_format=request.format, records_per_file=request.records_per_file
        )
        return ExportResult(files.write_all(_rows(frame, request.limit), on_rows=report))


def _rows(frame: datafusion.DataFrame, limit: int | None) -> Iterator[pa.RecordBatch]:
    for batch in (frame if limit is None else frame.limit(limit)).execute_stream():
        yield batch.to_pyarrow()
