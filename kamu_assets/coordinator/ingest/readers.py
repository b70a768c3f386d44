"""Read steps: from a file to rows (ODF: ReadStep). What an option may be is what the reference accepts."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datafusion import DataFrame

from kamu_assets.coordinator.ingest.csv_records import walk_csv
from kamu_assets.coordinator.ingest.errors import (
    BadInputError,
    DuplicateColumnError,
    TooLargeError,
    UnsupportedColumnTypeError,
    UnsupportedSchemaError,
)
from kamu_assets.coordinator.ingest.input_file import InputFile
from kamu_assets.coordinator.ingest.json_readers import LinesStep, as_lines, read_lines
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.reader_options import csv_dialect, csv_options
from kamu_assets.coordinator.ingest.session import Bench, engine_failures
from kamu_assets.coordinator.ingest.text_gate import check_csv
from kamu_assets.errors import InvalidError
from kamu_assets.odf.arrow_schema import to_arrow
from kamu_assets.odf.data import DataSchema
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
    match step:
        case ReadStepCsv():
            frame = _csv(bench, step, file, declared)
        case ReadStepParquet():
            frame = _parquet(bench, file, declared)
        case _:
            frame, file = _lines(bench, step, file, declared)
    if frame is None:
        return None
    _check_columns(frame.schema().names, file, bench.limits)
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
    schema: DataSchema | None = step.schema_
    try:
        if step.ddl_schema is not None:
            schema = parse_ddl(step.ddl_schema)
        return None if schema is None else to_arrow(schema)
    except InvalidError as error:
        raise UnsupportedSchemaError(f"schema of the {step.kind} reader: {error}") from error


def _csv(bench: Bench, step: ReadStepCsv, file: InputFile, declared: pa.Schema | None) -> DataFrame | None:
    dialect, limits = csv_dialect(step), bench.limits
    check_csv(file.path, dialect, name=file.name, limits=limits)
    if declared is None:
        first = next(walk_csv(file.path, dialect, name=file.name, limits=limits), None)
        if first is None:
            return None
        _check_columns(first.fields if step.header else [str(n) for n in range(len(first.fields))], file, limits)
    with engine_failures():
        return bench.session.read_csv(str(file.path), options=csv_options(step, dialect, declared, limits))


def _lines(
    bench: Bench, step: LinesStep, file: InputFile, declared: pa.Schema | None
) -> tuple[DataFrame | None, InputFile]:
    lines = as_lines(bench, step, file, declared=declared is not None)
    if declared is None and file.path.stat().st_size == 0:
        return None, file
    return read_lines(bench, lines, declared), lines


def _parquet(bench: Bench, file: InputFile, declared: pa.Schema | None) -> DataFrame:
    # DataFusion takes an empty file for an empty table; it is a file that was cut off before its first byte.
    if file.path.stat().st_size == 0:
        raise BadInputError(f"{file.name}: no Parquet: the file is empty")
    with engine_failures():
        _check_width(pq.read_metadata(file.path).num_columns, file, bench.limits)
        return bench.session.read_parquet(str(file.path), file_extension="", schema=declared)


def _check_declared(schema: pa.Schema, step: ReadStep, limits: IngestLimits) -> None:
    _check_columns(schema.names, InputFile(Path(), f"schema of the {step.kind} reader"), limits)
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


def _check_columns(names: "list[str] | tuple[str, ...]", file: InputFile, limits: IngestLimits) -> None:
    _check_width(len(names), file, limits)
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DuplicateColumnError(f"{file.name}: two columns are named `{name}`")
        seen.add(name)


def _check_width(columns: int, file: InputFile, limits: IngestLimits) -> None:
    if columns > limits.max_columns:
        raise TooLargeError(f"{file.name}: {columns} columns, more than {limits.max_columns}")
