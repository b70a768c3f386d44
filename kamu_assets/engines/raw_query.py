"""A query over files outside of any dataset: the same for every engine of ours, as it has no state."""

from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from kamu_assets.engines.answering import answer
from kamu_assets.engines.datafusion.query_steps import engine_session, in_written_order, output_schema, plan_steps
from kamu_assets.engines.engine import RawQueryResponse, RawQuerySuccess
from kamu_assets.engines.job import RawQueryJob
from kamu_assets.engines.slices.listing import listing

_INPUT: Final = "input"


def run_raw_query(job: RawQueryJob) -> RawQueryResponse:
    """Execute a raw query in this process."""
    return answer(_run, job)


def _run(job: RawQueryJob) -> RawQuerySuccess:
    request, context = job.request, engine_session(job.memory_bytes)
    context.register_view(_INPUT, listing(context, sorted(request.input_data_paths)))
    output = plan_steps(context, request.transform, {_INPUT})
    rows, schema = 0, output_schema(context, output)
    with pq.ParquetWriter(request.output_data_path, schema) as writer:
        for batch in in_written_order(context, output):
            writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            rows += batch.num_rows
    return RawQuerySuccess(rows)
