"""Read steps that end as lines of JSON: JSON itself, GeoJSON and shapefiles."""

import pyarrow as pa
from datafusion import DataFrame

from kamu_assets.coordinator.ingest.errors import BadInputError
from kamu_assets.coordinator.ingest.explain.json_values import explain_json
from kamu_assets.coordinator.ingest.read.batches import fit_batches
from kamu_assets.coordinator.ingest.read.geojson import collection_to_ndjson, features_to_ndjson
from kamu_assets.coordinator.ingest.read.input_file import InputFile
from kamu_assets.coordinator.ingest.read.json_inference import shape_of
from kamu_assets.coordinator.ingest.read.json_text import array_to_ndjson, without_bom
from kamu_assets.coordinator.ingest.read.options import check_json_options
from kamu_assets.coordinator.ingest.read.shapefile import shapefile_to_ndjson
from kamu_assets.coordinator.ingest.read.text_gate import check_ndjson, check_text
from kamu_assets.coordinator.ingest.session import Bench, EngineFailureError, engine_failures
from kamu_assets.odf.source import (
    ReadStepEsriShapefile,
    ReadStepGeoJson,
    ReadStepJson,
    ReadStepNdGeoJson,
    ReadStepNdJson,
)

LinesStep = ReadStepJson | ReadStepNdJson | ReadStepGeoJson | ReadStepNdGeoJson | ReadStepEsriShapefile


def as_lines(bench: Bench, step: LinesStep, file: InputFile, *, declared: bool) -> InputFile:
    """The file as lines of JSON, rewritten if need be; refuses what no parser should see."""
    limits, name = bench.limits, file.name
    if isinstance(step, ReadStepNdJson):
        check_json_options(step)
        path = without_bom(file.path, bench.scratch)
        check_ndjson(path, name=name, limits=limits)
        return InputFile(path, name)
    target = bench.scratch / "records.ndjson"
    match step:
        case ReadStepJson():
            check_json_options(step)
            check_text(file.path, name=name)
            array_to_ndjson(file.path, step.sub_path, target=target, name=name, limits=limits)
            return InputFile(target, name, "record")
        case ReadStepGeoJson():
            check_text(file.path, name=name)
            collection_to_ndjson(file.path, target=target, name=name, limits=limits)
            return InputFile(target, name, "feature")
        case ReadStepNdGeoJson():
            check_text(file.path, name=name)
            features_to_ndjson(file.path, target=target, name=name, limits=limits)
            return InputFile(target, name, "feature")
        case ReadStepEsriShapefile():
            shapefile_to_ndjson(file.path, step.sub_path, exact=declared, target=target, name=name, limits=limits)
            return InputFile(target, name, "record")


def read_lines(bench: Bench, lines: InputFile, declared: pa.Schema | None) -> DataFrame:
    """Lines of JSON as rows."""
    schema = declared
    if schema is None:
        shape = shape_of(lines.path, name=lines.name, limits=bench.limits)
        schema = shape.ordered(_guessed_schema(bench, lines))
    fit_batches(bench, lines.path)
    with engine_failures():
        return bench.session.read_json(str(lines.path), schema=schema, file_extension="")


def _guessed_schema(bench: Bench, lines: InputFile) -> pa.Schema:
    records = bench.limits.inference_records
    try:
        with engine_failures():
            guess = bench.session.read_json(str(lines.path), schema_infer_max_records=records, file_extension="")
            return guess.schema()
    except EngineFailureError as error:
        explain_json(bench, lines, schema=None)
        raise BadInputError(
            f"{lines.name}: columns cannot be inferred from the first {records} records ({error}); "
            "declare a schema in the read step"
        ) from error
