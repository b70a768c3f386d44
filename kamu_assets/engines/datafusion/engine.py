"""The engine named `datafusion`: what upstream's engine of that name does, as recorded.

Stateless: a run sees only the new slices. One partition; slices of an input in the order of their hash text; a plain
ORDER BY does not order the output; branches of a UNION ALL come in the written order (upstream: in any).
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import datafusion
import pyarrow.parquet as pq

from kamu_assets.engines.answering import answer
from kamu_assets.engines.datafusion.query_steps import engine_session, in_written_order, output_schema, plan_steps
from kamu_assets.engines.engine import TransformRequestInput, TransformResponse, TransformSuccess
from kamu_assets.engines.job import TransformJob
from kamu_assets.engines.output import OutputColumns, output_query
from kamu_assets.engines.result import take_rows
from kamu_assets.engines.session import between, quoted
from kamu_assets.engines.slices.listing import listing, schema_from_ipc
from kamu_assets.engines.sql.guard import plan_query
from kamu_assets.odf.timestamp import Timestamp

_OUTPUT: Final = "kamu output"


def run_transform(job: TransformJob) -> TransformResponse:
    """Execute a transform in this process."""
    return answer(_run, job)


def _run(job: TransformJob) -> TransformSuccess:
    with TemporaryDirectory(prefix="transform-") as folder:
        return _transform(job, Path(folder))


def _transform(job: TransformJob, folder: Path) -> TransformSuccess:
    request, context = job.request, engine_session(job.memory_bytes)
    names = {entry.query_alias for entry in request.query_inputs}
    for number, entry in enumerate(request.query_inputs):
        view = _input_view(context, entry, folder / f"{number}.parquet")
        context.register_view(quoted(entry.query_alias), view)
    output = plan_steps(context, request.transform, names)
    columns = OutputColumns.of(output_schema(context, output), request.vocab)
    context.register_view(quoted(_OUTPUT), output)
    normalized = plan_query(context, output_query(columns, quoted(_OUTPUT)))
    written = take_rows(job, columns, in_written_order(context, normalized))
    return replace(written, new_watermark=_watermark(request.query_inputs))


def _input_view(context: datafusion.SessionContext, entry: TransformRequestInput, empty: Path) -> datafusion.DataFrame:
    """The new rows of an input, under the schema of its oldest slice; without news, no rows of its schema."""
    if not entry.data_paths or entry.offset_interval is None:
        # A file, not a table in memory: plans are serialised, and those tables cannot be.
        pq.write_table(schema_from_ipc(entry.schema).empty_table(), empty)
        return listing(context, [str(empty)])
    oldest = context.read_parquet(entry.data_paths[0], file_extension="").schema()
    rows = listing(context, sorted(entry.data_paths, key=_file_name), schema=oldest)
    interval = entry.offset_interval
    return rows.filter(between(entry.vocab.offset_column, interval.start, interval.end))


def _watermark(inputs: tuple[TransformRequestInput, ...]) -> Timestamp | None:
    """The slowest of the inputs that moved. Upstream does not look at the previous watermark, so it can go back."""
    newest = [
        max(mark.event_time for mark in entry.explicit_watermarks) for entry in inputs if entry.explicit_watermarks
    ]
    return min(newest, default=None)


def _file_name(location: str) -> str:
    return location.rpartition("/")[2]
