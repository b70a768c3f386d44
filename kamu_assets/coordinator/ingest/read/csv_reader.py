"""The Csv read step."""

import pyarrow as pa
from datafusion import CsvReadOptions, DataFrame

from kamu_assets.coordinator.ingest.explain.csv_values import explain_csv
from kamu_assets.coordinator.ingest.explain.guilty_record import general_error
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.read.batches import fit_batches
from kamu_assets.coordinator.ingest.read.csv_header import names_each_once, with_header
from kamu_assets.coordinator.ingest.read.csv_inference import column_names, with_zeros_kept
from kamu_assets.coordinator.ingest.read.csv_records import CsvDialect, walk_csv
from kamu_assets.coordinator.ingest.read.input_columns import check_columns
from kamu_assets.coordinator.ingest.read.input_file import InputFile
from kamu_assets.coordinator.ingest.read.options import csv_dialect
from kamu_assets.coordinator.ingest.read.text_gate import check_csv
from kamu_assets.coordinator.ingest.session import Bench, EngineFailureError, engine_failures
from kamu_assets.odf.source import ReadStepCsv


def read_csv(bench: Bench, step: ReadStepCsv, file: InputFile, declared: pa.Schema | None) -> DataFrame | None:
    """The rows; None when there are none and nothing says what the columns are."""
    dialect = csv_dialect(step)
    check_csv(file.path, dialect, name=file.name, limits=bench.limits)
    schema = declared
    if schema is None:
        schema = _told_by_file(bench, step, file, dialect)
        if schema is None:
            return None
    fit_batches(bench, file.path)
    return _open(bench, step, file, dialect, schema)


def _told_by_file(bench: Bench, step: ReadStepCsv, file: InputFile, dialect: CsvDialect) -> pa.Schema | None:
    """Columns by the header, or by the length of the first record; text unless types are to be guessed."""
    first = next(walk_csv(file.path, dialect, name=file.name, limits=bench.limits), None)
    if first is None:
        return None
    names = column_names(first.fields if step.header else [""] * len(first.fields))
    check_columns(names, file.name, bench.limits)
    texts = pa.schema([pa.field(name, pa.string()) for name in names])
    if not step.infer_schema:
        return texts
    told = file
    if step.header and not names_each_once(first.fields):
        # The engine would take columns of one name, or of none, for one column.
        told = with_header(file, dialect, names, copy=bench.scratch / "renamed", limits=bench.limits)
    guess = _guessed(bench, step, told, dialect, texts)
    named = pa.schema([field.with_name(name) for field, name in zip(guess, names, strict=True)])
    return with_zeros_kept(named, file, dialect, header=bool(step.header), limits=bench.limits)


def _guessed(bench: Bench, step: ReadStepCsv, file: InputFile, dialect: CsvDialect, texts: pa.Schema) -> pa.Schema:
    try:
        with engine_failures():
            options = _options(step, dialect, None, bench.limits)
            return bench.session.read_csv(str(file.path), options=options).schema()
    except EngineFailureError as error:
        explain_csv(bench, file.path, dialect, name=file.name, header=bool(step.header), schema=texts)
        raise general_error(file.name, str(error)) from error


def _open(bench: Bench, step: ReadStepCsv, file: InputFile, dialect: CsvDialect, schema: pa.Schema) -> DataFrame:
    with engine_failures():
        return bench.session.read_csv(str(file.path), options=_options(step, dialect, schema, bench.limits))


def _options(step: ReadStepCsv, dialect: CsvDialect, schema: pa.Schema | None, limits: IngestLimits) -> CsvReadOptions:
    """How DataFusion is to read it."""
    return CsvReadOptions(
        has_header=bool(step.header),
        delimiter=dialect.separator,
        quote=dialect.quote,
        escape=dialect.escape,
        newlines_in_values=True,
        schema=schema,
        schema_infer_max_records=limits.inference_records if step.infer_schema else 0,
        file_extension="",
    )
