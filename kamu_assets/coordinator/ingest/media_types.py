"""Media types of pushed data, and the reader each one means."""

from pathlib import PurePath

from kamu_assets.coordinator.ingest.errors import UnsupportedMediaTypeError
from kamu_assets.odf.source import (
    ReadStep,
    ReadStepCsv,
    ReadStepEsriShapefile,
    ReadStepGeoJson,
    ReadStepJson,
    ReadStepNdGeoJson,
    ReadStepNdJson,
    ReadStepParquet,
)

_READERS: dict[str, type[ReadStep]] = {
    "text/csv": ReadStepCsv,
    "application/json": ReadStepJson,
    "application/x-ndjson": ReadStepNdJson,
    "application/geo+json": ReadStepGeoJson,
    "application/x-ndgeojson": ReadStepNdGeoJson,
    "application/vnd.apache.parquet": ReadStepParquet,
    "application/vnd.esri.shapefile": ReadStepEsriShapefile,
}
_ENDINGS = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".ndjson": "application/x-ndjson",
    ".jsonl": "application/x-ndjson",
    ".geojson": "application/geo+json",
    ".ndgeojson": "application/x-ndgeojson",
    ".parquet": "application/vnd.apache.parquet",
}
MEDIA_TYPES = tuple(_READERS)


def media_type_of_file(name: str) -> str:
    """The media type that the ending of a file name stands for; UnsupportedMediaTypeError lists the endings."""
    ending = PurePath(name).suffix.lower()
    if ending not in _ENDINGS:
        raise UnsupportedMediaTypeError(f"{name}: unknown ending; known are {', '.join(_ENDINGS)}")
    return _ENDINGS[ending]


def reader_for(declared: ReadStep, media_type: str | None) -> ReadStep:
    """The source's own reader, or another one for its schema when the data is of another media type."""
    if media_type is None:
        return declared
    name, _, parameters = media_type.partition(";")
    reader = _READERS.get(name.strip().lower())
    if reader is None:
        raise UnsupportedMediaTypeError(f"unsupported media type {media_type!r}; accepted are {', '.join(MEDIA_TYPES)}")
    charset = parameters.lower().partition("charset=")[2].strip(' "')
    if charset not in ("", "utf-8", "utf8"):
        raise UnsupportedMediaTypeError(f"unsupported charset {charset!r}; data must be UTF-8")
    if isinstance(declared, reader):
        return declared
    if reader is ReadStepCsv:
        # Nobody said how this CSV is written: a header is what nearly all of it has.
        return ReadStepCsv(ddl_schema=declared.ddl_schema, schema_=declared.schema_, header=True)
    return reader(ddl_schema=declared.ddl_schema, schema_=declared.schema_)
