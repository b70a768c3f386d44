"""GeoJSON as lines of JSON: the properties of a feature and its geometry as text (RFC 7946)."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kamu_assets.coordinator.ingest.errors import BadInputError, DuplicateColumnError
from kamu_assets.coordinator.ingest.json_floats import json_float
from kamu_assets.coordinator.ingest.json_scanner import JsonText, JsonValue
from kamu_assets.coordinator.ingest.json_text import json_text, one_line
from kamu_assets.coordinator.ingest.limits import IngestLimits

GEOMETRY = "geometry"
_FLOAT_OR_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"|-?\d+(?:\.\d+)?e[+-]?\d+')


def collection_to_ndjson(path: Path, *, target: Path, name: str, limits: IngestLimits) -> None:
    """Write the features of one collection as lines."""
    with json_text(path, name=name, limits=limits) as text, target.open("w", encoding="utf-8", newline="") as file:
        for line in _collection(_Features(text, name)):
            file.write(line)
        text.end()


def features_to_ndjson(path: Path, *, target: Path, name: str, limits: IngestLimits) -> None:
    """Write features that follow one another as lines."""
    with json_text(path, name=name, limits=limits) as text, target.open("w", encoding="utf-8", newline="") as file:
        features = _Features(text, name)
        while text.peek():
            file.write(features.next())


def _collection(features: "_Features") -> Iterator[str]:
    text, name = features.text, features.name
    if text.peek() != "{":
        text.skip()
        raise BadInputError(f"{name}: expected a FeatureCollection; a GeoJSON document is an object")
    kind, seen = None, False
    for key in text.members():
        if key == "features":
            if seen:
                raise BadInputError(f"{name}, line {text.line}: a second member `features`")
            if text.peek() != "[":
                raise BadInputError(f"{name}, line {text.line}: expected an array of features")
            seen = True
            for _ in text.elements():
                yield features.next()
        elif key == "type":
            kind = text.value().value
        else:
            text.skip()
    _check_type(kind, "FeatureCollection", name)
    if not seen:
        raise BadInputError(f"{name}: the FeatureCollection has no member `features`")


@dataclass
class _Features:
    """Reads feature after feature."""

    text: JsonText
    name: str
    count: int = 0

    def next(self) -> str:
        """The next one as a line."""
        self.count += 1
        self.text.peek()
        where = f"{self.name}, line {self.text.line}, feature {self.count}"
        if self.text.peek() != "{":
            self.text.skip()
            raise BadInputError(f"{where}: expected an object of type Feature")
        parts: dict[str, JsonValue] = {}
        for key in self.text.members():
            if key in ("type", "properties", GEOMETRY):
                parts[key] = self.text.value()
            else:
                self.text.skip()
        _check_type(parts["type"].value if "type" in parts else None, "Feature", where)
        return _flattened(parts, where)


def _check_type(found: object, wanted: str, where: str) -> None:
    if found != wanted:
        other = {"Feature": "NdGeoJson", "FeatureCollection": "GeoJson"}.get(str(found))
        advice = f"; the reader for it is {other}" if other else ""
        raise BadInputError(f"{where}: expected type {wanted}, found {json.dumps(found)[:80]}{advice}")


def _flattened(parts: dict[str, JsonValue], where: str) -> str:
    properties = parts.get("properties")
    if properties is None or not isinstance(properties.value, dict):
        raise BadInputError(f"{where}: `properties` must be an object: they are the columns")
    if GEOMETRY not in parts:
        raise BadInputError(f"{where}: `geometry` is missing; a feature without a place has `null` there")
    geometry = parts[GEOMETRY].value
    if not (geometry is None or isinstance(geometry, dict)):
        raise BadInputError(f"{where}: `geometry` must be an object or null")
    if GEOMETRY in properties.value:
        raise DuplicateColumnError(f"{where}: a property is named `{GEOMETRY}`, like the column of geometries")
    column = f'{{"{GEOMETRY}":{_as_column(geometry, where)}'
    return f"{column}{',' if properties.value else ''}{one_line(properties.text)[1:]}\n"


def _as_column(geometry: dict[str, Any] | None, where: str) -> str:
    if geometry is None:
        return "null"
    text = json.dumps(geometry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if not text.isascii():
        _check_unicode(text, where)
    if "e" in text:
        text = _FLOAT_OR_STRING.sub(_upstream_float, text)
    return json.dumps(text, ensure_ascii=False)


def _upstream_float(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else json_float(float(found[0]))


def _check_unicode(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInputError(f"{where}: half of a surrogate pair in `geometry`") from error
