"""GeoJSON as lines: properties and the geometry as text, printed as the reference prints it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kamu_assets.coordinator.ingest.errors import DuplicateColumnError, IngestError
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.read.geojson import collection_to_ndjson, features_to_ndjson
from kamu_assets.coordinator.ingest.read.json_floats import json_float

POINT = '"geometry": {"type": "Point", "coordinates": [1.50, -2]}'


def collection(document: str, folder: Path) -> list[Any]:
    return _read(collection_to_ndjson, document, folder)


def features(document: str, folder: Path) -> list[Any]:
    return _read(features_to_ndjson, document, folder)


def _read(read: Callable[..., None], document: str, folder: Path) -> list[Any]:
    (folder / "in").write_text(document)
    read(folder / "in", target=folder / "out", name="in", limits=IngestLimits())
    return [json.loads(line) for line in (folder / "out").read_text().splitlines()]


def feature(properties: str = "{}", geometry: str = POINT) -> str:
    return f'{{"type": "Feature", "id": 7, "properties": {properties}, {geometry}}}'


def test_properties_become_columns_and_the_geometry_text(tmp_path: Path) -> None:
    first, second = feature('{"name": "p",\n "size": 1.10}'), feature()
    document = f'{{"bbox": [1], "features": [{first}, {second}], "type": "FeatureCollection"}}'

    found = collection(document, tmp_path)

    geometry = '{"coordinates":[1.5,-2],"type":"Point"}'
    assert found == [{"geometry": geometry, "name": "p", "size": 1.1}, {"geometry": geometry}]


def test_digits_of_properties_are_not_touched(tmp_path: Path) -> None:
    features(feature('{"price": 1.10000000000000000001}'), tmp_path)

    assert '"price": 1.10000000000000000001' in (tmp_path / "out").read_text()


@pytest.mark.parametrize(
    "document",
    [
        '{"properties": {"n": 1.10, "properties": {"n": 2}}, "type": "Feature", "geometry": null}',
        '{"x": {"properties": {"n": 3}}, "type": "Feature", "geometry": null, "properties": {"n": 1.10}}',
        '{"type": "Feature", "geometry": null, "properties": {"n": 1.10}, "x": {"properties": {"n": 3}}}',
        '{"type": "Feature", "geometry": null, "propert\\u0069es": {"n": 1.10}, "x": "\\"properties\\": {}"}',
        '{"type": "Feature", "geometry": null, "properties": {"n": 2}, "properties": {"n": 1.10}}',
    ],
)
def test_properties_are_found_wherever_the_word_stands(document: str, tmp_path: Path) -> None:
    features(document, tmp_path)

    assert '"n": 1.10' in (tmp_path / "out").read_text()


def test_a_feature_without_a_place_has_none(tmp_path: Path) -> None:
    assert features(feature(geometry='"geometry": null'), tmp_path) == [{"geometry": None}]


def test_features_may_span_lines(tmp_path: Path) -> None:
    spread = feature().replace(",", ",\n")

    assert len(features(f"{feature()}\n\n{spread}", tmp_path)) == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.5, "1.5"),
        (100.0, "100.0"),
        (1e-5, "0.00001"),
        (-1.25e-5, "-0.0000125"),
        (1e-6, "1e-6"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e16"),
        (1.25e300, "1.25e300"),
        (-0.0, "-0.0"),
    ],
)
def test_floats_are_printed_as_by_the_reference(value: float, text: str, tmp_path: Path) -> None:
    point = f'"geometry": {{"type": "Point e-7", "coordinates": [{value!r}]}}'

    (found,) = features(feature(geometry=point), tmp_path)

    assert json_float(value) == text
    assert found["geometry"] == f'{{"coordinates":[{text}],"type":"Point e-7"}}'


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (feature(), 'expected type FeatureCollection, found "Feature"; the reader for it is NdGeoJson'),
        ('{"type": "FeatureCollection"}', "has no member `features`"),
        ('{"type": "FeatureCollection", "features": {}}', "line 1: expected an array of features"),
        ('{"type": "FeatureCollection", "features": [], "features": []}', "a second member `features`"),
        ("[]", "expected an object of type FeatureCollection"),
        ('{"type": "FeatureCollection", "features": [\n1]}', "line 2, feature 1: expected an object of type Feature"),
        (f'{{"features": [{feature()}, {feature("null")}]}}', "feature 2: `properties` must be an object"),
        (f'{{"features": [{feature()}', "the file ends in the middle"),
    ],
)
def test_collections_are_refused_precisely(document: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(IngestError) as refusal:
        collection(document, tmp_path)

    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ('{"type": "FeatureCollection"}', 'feature 1: expected type Feature, found "FeatureCollection"'),
        (f'{feature()}\n{{"type": "Feature", "properties": {{}}}}', "line 2, feature 2: `geometry` is missing"),
        (feature(geometry='"geometry": 7'), "`geometry` must be an object or null"),
        (feature(geometry='"geometry": {"type": "\\ud800"}'), "half of a surrogate pair"),
        (feature(geometry='"geometry": {"type": "Point", "coordinates": [1e999, 2]}'), "a number in `geometry` is too"),
        (feature(geometry='"geometry": {"type": "Point", "coordinates": [NaN]}'), "NaN is not a number"),
    ],
)
def test_features_are_refused_precisely(document: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(IngestError) as refusal:
        features(document, tmp_path)

    assert words in str(refusal.value)


def test_a_property_must_not_hide_the_geometry(tmp_path: Path) -> None:
    with pytest.raises(DuplicateColumnError, match="a property is named `geometry`"):
        features(feature('{"geometry": 1}'), tmp_path)


@pytest.mark.parametrize("read", [collection, features])
@pytest.mark.parametrize(
    ("document", "found"),
    [
        ("city,n\nA,1\n", 'found "city,n"; the reader for what looks like it is Csv'),
        ("2024-01-01;5\r\n2024-01-02;6", 'found "2024-01-01;5"; the reader for what looks like it is Csv'),
        ('\n"city","n"\n', 'found ""city","n""; the reader for what looks like it is Csv'),
        ("[{}, {}]", 'found "[{}, {}]"; the reader for what looks like it is Json'),
        ("PAR1...", 'found "PAR1..."; the reader for what looks like it is Parquet'),
        ("<html>", 'found "<html>"'),
        ("null", 'found "null"'),
    ],
)
def test_something_else_is_told_by_what_it_looks_like(
    tmp_path: Path, read: Callable[[str, Path], list[Any]], document: str, found: str
) -> None:
    with pytest.raises(IngestError) as refused:
        read(document, tmp_path)

    wanted = "FeatureCollection" if read is collection else "Feature"
    line = 1 + len(document) - len(document.lstrip())
    assert str(refused.value) == f"in, line {line}: expected an object of type {wanted}, {found}"


@pytest.mark.parametrize(
    ("properties", "found"), [('"properties": null, ', '"null"'), ("", "nothing"), ('"properties": [1], ', '"[1]"')]
)
def test_features_without_an_object_of_properties_are_refused_as_upstream_does(
    tmp_path: Path, properties: str, found: str
) -> None:
    """RFC 7946 allows null there, kamu does not (`neg-geojson-null-properties`): what to write instead is told."""
    with pytest.raises(IngestError, match="`properties` must be an object") as refused:
        features(f'{{"type": "Feature", {properties}{POINT}}}', tmp_path)

    assert f"found {found}: they are the columns; `{{}}` says there are none" in str(refused.value)
    assert features(f'{{"type": "Feature", "properties": {{}}, {POINT}}}', tmp_path)
