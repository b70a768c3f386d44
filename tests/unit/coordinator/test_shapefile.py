"""Zipped shapefiles as lines; pyshp draws them, and says what is in them."""

import io
import json
import struct
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from kamu_assets.coordinator.ingest.errors import (
    BadInputError,
    DuplicateColumnError,
    IngestError,
    TooLargeError,
    TypeMismatchError,
    UnsupportedColumnTypeError,
)
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.read.shapefile import shapefile_to_ndjson
from tests.support.shapefiles import Writer, layer, two_points, zipped

CLOCKWISE = [(0.0, 0.0), (0.0, 9.0), (9.0, 9.0), (9.0, 0.0), (0.0, 0.0)]
HOLE = [(1.0, 1.0), (2.0, 1.0), (2.0, 2.0), (1.0, 1.0)]
FAR = [(20.0, 0.0), (20.0, 1.0), (21.0, 1.0), (20.0, 0.0)]


def rows(
    archive: bytes,
    folder: Path,
    sub_path: str | None = None,
    *,
    exact: bool = False,
    limits: IngestLimits | None = None,
) -> list[dict[str, Any]]:
    (folder / "in").write_bytes(archive)
    target = folder / "out"
    limits = limits or IngestLimits()
    shapefile_to_ndjson(folder / "in", sub_path, exact=exact, target=target, name="in", limits=limits)
    return [json.loads(line) for line in target.read_text().splitlines()]


def geometry_of(draw: Any, folder: Path) -> Any:
    def with_a_record(writer: Writer) -> None:
        writer.field("A", "C", 1)
        draw(writer)
        writer.record("a")

    (row,) = rows(zipped(layer(with_a_record)), folder)
    return row["geometry"] and json.loads(row["geometry"])


def test_attributes_are_read_by_their_types(tmp_path: Path) -> None:
    def draw(writer: Writer) -> None:
        writer.field("TEXT", "C", 10)
        writer.field("INT", "N", 10, 0)
        writer.field("DEC", "N", 12, 3)
        writer.field("FLOAT", "F", 12, 3)
        writer.field("DAY", "D")
        writer.field("OK", "L")
        writer.null()
        writer.record("ä", 7, 1.5, -2.25, date(2024, 1, 5), True)
        writer.null()
        writer.record("", None, None, None, None, None)

    first, second = rows(zipped(layer(draw)), tmp_path)

    assert first == {
        "geometry": None, "TEXT": "ä", "INT": 7.0, "DEC": 1.5, "FLOAT": -2.25, "DAY": "2024-1-5", "OK": True,
    }  # fmt: skip
    assert set(second.values()) == {None}


def test_declared_numbers_keep_their_digits(tmp_path: Path) -> None:
    archive = zipped(layer(two_points))

    assert rows(archive, tmp_path, exact=True)[0]["POP"] == 123_456_789_012_345_678
    # Without a schema all numbers are floats, as recorded of kamu.
    assert rows(archive, tmp_path)[0]["POP"] == 1.2345678901234568e17


@pytest.mark.parametrize(
    ("draw", "kind", "coordinates"),
    [
        (lambda w: w.point(1.5, -2), "Point", [1.5, -2.0]),
        (lambda w: w.pointz(1, 2, 3), "Point", [1.0, 2.0]),
        (lambda w: w.multipoint([(1, 2), (3, 4)]), "MultiPoint", [[1.0, 2.0], [3.0, 4.0]]),
        (lambda w: w.line([[(1, 2), (3, 4)]]), "MultiLineString", [[[1.0, 2.0], [3.0, 4.0]]]),
        (lambda w: w.linez([[(1, 2, 5), (3, 4, 6)]]), "MultiLineString", [[[1.0, 2.0], [3.0, 4.0]]]),
    ],
)
def test_points_and_lines(draw: Any, kind: str, coordinates: Any, tmp_path: Path) -> None:
    assert geometry_of(draw, tmp_path) == {"type": kind, "coordinates": coordinates}


