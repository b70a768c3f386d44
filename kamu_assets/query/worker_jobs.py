"""What queries have worker processes do. Importing this module loads no engine: a job loads what it needs."""

from kamu_assets.query.exports.model import ExportJob, ExportResult
from kamu_assets.query.requests import JobAnswer, QueryJob, TailJob


def run_query(job: QueryJob) -> JobAnswer:
    """Plan and run a query."""
    from kamu_assets.query.job import answer_query

    return answer_query(job)


def run_tail(job: TailJob) -> JobAnswer:
    """Read the newest rows of a dataset."""
    from kamu_assets.query.job import answer_tail

    return answer_tail(job)


def run_export(job: ExportJob) -> ExportResult:
    """Write the rows of a query to files."""
    from kamu_assets.query.exports.job import write_export

    return write_export(job)
