"""Geometries of a shapefile as GeoJSON, shape by shape (ESRI Shapefile Technical Description; RFC 7946).

Heights and measures are left out, lines and polygons are always multi-geometries: as kamu has it.
"""

import math
import struct
from collections.abc import Iterator, Sequence

from kamu_assets.coordinator.ingest.errors import BadInputError, IngestError, TooLargeError
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.read.json_floats import json_float
from kamu_assets.coordinator.ingest.read.shp_rings import Point, polygons
from kamu_assets.coordinator.ingest.read.zipped_layer import Part

_HEADER_BYTES = 100
_FILE_CODE = 9994
_RECORD = struct.Struct(">ii")
_NULL, _MULTI_PATCH = 0, 31
_POINTS, _LINES, _POLYGONS, _MULTI_POINTS = (1, 11, 21), (3, 13, 23), (5, 15, 25), (8, 18, 28)
# Shape type and bounding box stand before the counts.
_COUNTS_AT = 4 + 32


def geometries(part: Part, limits: IngestLimits) -> Iterator[str | None]:
    """The GeoJSON text of each shape; None where there is no geometry."""
    header = part.take(_HEADER_BYTES, "the header")
    if struct.unpack_from(">i", header)[0] != _FILE_CODE:
        raise BadInputError(f"{part.label}: no shapefile: it does not begin with {_FILE_CODE}")
    number = 0
    while head := part.up_to(_RECORD.size):
        number += 1
        if len(head) < _RECORD.size:
            raise BadInputError(f"{part.label}: the file ends in the middle of shape {number}")
        size = 2 * _RECORD.unpack(head)[1]
        if size > limits.max_record_bytes:
            raise TooLargeError(f"{part.label}: shape {number} is longer than {limits.max_record_bytes} bytes")
        content = part.take(max(size, 0), f"shape {number}")
        try:
            yield _geometry(content)
        except (struct.error, ValueError) as error:
            raise _bad_shape(part, number, error) from error


def _bad_shape(part: Part, number: int, error: Exception) -> IngestError:
    reason = "it is shorter than it says" if isinstance(error, struct.error) else str(error)
    return BadInputError(f"{part.label}: shape {number} cannot be read: {reason}")


def _geometry(content: bytes) -> str | None:
    (kind,) = struct.unpack_from("<i", content)
    if kind == _NULL:
        return None
    if kind in _POINTS:
        return _json("Point", _position(struct.unpack_from("<2d", content, 4)))
    if kind in _MULTI_POINTS:
        (count,) = struct.unpack_from("<i", content, _COUNTS_AT)
        return _json("MultiPoint", _line(_positions(content, _COUNTS_AT + 4, count)))
    if kind in _LINES:
        return _json("MultiLineString", _listed(_line(part) for part in _parts(content)))
    if kind in _POLYGONS:
        shapes = (_listed(_line(ring) for ring in rings) for rings in polygons(_parts(content)))
        return _json("MultiPolygon", _listed(shapes))
    raise ValueError(f"shapes of type {kind} are not supported" + (" (MultiPatch)" if kind == _MULTI_PATCH else ""))


def _parts(content: bytes) -> list[list[Point]]:
    count, total = struct.unpack_from("<ii", content, _COUNTS_AT)
    if not 0 <= count <= len(content) // 4:
        raise ValueError(f"{count} parts do not fit into it")
    starts = struct.unpack_from(f"<{count}i", content, _COUNTS_AT + 8)
    points = _positions(content, _COUNTS_AT + 8 + 4 * count, total)
    ends = (*starts[1:], total)
    if list(ends) != sorted(ends) or (starts and starts[0] != 0):
        raise ValueError("its parts are out of order")
    return [points[start:end] for start, end in zip(starts, ends, strict=True)]


def _positions(content: bytes, place: int, count: int) -> list[Point]:
    if not 0 <= count <= (len(content) - place) // 16:
        raise ValueError(f"{count} points do not fit into it")
    flat = struct.unpack_from(f"<{2 * count}d", content, place)
    return list(zip(flat[::2], flat[1::2], strict=True))


def _position(point: Sequence[float]) -> str:
    x, y = point
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError("a coordinate is not a finite number")
    return f"[{json_float(x)},{json_float(y)}]"


def _line(points: Sequence[Point]) -> str:
    return _listed(map(_position, points))


def _listed(parts: Iterator[str]) -> str:
    return f"[{','.join(parts)}]"


def _json(kind: str, coordinates: str) -> str:
    return f'{{"type":"{kind}","coordinates":{coordinates}}}'
