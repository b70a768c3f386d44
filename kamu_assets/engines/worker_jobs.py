"""What engines of ours have worker processes do. Importing this module loads no engine: a job loads what it needs."""

from kamu_assets.engines.engine import RawQueryResponse, TransformResponse
from kamu_assets.engines.job import RawQueryJob, TransformJob


def transform(job: TransformJob) -> TransformResponse:
    """By the engine named `datafusion`."""
    from kamu_assets.engines.datafusion.engine import run_transform

    return run_transform(job)


def transform_incrementally(job: TransformJob) -> TransformResponse:
    """By the engine that keeps what the next slice needs."""
    from kamu_assets.engines.incremental.engine import run_incremental

    return run_incremental(job)


def query_files(job: RawQueryJob) -> RawQueryResponse:
    """A query over files outside of any dataset."""
    from kamu_assets.engines.raw_query import run_raw_query

    return run_raw_query(job)
