"""The Parquet read step."""

import pyarrow as pa
import pyarrow.parquet as pq
from datafusion import DataFrame

from kamu_assets.coordinator.ingest.errors import BadInputError
from kamu_assets.coordinator.ingest.input_columns import check_width
from kamu_assets.coordinator.ingest.input_file import InputFile
from kamu_assets.coordinator.ingest.session import Bench, engine_failures


def read_parquet(bench: Bench, file: InputFile, declared: pa.Schema | None) -> DataFrame:
    """The rows, cast to the declared columns if there are any."""
    # DataFusion takes an empty file for an empty table; it is a file that was cut off before its first byte.
    if file.path.stat().st_size == 0:
        raise BadInputError(f"{file.name}: no Parquet: the file is empty")
    with engine_failures():
        check_width(pq.read_metadata(file.path).num_columns, file.name, bench.limits)
        return bench.session.read_parquet(str(file.path), file_extension="", schema=declared)
