"""Archives that hurt: shapefiles, and what a source unpacks."""

import gzip
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from kamu_assets.coordinator.ingest.errors import BadArchiveError, BadInputError, TooLargeError
from kamu_assets.odf.data import Int64Type, StringType
from kamu_assets.odf.source import CompressionFormat, ReadStepCsv, ReadStepEsriShapefile
from tests.support.poison import CITIES, MIB, Data, Poison, chunks, columns, content
from tests.support.shapefiles import layer, two_points, zipped
from tests.unit.coordinator.archives import a_zip_of_many

SHAPES = ReadStepEsriShapefile()
TYPED_SHAPES = ReadStepEsriShapefile(schema_=columns(NAME=StringType(), POP=Int64Type()))
CSV = ReadStepCsv(header=True, schema_=CITIES)
NULL_SHAPE = struct.pack(">iii", 1, 2, 0)


def _packed(size: int, *, head: bytes = b"", unit: bytes = b"\0" * MIB) -> Callable[[Path], None]:
    """Gzip of so many bytes."""

    def parts() -> Iterator[bytes]:
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        yield packer.compress(head)
        for _ in range(size // len(unit)):
            yield packer.compress(unit)
        yield packer.flush()

    return chunks(parts)


def _changed(files: Mapping[str, bytes], ending: str, place: int, new: bytes) -> bytes:
    old = files[f"layer.{ending}"]
    return zipped({**files, f"layer.{ending}": old[:place] + new + old[place + len(new) :]})


def _bomb(files: Mapping[str, bytes], records: int) -> bytes:
    """A layer of many empty records."""
    table = bytearray(files["layer.dbf"])
    size = int.from_bytes(table[10:12], "little")
    table[4:8] = struct.pack("<I", records)
    header = bytes(table[: int.from_bytes(table[8:10], "little")])
    return zipped(
        {"layer.dbf": header + b" " * size * records, "layer.shp": files["layer.shp"][:100] + NULL_SHAPE * records}
    )


def shapes(archive: Data, words: str, *, error: type[BadInputError | TooLargeError] = BadInputError) -> Poison:
    return Poison(SHAPES, content(archive), error, words)


def cases() -> Mapping[str, Poison]:
    """All of them; made only when somebody asks."""
    files = layer(two_points)
    outside = layer(two_points, stem="../../../../evil")
    gzipped = gzip.compress(b"city,population\na,1\n")
    return {
        "shapefile no archive": shapes(b"not a zip", "no zip archive"),
        "shapefile cut off": shapes(zipped(files)[:-30], "no zip archive"),
        "shapefile names that lead elsewhere": Poison(SHAPES, content(zipped(outside)), None, records=2),
        "shapefile lying length of a shape": shapes(
            _changed(files, "shp", 104, b"\x7f\xff\xff\xff"), "longer than", error=TooLargeError
        ),
        "shapefile negative length of a shape": shapes(_changed(files, "shp", 104, b"\xff\xff\xff\xf0"), "shape 1"),
        "shapefile lying length in its header": Poison(
            SHAPES, content(_changed(files, "shp", 24, b"\x7f\xff\xff\xff")), None, records=2
        ),
        "shapefile four billion records": shapes(_changed(files, "dbf", 4, b"\xff" * 4), "record 3 of 4294967295"),
        "shapefile lying header of columns": shapes(_changed(files, "dbf", 8, b"\xff\xff"), "middle of the header"),
        "shapefile two billion points": shapes(
            zipped(_polygon_that_claims(files, parts=1, points=2**31 - 1)), "points do not fit"
        ),
        "shapefile two billion parts": shapes(
            zipped(_polygon_that_claims(files, parts=2**31 - 1, points=4)), "parts do not fit"
        ),
        "shapefile minus one part": shapes(zipped(_polygon_that_claims(files, parts=-1, points=4)), "parts do not fit"),
        "shapefile of many empty records": Poison(
            TYPED_SHAPES, content(lambda: _bomb(files, 200_000)), None, records=200_000
        ),
        "shapefile bomb of zeros": shapes(
            lambda: zipped({"layer.shp": bytes(200 * MIB), "layer.dbf": files["layer.dbf"]}), "no shapefile"
        ),
        "shapefile in a million entries": shapes(
            lambda: a_zip_of_many(1_000_000), "the list of entries is longer", error=TooLargeError
        ),
        "zip of a million entries": Poison(
            CSV,
            content(lambda: a_zip_of_many(1_000_000)),
            TooLargeError,
            "ingest.max_archive_entries",
            unpack=CompressionFormat.ZIP,
        ),
        "gzip bomb": Poison(
            CSV, _packed(2_000 * MIB), TooLargeError, "unpacks to more", unpack=CompressionFormat.GZIP, heavy=True
        ),
        "gzip bomb of rows": Poison(
            CSV,
            _packed(400 * MIB, head=b"city,population\n", unit=b"a,1\n" * (MIB // 4)),
            TooLargeError,
            "unpacks to more",
            unpack=CompressionFormat.GZIP,
        ),
        "gzip cut off": Poison(CSV, content(gzipped[:-9]), BadArchiveError, "cut off", unpack=CompressionFormat.GZIP),
        "gzip with garbage behind": Poison(
            CSV, content(gzipped + b"garbage"), BadArchiveError, "not gzip", unpack=CompressionFormat.GZIP
        ),
        "zip bomb": Poison(
            CSV,
            content(lambda: zipped({"a.csv": bytes(100 * MIB), "../../b.csv": bytes(100 * MIB)})),
            TooLargeError,
            "unpacks to more",
            unpack=CompressionFormat.ZIP,
        ),
        "zip whose name leads elsewhere": Poison(
            CSV,
            content(zipped({"../../../evil.csv": b"city,population\na,1\n"})),
            None,
            records=1,
            unpack=CompressionFormat.ZIP,
        ),
    }


def _polygon_that_claims(files: Mapping[str, bytes], *, parts: int, points: int) -> Mapping[str, bytes]:
    body = struct.pack("<i4dii", 5, 0, 0, 1, 1, parts, points) + bytes(4 + 64)
    shape = struct.pack(">ii", 1, len(body) // 2) + body
    return {**files, "layer.shp": files["layer.shp"][:100] + shape}
