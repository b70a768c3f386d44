"""Why a CSV file could not be read: line, column, value and expected type."""

import csv
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
from datafusion import CsvReadOptions

from kamu_assets.coordinator.ingest.errors import BadInputError
from kamu_assets.coordinator.ingest.explain.guilty_record import CHUNK, column_error, first_failing
from kamu_assets.coordinator.ingest.read.csv_records import CsvDialect, CsvRecord, walk_csv
from kamu_assets.coordinator.ingest.session import Bench, EngineFailureError, stream


def explain_csv(bench: Bench, path: Path, dialect: CsvDialect, *, name: str, header: bool, schema: pa.Schema) -> None:
    """Raise the error of the first record that cannot be read; return if there is none."""
    records = walk_csv(path, dialect, name=name, limits=bench.limits)
    if header:
        next(records, None)
    while chunk := list(islice(_checked(records, len(schema), name), CHUNK)):
        guilty = first_failing(chunk, lambda part: _failure(bench, part, schema) is not None)
        if guilty is not None:
            _explain_record(bench, chunk[guilty], schema, name)


def _checked(records: Iterator[CsvRecord], expected: int, name: str) -> Iterator[CsvRecord]:
    for record in records:
        if len(record.fields) != expected:
            found = len(record.fields)
            raise BadInputError(f"{name}, line {record.line}: expected {expected} fields, found {found}")
        yield record


def _explain_record(bench: Bench, record: CsvRecord, schema: pa.Schema, name: str) -> None:
    where = f"{name}, line {record.line}"
    for field, value in zip(schema, record.fields, strict=True):
        reason = _failure(bench, [CsvRecord(1, (value,))], pa.schema([field]))
        if reason is not None:
            raise column_error(where, field, value, reason)


def _failure(bench: Bench, records: Sequence[CsvRecord], schema: pa.Schema) -> str | None:
    """What the reader says to these records alone."""
    path = bench.scratch / "suspects.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(record.fields for record in records)
    options = CsvReadOptions(has_header=False, schema=schema, newlines_in_values=True, file_extension="")
    try:
        for _ in stream(bench.session.read_csv(str(path), options=options)):
            pass
    except EngineFailureError as error:
        return str(error)
    return None
