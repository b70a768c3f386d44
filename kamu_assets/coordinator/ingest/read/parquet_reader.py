"""The Parquet read step."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from datafusion import DataFrame, col

from kamu_assets.coordinator.ingest.errors import BadInputError, TooLargeError
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.read.input_columns import check_width
from kamu_assets.coordinator.ingest.read.input_file import InputFile
from kamu_assets.coordinator.ingest.session import Bench, EngineFailureError, engine_failures, quoted, stream


def read_parquet(bench: Bench, file: InputFile, declared: pa.Schema | None) -> DataFrame:
    """The rows, cast to the declared columns if there are any."""
    # DataFusion takes an empty file for an empty table; it is a file that was cut off before its first byte.
    if file.path.stat().st_size == 0:
        raise BadInputError(f"{file.name}: no Parquet: the file is empty")
    with engine_failures():
        footer = pq.read_metadata(file.path)
        _check_footer(footer, file.name, bench.limits)
        _check_rows(bench, footer, file)
        return bench.session.read_parquet(str(file.path), file_extension="", schema=declared)


def _check_footer(footer: pq.FileMetaData, name: str, limits: IngestLimits) -> None:
    """Refuse what a reader would believe although it contradicts itself."""
    check_width(footer.num_columns, name, limits)
    columns = [footer.schema.column(place) for place in range(footer.num_columns)]
    deepest = max((column.path.count(".") + 1 for column in columns), default=0)
    if deepest > limits.max_nesting:
        raise TooLargeError(f"{name}: nested deeper than {limits.max_nesting} levels")
    flat = [place for place, column in enumerate(columns) if column.max_repetition_level == 0]
    rows = 0
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        reason = _lie(group, footer.num_columns, flat)
        if reason is not None:
            raise BadInputError(f"{name}, row group {number + 1}: no Parquet: {reason}")
        rows += group.num_rows
    if rows != footer.num_rows:
        raise BadInputError(f"{name}: no Parquet: it says it has {footer.num_rows} rows, its row groups have {rows}")


def _lie(group: pq.RowGroupMetaData, columns: int, flat: Sequence[int]) -> str | None:
    if group.num_columns != columns:
        return f"{group.num_columns} of {columns} columns"
    if group.num_rows < 0:
        return f"{group.num_rows} rows"
    for place in flat:
        column = group.column(place)
        if column.num_values != group.num_rows:
            return f"column `{column.path_in_schema}` has {column.num_values} values for {group.num_rows} rows"
    return None


def _check_rows(bench: Bench, footer: pq.FileMetaData, file: InputFile) -> None:
    """Count the values of the smallest column: where its pages end too early, the reader simply stops."""
    column = _smallest_column(footer)
    if column is None:
        return
    frame = bench.session.read_parquet(str(file.path), file_extension="").select(col(quoted(column)))
    rows = 0
    try:
        for batch in stream(frame):
            rows += len(batch)
    except EngineFailureError:
        # Whoever reads all columns will tell better what is wrong.
        return
    if rows != footer.num_rows:
        raise BadInputError(
            f"{file.name}, column `{column}`: no Parquet: the file says it has {footer.num_rows} rows, there are {rows}"
        )


def _smallest_column(footer: pq.FileMetaData) -> str | None:
    sizes = [0] * footer.num_columns
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        sizes = [size + group.column(place).total_compressed_size for place, size in enumerate(sizes)]
    columns = [footer.schema.column(place) for place in range(footer.num_columns)]
    # Those inside of others have longer paths.
    plain = [(size, column.name) for size, column in zip(sizes, columns, strict=True) if column.path == column.name]
    return min(plain)[1] if plain and footer.num_rows else None
