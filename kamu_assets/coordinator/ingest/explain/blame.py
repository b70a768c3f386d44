"""Who is to blame when rows cannot be read: the input alone, or what was made of it."""

from kamu_assets.coordinator.ingest.explain.csv_values import explain_csv
from kamu_assets.coordinator.ingest.explain.guilty_record import general_error
from kamu_assets.coordinator.ingest.explain.json_values import explain_json
from kamu_assets.coordinator.ingest.explain.parquet_values import explain_parquet
from kamu_assets.coordinator.ingest.read.options import csv_dialect
from kamu_assets.coordinator.ingest.read.steps import ReadFrame
from kamu_assets.coordinator.ingest.session import Bench, EngineFailureError, stream
from kamu_assets.odf.source import ReadStep, ReadStepCsv, ReadStepParquet


def blame_input(bench: Bench, source: ReadFrame, step: ReadStep) -> None:
    """Raise if the input alone, before any query, is what cannot be read."""
    file, schema = source.file, source.frame.schema()
    match step:
        case ReadStepCsv():
            dialect, header = csv_dialect(step), bool(step.header)
            explain_csv(bench, file.path, dialect, name=file.name, header=header, schema=schema)
        case ReadStepParquet():
            explain_parquet(bench, file.path, name=file.name, schema=schema)
            _read_alone(source)
        case _:
            explain_json(bench, file, schema=schema)


def _read_alone(source: ReadFrame) -> None:
    try:
        for _ in stream(source.frame):
            pass
    except EngineFailureError as error:
        raise general_error(source.file.name, str(error)) from error
