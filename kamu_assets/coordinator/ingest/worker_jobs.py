"""What ingest has worker processes do. Importing this module loads no engine: a job loads what it needs."""

from kamu_assets.coordinator.ingest.guesses import GuessedSource, GuessRequest
from kamu_assets.coordinator.ingest.slice_request import RowsRequest, SliceRequest, SliceResult


def write_slice(request: SliceRequest) -> SliceResult:
    """Make a slice of all inputs that can be taken, in their order; with a single input, its refusal is raised."""
    from kamu_assets.coordinator.ingest.slice_job import make_slice

    return make_slice(request)


def write_rows(request: RowsRequest) -> bool:
    """Read an input and write its rows as a Parquet file; False when there is nothing to read."""
    from kamu_assets.coordinator.ingest.rows_job import make_rows

    return make_rows(request)


def guess(request: GuessRequest) -> GuessedSource:
    """Guess how a sample is to be read."""
    from kamu_assets.coordinator.ingest.guess_job import guess_source

    return guess_source(request)
