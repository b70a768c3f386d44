"""Read steps: from a file to rows (ODF: ReadStep). What an option may be is what the reference accepts."""

from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
from datafusion import DataFrame

from kamu_assets.coordinator.ingest.errors import (
    BadInputError,
    UnsupportedColumnTypeError,
    UnsupportedSchemaError,
)
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.push.gzipped import without_gzip
from kamu_assets.coordinator.ingest.read.csv_reader import read_csv
from kamu_assets.coordinator.ingest.read.csv_records import walk_csv
from kamu_assets.coordinator.ingest.read.input_columns import check_columns
from kamu_assets.coordinator.ingest.read.input_file import InputFile
from kamu_assets.coordinator.ingest.read.json_readers import LinesStep, as_lines, read_lines
from kamu_assets.coordinator.ingest.read.options import csv_dialect
from kamu_assets.coordinator.ingest.read.parquet_reader import read_parquet
from kamu_assets.coordinator.ingest.session import Bench
from kamu_assets.errors import InvalidError
from kamu_assets.odf.arrow_schema import to_arrow
from kamu_assets.odf.ddl import parse_ddl
from kamu_assets.odf.source import ReadStep, ReadStepCsv, ReadStepParquet


@dataclass(frozen=True, slots=True)
class ReadFrame:
    """What a read step made of a file."""

    frame: DataFrame
    # The file that was parsed; differs from the input where that was rewritten first.
    file: InputFile
    # Types the reader was told, if any.
    declared: pa.Schema | None


def read_input(bench: Bench, step: ReadStep, file: InputFile) -> ReadFrame | None:
    """Open a file as rows; None when it is empty and nothing says what its columns are."""
    declared = declared_schema(step)
    if declared is not None:
        _check_declared(declared, step, bench.limits)
    file = without_gzip(file, bench.scratch)
    match step:
        case ReadStepCsv():
            frame = read_csv(bench, step, file, declared)
        case ReadStepParquet():
            frame = read_parquet(bench, file, declared)
        case _:
            frame, file = _lines(bench, step, file, declared)
    if frame is None:
        return None
    check_columns(frame.schema().names, file.name, bench.limits)
    return ReadFrame(frame, file, declared)


def check_header(source: ReadFrame, step: ReadStep, limits: IngestLimits) -> None:
    """Refuse CSV whose first line does not name the declared columns: it may be the first record."""
    if not isinstance(step, ReadStepCsv) or source.declared is None:
        return
    name = source.file.name
    first = next(walk_csv(source.file.path, csv_dialect(step), name=name, limits=limits), None)
    if first is not None and list(first.fields) != source.declared.names:
        raise BadInputError(
            f"{name}, line {first.line}: expected the header `{','.join(source.declared.names)}`; "
            "if there is none, send the data as `text/csv; header=absent`"
        )


def declared_schema(step: ReadStep) -> pa.Schema | None:
    """The columns a read step demands, if it does."""
    schema = step.schema_
    try:
        if step.ddl_schema is not None:
            return _ddl_schema(tuple(step.ddl_schema))
        return None if schema is None else to_arrow(schema)
    except InvalidError as error:
        raise UnsupportedSchemaError(f"schema of the {step.kind} reader: {error}") from error


# Sources are pushed to again and again.
@lru_cache(maxsize=64)
def _ddl_schema(columns: tuple[str, ...]) -> pa.Schema:
    return to_arrow(parse_ddl(columns))


def _lines(
    bench: Bench, step: LinesStep, file: InputFile, declared: pa.Schema | None
) -> tuple[DataFrame | None, InputFile]:
    lines = as_lines(bench, step, file, declared=declared is not None)
    if declared is None and file.path.stat().st_size == 0:
        return None, file
    return read_lines(bench, lines, declared), lines


def _check_declared(schema: pa.Schema, step: ReadStep, limits: IngestLimits) -> None:
    check_columns(schema.names, f"schema of the {step.kind} reader", limits)
    if isinstance(step, ReadStepCsv):
        for field in schema:
            if not _csv_can_hold(field.type):
                raise UnsupportedColumnTypeError(f"column `{field.name}`: CSV cannot hold values of type {field.type}")


def _csv_can_hold(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or pa.types.is_duration(kind) or _is_binary(kind))


def _is_binary(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )
