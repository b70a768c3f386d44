"""Readers of large documents in workers with so little memory that no document could be parsed as a whole."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from kamu_assets.engines.workers.limits import WorkerLimits
from kamu_assets.engines.workers.pool import WorkerPool
from kamu_assets.odf.data import Int64Type, StringType
from kamu_assets.odf.source import (
    ReadStep,
    ReadStepCsv,
    ReadStepEsriShapefile,
    ReadStepGeoJson,
    ReadStepJson,
    ReadStepNdGeoJson,
    ReadStepNdJson,
)
from tests.support.coordination import a_coordinator
from tests.support.heart import Heart, open_heart
from tests.support.pushed import PushedRoot, columns
from tests.support.shapefiles import Writer, layer

MIB = 1 << 20
TEXT = "x" * 500
ROW = json.dumps({"n": 7, "s": TEXT})
FEATURE = json.dumps({"type": "Feature", "properties": {"n": 7, "s": TEXT}, "geometry": {"type": "Point"}})
SHORT, LONG = 450_000, 1_500_000


class Large(NamedTuple):
    """How a document is read, and what it is made of."""

    read: ReadStep
    head: str
    row: str
    between: str
    tail: str


SCHEMA = columns(n=Int64Type(), s=StringType())
CASES = {
    # CS-06
    "Csv": Large(ReadStepCsv(header=True), "n,s\n", f"7,{TEXT}", "\n", ""),
    "Csv with guessed types": Large(ReadStepCsv(header=True, infer_schema=True), "n,s\n", f"7,{TEXT}", "\n", ""),
    "NdJson": Large(ReadStepNdJson(), "", ROW, "\n", ""),
    "Json": Large(ReadStepJson(), "[", ROW, ",", "]"),
    "Json below a path": Large(ReadStepJson(sub_path="a.b"), '{"x": [1], "a": {"b": [', ROW, ",", "]}}"),
    "Json beside a path": Large(ReadStepJson(sub_path="a"), '{"x": [', ROW, ",", '], "a": [{"n": 7}]}'),
    "GeoJson": Large(ReadStepGeoJson(), '{"features": [', FEATURE, ",", '], "type": "FeatureCollection"}'),
    "NdGeoJson": Large(ReadStepNdGeoJson(), "", FEATURE, "\n", ""),
}


def write(case: Large, path: Path, rows: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(case.head)
        for _ in range(rows // 1_000 - 1):
            file.write((case.row + case.between) * 1_000)
        file.write((case.row + case.between) * 999 + case.row + case.tail)


class Push:
    """Pushes files through workers with so much memory."""

    def __init__(self, heart: Heart, home: Path) -> None:
        self._heart = heart
        self._home = home

    def __call__(self, read: ReadStep, path: Path, *, memory: int = 400) -> int | None:
        limits = WorkerLimits(memory_bytes=memory * MIB, time_seconds=250)
        pool = WorkerPool(name="engine", size=1, limits=limits)
        try:
            coordinator = a_coordinator(self._heart, base=self._home, pool=pool)
            return PushedRoot.create(self._heart, coordinator, read).push(path).records
        finally:
            pool.close()


@pytest.fixture
def push(tmp_path: Path) -> Iterator[Push]:
    heart = open_heart(tmp_path)
    yield Push(heart, tmp_path)
    heart.database.close()


SAMPLE = ("Csv with guessed types", "Json below a path", "GeoJson")
LENGTHS = [(name, SHORT) for name in SAMPLE]
LONG_ONES = [pytest.param(name, LONG, marks=pytest.mark.faults) for name in CASES]


@pytest.mark.parametrize(("name", "rows"), [*LENGTHS, *LONG_ONES])
def test_memory_does_not_depend_on_the_length(name: str, rows: int, push: Push, tmp_path: Path) -> None:
    write(CASES[name], tmp_path / "large", rows)

    assert (tmp_path / "large").stat().st_size > 210 * MIB
    assert push(CASES[name].read, tmp_path / "large") == (1 if name == "Json beside a path" else rows)


def test_memory_does_not_depend_on_the_length_of_a_layer(push: Push, tmp_path: Path) -> None:
    def draw(writer: Writer) -> None:
        writer.field("s", "C", 250)
        writer.point(1.5, 2.5)
        writer.record("x" * 250)

    count = 1_000_000
    files = layer(draw)
    table, shapes = files["layer.dbf"], files["layer.shp"]
    header = int.from_bytes(table[8:10], "little")
    with zipfile.ZipFile(tmp_path / "large", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("layer.dbf", "w") as entry:
            entry.write(table[:4] + count.to_bytes(4, "little") + table[8:header])
            for _ in range(1_000):
                entry.write(table[header : header + 251] * 1_000)
        with archive.open("layer.shp", "w") as entry:
            entry.write(shapes[:100])
            for _ in range(1_000):
                entry.write(shapes[100:128] * 1_000)

    assert push(ReadStepEsriShapefile(), tmp_path / "large") == count


@pytest.mark.parametrize("read", [ReadStepCsv(header=True), ReadStepNdJson()], ids=["Csv", "NdJson"])
def test_long_records_are_read_in_smaller_batches(read: ReadStep, push: Push, tmp_path: Path) -> None:
    text, count = "x" * 1_000_000, 400
    case = Large(read, "n,s\n", f"7,{text}", "\n", "")
    if isinstance(read, ReadStepNdJson):
        case = Large(read, "", json.dumps({"n": 7, "s": text}), "\n", "")
    with (tmp_path / "large").open("w", encoding="utf-8") as file:
        file.write(case.head)
        file.writelines([case.row + case.between] * count)

    assert push(read, tmp_path / "large", memory=800) == count