@pytest.mark.parametrize(
    ("rings", "polygons"),
    [
        ([CLOCKWISE], [[CLOCKWISE]]),
        ([CLOCKWISE, HOLE], [[CLOCKWISE, HOLE]]),
        ([CLOCKWISE, HOLE, FAR], [[CLOCKWISE, HOLE], [FAR]]),
        # A hole need not follow its ring.
        ([CLOCKWISE, FAR, HOLE], [[CLOCKWISE, HOLE], [FAR]]),
        ([HOLE, CLOCKWISE], [[CLOCKWISE, HOLE]]),
        # Drawn the wrong way round.
        ([CLOCKWISE[::-1]], [[CLOCKWISE[::-1]]]),
    ],
)
def test_polygons_with_holes(rings: list[Any], polygons: list[Any], tmp_path: Path) -> None:
    found = geometry_of(lambda writer: writer.poly(rings), tmp_path)

    assert found["type"] == "MultiPolygon"
    assert [[[tuple(point) for point in ring] for ring in polygon] for polygon in found["coordinates"]] == polygons


@pytest.mark.parametrize(
    ("sub_path", "words"),
    [
        (None, "holds 2 layers; choose one with `subPath`: x/a.shp, y/b.SHP"),
        ("z/*", "no layer that matches subPath `z/*`"),
        ("*", "holds 2 layers"),
    ],
)
def test_a_layer_must_be_chosen(sub_path: str | None, words: str, tmp_path: Path) -> None:
    other = {name.upper(): content for name, content in layer(two_points, stem="b").items()}
    files = layer(two_points, stem="x/a") | {f"y/b.{name[2:]}": content for name, content in other.items()}

    with pytest.raises(BadInputError) as refusal:
        rows(zipped(files), tmp_path, sub_path)

    assert words in str(refusal.value)


@pytest.mark.parametrize("sub_path", ["x/a.shp", "x/*", "?/a.shp", "**/a.shp"])
def test_sub_paths_may_be_patterns(sub_path: str, tmp_path: Path) -> None:
    files = layer(two_points, stem="x/a") | layer(two_points, stem="y/b")

    assert len(rows(zipped(files), tmp_path, sub_path)) == 2


def test_what_a_mac_adds_is_no_layer(tmp_path: Path) -> None:
    files = layer(two_points) | {"__MACOSX/._layer.shp": b"x", "._other.shp": b"x"}

    assert len(rows(zipped(files), tmp_path)) == 2


@pytest.mark.parametrize(
    ("said", "encoding"), [(b"1252", "cp1252"), (b"UTF-8\r\n", "utf-8"), (b"ISO 8859-1", "latin-1")]
)
def test_the_encoding_is_the_one_of_the_cpg_file(said: bytes, encoding: str, tmp_path: Path) -> None:
    def draw(writer: Writer) -> None:
        writer.field("NAME", "C", 20)
        writer.null()
        writer.record("Zürich")

    files = layer(draw, encoding=encoding) | {"layer.cpg": said}

    assert rows(zipped(files), tmp_path)[0]["NAME"] == "Zürich"


def test_text_in_another_encoding_is_told_with_its_place(tmp_path: Path) -> None:
    def draw(writer: Writer) -> None:
        writer.field("NAME", "C", 20)
        writer.null()
        writer.record("Zürich")

    with pytest.raises(
        BadInputError, match=r"layer.dbf, record 1, column `NAME`: byte 0xfc is not utf-8; name .* .cpg"
    ):
        rows(zipped(layer(draw, encoding="latin-1")), tmp_path)


def test_deleted_records_are_left_out_with_their_shapes(tmp_path: Path) -> None:
    files = layer(two_points)
    table = bytearray(files["layer.dbf"])
    table[int.from_bytes(table[8:10], "little")] = ord("*")

    assert [row["NAME"] for row in rows(zipped(files | {"layer.dbf": bytes(table)}), tmp_path)] == ["Beta"]


def changed(files: dict[str, bytes], ending: str, place: int, content: bytes) -> dict[str, bytes]:
    old = files[f"layer.{ending}"]
    return files | {f"layer.{ending}": old[:place] + content + old[place + len(content) :]}


def without(files: dict[str, bytes], ending: str) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if not name.endswith(ending)}


LAYER = layer(two_points)
FIRST_RECORD = int.from_bytes(LAYER["layer.dbf"][8:10], "little")


