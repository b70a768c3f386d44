"""Zipped shapefiles as lines of JSON: attributes, and the geometry as GeoJSON text."""

import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Final

from kamu_assets.coordinator.ingest.errors import BadInputError, DuplicateColumnError, TooLargeError
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.read.dbf_records import DbfRecords
from kamu_assets.coordinator.ingest.read.geojson import GEOMETRY
from kamu_assets.coordinator.ingest.read.shp_geometries import geometries
from kamu_assets.coordinator.ingest.read.zipped_layer import Layer, open_layer

_END: Final = object()


def shapefile_to_ndjson(
    path: Path, sub_path: str | None, *, exact: bool, target: Path, name: str, limits: IngestLimits
) -> None:
    """Write the records of a layer as lines; with `exact`, numbers keep all their digits."""
    written = 0
    with open_layer(path, sub_path, name=name, limits=limits) as layer, target.open("w", encoding="ascii") as file:
        records = DbfRecords(layer.records, encoding=layer.encoding, exact=exact, limits=limits)
        if GEOMETRY in records.names:
            raise DuplicateColumnError(
                f"{layer.records.label}: a column is named `{GEOMETRY}`, like the column of geometries"
            )
        for line in _lines(layer, records, limits):
            written += file.write(line)
            if written > limits.max_unpacked_bytes:
                raise TooLargeError(f"{name}: its records are longer than {limits.max_unpacked_bytes} bytes as lines")


def _lines(layer: Layer, records: DbfRecords, limits: IngestLimits) -> Iterator[str]:
    pairs = zip_longest(geometries(layer.shapes, limits), records, fillvalue=_END)
    for number, (geometry, members) in enumerate(pairs, start=1):
        if geometry is _END or members is _END:
            shorter, longer = layer.shapes.label, layer.records.label
            if members is _END:
                shorter, longer = longer, shorter
            raise BadInputError(f"{shorter}: ends after {number - 1} records, but {longer} goes on")
        if members is not None:
            column = "null" if geometry is None else json.dumps(geometry)
            yield f'{{"{GEOMETRY}":{column}{"," if members else ""}{members}}}\n'
