"""What another program says to have made, held against what is there."""

import threading

from kamu_assets.engines.engine import (
    EngineContractError,
    RawQueryRequest,
    RawQuerySuccess,
    TransformRequest,
    TransformSuccess,
)
from kamu_assets.engines.grpc.slice_stats import FoundSlice, SliceFile, read_foreign_slice
from kamu_assets.engines.workers.job_runner import JobRunner
from kamu_assets.odf import engine_messages


def transformed(
    request: TransformRequest,
    answer: engine_messages.TransformResponseSuccess,
    pool: JobRunner,
    *,
    cancel: threading.Event | None,
) -> TransformSuccess:
    """The new slice, whose file must hold the offsets that the engine names."""
    interval = answer.new_offset_interval
    if not request.new_data_path.exists():
        if interval is not None:
            raise EngineContractError("the engine names new records but wrote no data file")
        return TransformSuccess(None, answer.new_watermark)
    job = SliceFile(request.new_data_path, request.vocab, request.next_offset)
    found: FoundSlice = pool.run(read_foreign_slice, job, cancel=cancel)
    named = (None, None) if interval is None else (interval.start, interval.end)
    if named != (found.stats.first_offset, found.stats.last_offset):
        raise EngineContractError(
            f"the engine names the offsets {named}, its data file holds "
            f"{(found.stats.first_offset, found.stats.last_offset)}"
        )
    return TransformSuccess(interval, answer.new_watermark, found.stats, found.schema)


def queried(request: RawQueryRequest, answer: engine_messages.RawQueryResponseSuccess) -> RawQuerySuccess:
    """The result of a query, whose file must be there."""
    if not request.output_data_path.exists():
        raise EngineContractError("the engine did not write the result of its query")
    return RawQuerySuccess(answer.num_records)
