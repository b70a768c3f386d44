"""GeoJSON as lines of JSON: the properties of a feature and its geometry as text (RFC 7946)."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kamu_assets.coordinator.ingest.errors import BadInputError, DuplicateColumnError
from kamu_assets.coordinator.ingest.explain.guilty_record import shown
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.read.json_floats import json_float
from kamu_assets.coordinator.ingest.read.json_scanner import DECODER, JsonText, JsonValue
from kamu_assets.coordinator.ingest.read.json_text import json_text, one_line

GEOMETRY = "geometry"
_PROPERTIES = '"properties"'
_COLON_AND_BLANKS = ": \t\r\n"
_LOOKS = {
    "Parquet": re.compile("PAR1"),
    "Json": re.compile(r"\["),
    "Csv": re.compile(r"[^<>{}\[\]]*[,;\t]"),
}
_FLOAT_OR_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"|-?\d+(?:\.\d+)?e[+-]?\d+')


def collection_to_ndjson(path: Path, *, target: Path, name: str, limits: IngestLimits) -> None:
    """Write the features of one collection as lines."""
    with json_text(path, name=name, limits=limits) as text, target.open("w", encoding="utf-8", newline="") as file:
        for line in _collection(_Features(text, name, limits)):
            file.write(line)
        text.end()


def features_to_ndjson(path: Path, *, target: Path, name: str, limits: IngestLimits) -> None:
    """Write features that follow one another as lines."""
    with json_text(path, name=name, limits=limits) as text, target.open("w", encoding="utf-8", newline="") as file:
        features = _Features(text, name, limits)
        while text.peek():
            _check_opening(features, "Feature")
            file.write(features.next())


def _collection(features: "_Features") -> Iterator[str]:
    text, name = features.text, features.name
    _check_opening(features, "FeatureCollection")
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
    limits: IngestLimits
    count: int = 0

    def next(self) -> str:
        """The next one as a line."""
        self.count += 1
        found = self.text.value()
        where = f"{self.name}, line {found.line}, feature {self.count}"
        if not isinstance(found.value, dict):
            raise BadInputError(f"{where}: expected an object of type Feature, found {shown(found.text)}")
        _check_type(found.value.get("type"), "Feature", where)
        return self._flattened(found, where)

    def _flattened(self, feature: JsonValue, where: str) -> str:
        properties, geometry = feature.value.get("properties"), feature.value.get(GEOMETRY)
        if not isinstance(properties, dict):
            said = shown(json.dumps(properties)) if "properties" in feature.value else "nothing"
            raise BadInputError(
                f"{where}: `properties` must be an object, found {said}: they are the columns; "
                "`{}` says there are none"
            )
        if GEOMETRY not in feature.value:
            raise BadInputError(f"{where}: `geometry` is missing; a feature without a place has `null` there")
        if not (geometry is None or isinstance(geometry, dict)):
            raise BadInputError(f"{where}: `geometry` must be an object or null")
        if GEOMETRY in properties:
            raise DuplicateColumnError(f"{where}: a property is named `{GEOMETRY}`, like the column of geometries")
        text = one_line(self._text_of_properties(feature))
        return f'{{"{GEOMETRY}":{_as_column(geometry, where)}{"," if properties else ""}{text[1:]}\n'

    def _text_of_properties(self, feature: JsonValue) -> str:
        """As it stands in the file: printing it again could cost digits."""
        *_, last = feature.text.split(_PROPERTIES)
        start = len(last) - len(last.lstrip(_COLON_AND_BLANKS))
        try:
            found, end = DECODER.raw_decode(last, start)
        except ValueError:
            found, end = None, 0
        if found == feature.value["properties"]:
            return last[start:end]
        # The word stands in other places, too.
        return self._looked_up(feature)

    def _looked_up(self, feature: JsonValue) -> str:
        text, found = JsonText(io.StringIO(feature.text), name=self.name, limits=self.limits), ""
        for key in text.members():
            value = text.value().text
            found = value if key == "properties" else found
        return found


def _check_opening(features: "_Features", wanted: str) -> None:
    """Tell what a file looks like that is something else from its first character on."""
    if features.text.peek() in ("{", ""):
        return
    line = features.text.ahead()
    looks = next((reader for reader, pattern in _LOOKS.items() if pattern.match(line)), None)
    advice = f"; the reader for what looks like it is {looks}" if looks else ""
    where = f"{features.name}, line {features.text.line}"
    raise BadInputError(f"{where}: expected an object of type {wanted}, found {shown(line)}{advice}")


def _check_type(found: object, wanted: str, where: str) -> None:
    if found != wanted:
        other = {"Feature": "NdGeoJson", "FeatureCollection": "GeoJson"}.get(str(found))
        advice = f"; the reader for it is {other}" if other else ""
        raise BadInputError(f"{where}: expected type {wanted}, found {json.dumps(found)[:80]}{advice}")


def _as_column(geometry: dict[str, Any] | None, where: str) -> str:
    if geometry is None:
        return "null"
    try:
        text = json.dumps(geometry, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise BadInputError(f"{where}: a number in `geometry` is too large") from error
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
