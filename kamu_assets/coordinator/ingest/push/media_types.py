"""Media types of pushed data, and the reader each one means."""

from collections.abc import Mapping
from dataclasses import dataclass
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
GZIP_ENDING = ".gz"
GZIP_MAGIC = b"\x1f\x8b"
MEDIA_TYPES = tuple(_READERS)


def media_type_of_file(name: str) -> str:
    """The media type that the ending of a file name stands for; UnsupportedMediaTypeError lists the endings.

    A packed file is what its name without `.gz` stands for.
    """
    path = PurePath(name.lower())
    ending = (path.with_suffix("") if path.suffix == GZIP_ENDING else path).suffix
    if ending not in _ENDINGS:
        known = ", ".join(_ENDINGS)
        raise UnsupportedMediaTypeError(f"{name}: unknown ending; known are {known}, each also with {GZIP_ENDING}")
    return _ENDINGS[ending]


def reader_of_file(name: str) -> ReadStep:
    """The reader for a file, by the ending of its name; CSV has a header."""
    reader = _READERS[media_type_of_file(name)]
    return ReadStepCsv(header=True) if reader is ReadStepCsv else reader()


def is_packed(name: str, first: bytes) -> bool:
    """Whether both the name of a file and its first bytes say gzip."""
    return name.lower().endswith(GZIP_ENDING) and first.startswith(GZIP_MAGIC)


@dataclass(frozen=True, slots=True)
class PushReader:
    """How pushed data is read."""

    step: ReadStep
    # The sender only said "CSV": its first line must then be the names of the declared columns.
    checks_header: bool = False


def reader_for(declared: ReadStep, media_type: str | None) -> PushReader:
    """The source's own reader, or another one for its schema when the data is of another media type.

    CSV for a source of another kind has a header, or none if its media type says `header=absent` (RFC 4180).
    """
    if media_type is None:
        return PushReader(_told_by_header(declared))
    reader, parameters = _parse(media_type)
    if isinstance(declared, reader):
        return PushReader(_told_by_header(declared))
    read = reader(ddl_schema=declared.ddl_schema, schema_=declared.schema_)
    if not isinstance(read, ReadStepCsv):
        return PushReader(read)
    header = parameters.get("header", "present") == "present"
    return PushReader(read.model_copy(update={"header": header}), checks_header=header)


def _told_by_header(read: ReadStep) -> ReadStep:
    """Where a CSV source says nothing at all, not even which columns there are, only a header can tell."""
    if isinstance(read, ReadStepCsv) and read.header is None and read.ddl_schema is None and read.schema_ is None:
        return read.model_copy(update={"header": True})
    return read


def _parse(media_type: str) -> tuple[type[ReadStep], Mapping[str, str]]:
    name, *rest = (part.strip().lower() for part in media_type.split(";"))
    reader = _READERS.get(name)
    if reader is None:
        raise UnsupportedMediaTypeError(f"unsupported media type {media_type!r}; accepted are {', '.join(MEDIA_TYPES)}")
    parameters = {key.strip(): value.strip(' "') for key, _, value in (part.partition("=") for part in rest)}
    charset = parameters.get("charset", "utf-8")
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaTypeError(f"unsupported charset {charset!r}; data must be UTF-8")
    return reader, parameters