@pytest.mark.parametrize(
    ("files", "error", "words"),
    [
        (without(LAYER, ".shp"), BadInputError, "holds no .shp file"),
        (without(LAYER, ".dbf"), BadInputError, "there is no .dbf beside it"),
        (changed(LAYER, "shp", 0, b"\0\0\0\0"), BadInputError, "layer.shp: no shapefile"),
        (
            LAYER | {"layer.shp": LAYER["layer.shp"][:-5]},
            BadInputError,
            "layer.shp: the file ends in the middle of shape 2",
        ),
        (LAYER | {"layer.shp": LAYER["layer.shp"][:104]}, BadInputError, "ends in the middle of shape 1"),
        (changed(LAYER, "shp", 104, b"\x7f\xff\xff\xff"), TooLargeError, "shape 1 is longer than"),
        (changed(LAYER, "shp", 104, b"\xff\xff\xff\xff"), BadInputError, "shape 1 cannot be read"),
        (changed(LAYER, "shp", 108, b"\x1f\0\0\0"), BadInputError, "MultiPatch"),
        (changed(LAYER, "shp", 112, b"\xff" * 8), BadInputError, "not a finite number"),
        (changed(LAYER, "dbf", 4, b"\xff\xff\xff\xff"), BadInputError, "in the middle of record 3 of 4294967295"),
        (changed(LAYER, "dbf", 4, b"\1\0\0\0"), BadInputError, "layer.dbf: ends after 1 records"),
        (changed(LAYER, "dbf", 10, b"\5\0"), BadInputError, "longer than a record of 5 bytes"),
        (changed(LAYER, "dbf", 8, b"\xff\xff"), BadInputError, "in the middle of the header"),
        (changed(LAYER, "dbf", 43, b"M"), UnsupportedColumnTypeError, "column `NAME`: dBASE type 'M'"),
        (changed(LAYER, "dbf", 32, b"POP\0"), DuplicateColumnError, "two columns are named `POP`"),
        (changed(LAYER, "dbf", 32, b"geometry"), DuplicateColumnError, "a column is named `geometry`"),
        (
            changed(LAYER, "dbf", FIRST_RECORD + 21, b"1.250,00"),
            TypeMismatchError,
            'layer.dbf, record 1, column `POP`: "1.250,00',
        ),
    ],
)
def test_broken_layers_are_refused_precisely(
    files: dict[str, bytes], error: type[IngestError], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error) as refusal:
        rows(zipped(files), tmp_path)

    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (b"", "no zip archive"),
        (b"PK\x05\x06" + bytes(18), "holds no .shp file"),
        (zipped(LAYER)[:-40], "no zip archive"),
    ],
)
def test_what_is_no_archive_is_refused(archive: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=words):
        rows(archive, tmp_path)


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    packed = io.BytesIO(zipped(LAYER))
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("layer.dbf", b"")

    with pytest.raises(BadInputError, match="two entries of this name"):
        rows(packed.getvalue(), tmp_path)


def test_a_damaged_entry_is_refused(tmp_path: Path) -> None:
    archive = bytearray(zipped(LAYER))
    archive[archive.index(b"layer.shp") + 12] ^= 0xFF

    with pytest.raises(BadInputError, match=r"in, layer\.shp: cannot be unpacked|layer\.shp: no shapefile"):
        rows(bytes(archive), tmp_path)


def test_a_layer_that_unpacks_to_too_much_is_stopped_at_the_limit(tmp_path: Path) -> None:
    endless = changed(LAYER, "dbf", 4, struct.pack("<I", 1_000_000))
    endless["layer.dbf"] += b" " * 10_000_000
    shapes = endless["layer.shp"][:100] + struct.pack(">iii", 1, 2, 0) * 1_000_000

    with pytest.raises(TooLargeError, match="longer than 1000000 bytes"):
        rows(zipped(endless | {"layer.shp": shapes}), tmp_path, limits=IngestLimits(max_unpacked_bytes=1_000_000))


def test_a_list_of_a_million_entries_is_not_read(tmp_path: Path) -> None:
    archive = bytearray(zipped(LAYER))
    end = archive.rindex(b"PK\x05\x06")
    archive[end + 12 : end + 16] = struct.pack("<I", 100 << 20)

    with pytest.raises(TooLargeError, match="the list of entries"):
        rows(bytes(archive), tmp_path)
