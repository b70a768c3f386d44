"""The newest rows of small slices are read without an engine, and are those that the engine would give."""

from collections.abc import Sequence
from pathlib import Path
from unittest.mock import Mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kamu_assets.auth.model import ANONYMOUS
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.query import job
from kamu_assets.query.model import DataFormat
from kamu_assets.query.requests import AnswerShape, TailJob
from kamu_assets.query.tables import few_rows as reader
from kamu_assets.query.tables.few_rows import few_rows
from kamu_assets.query.tables.pack_plan import SliceFile
from kamu_assets.query.tables.specs import TableSpecs
from tests.unit.query.conftest import Reading

SCHEMA = pa.schema([("offset", pa.int64()), ("level", pa.int64())])
ROWS: list[dict[str, int | None]] = [{"offset": number, "level": number} for number in range(4, 8)]


def a_tail(reading: Reading, entry: DatasetEntry, first: int, last: int, data_format: DataFormat) -> TailJob:
    specs = TableSpecs(datasets=reading.heart.datasets, chains=reading.heart.chains, volumes=reading.heart.volumes)
    table = specs.part(entry, reading.heart.chains.state(entry.id), first=first, last=last)
    return TailJob(table, first, last, AnswerShape(0, 100, data_format, sort_keys=False, limit_bytes=10_000), 1 << 28)


@pytest.mark.parametrize("data_format", DataFormat)
@pytest.mark.parametrize(("first", "last"), [(0, 11), (2, 9), (5, 5), (11, 11)])
def test_rows_are_those_of_the_engine(
    reading: Reading, monkeypatch: pytest.MonkeyPatch, first: int, last: int, data_format: DataFormat
) -> None:
    entry = reading.stations("log", 3, 1, 4)
    reading.write(entry, [(1, "s3", 3), (2, None, 4), (3, "ü", None), (0, "", 2**60)])
    asked = a_tail(reading, entry, first, last, data_format)

    found = job.answer_tail(asked)
    monkeypatch.setattr(job, "few_rows", lambda *_, **__: None)

    assert found == job.answer_tail(asked)
    assert found.num_records == last - first + 1


def test_no_engine_is_asked_for_few_rows(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = a_tail(reading, reading.stations("log", 3, 4), 1, 5, DataFormat.JSON_AOS)
    monkeypatch.setattr(job, "frame_of", None)

    assert job.answer_tail(asked).num_records == len(range(1, 6))


def a_slice(folder: Path, rows: Sequence[dict[str, int | None]] = ROWS, schema: pa.Schema = SCHEMA) -> SliceFile:
    path = folder / "slice"
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)
    return SliceFile(str(path), path.stat().st_size, len(ROWS))


def read(each: SliceFile, first: int = 5, last: int = 6) -> pa.Table | None:
    return few_rows([each], SCHEMA, offset_column="offset", first=first, last=last)


def test_rows_are_cut_out_of_a_slice(tmp_path: Path) -> None:
    rows = read(a_slice(tmp_path))

    assert rows is not None
    assert rows.to_pylist() == ROWS[1:3]


def test_a_slice_is_read_once_as_long_as_its_file_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, opened = a_slice(tmp_path), Mock(side_effect=pq.ParquetFile)
    monkeypatch.setattr(pq, "ParquetFile", opened)

    assert read(there) == read(there)
    assert opened.call_count == 1
    a_slice(tmp_path, ROWS[::-1])
    assert read(there) is None
    assert opened.call_count == 1 + 1
    Path(there.location).unlink()
    assert read(there) is None


def test_what_is_kept_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_KEPT_BYTES", 3 * 4 * 16)
    kept, rows = reader._Kept(), pa.Table.from_pylist(ROWS, schema=SCHEMA)
    for number in range(5):
        kept.put((f"file {number}", 0, 0), rows)
        kept.get(("file 0", 0, 0))

    assert [number for number in range(5) if kept.get((f"file {number}", 0, 0)) is not None] == [0, 3, 4]


@pytest.mark.parametrize(
    "rows",
    [
        ROWS[::-1],
        ROWS[:3],
        [*ROWS, {"offset": 8, "level": 8}],
        [{**row, "offset": 6 + number} for number, row in enumerate(ROWS)],
        [*ROWS[:2], {"offset": None, "level": 6}, ROWS[3]],
        [{"offset": None, "level": 6}, *ROWS[1:]],
    ],
    ids=["backwards", "too few", "too many", "others", "nameless", "nameless first"],
)
def test_rows_that_are_not_as_promised_are_left_to_the_engine(
    tmp_path: Path, rows: Sequence[dict[str, int | None]]
) -> None:
    assert read(a_slice(tmp_path, rows)) is None


@pytest.mark.parametrize(
    "schema",
    [
        pa.schema([("offset", pa.int64()), ("level", pa.int32())]),
        pa.schema([("level", pa.int64()), ("offset", pa.int64())]),
        pa.schema([("offset", pa.int64())]),
        pa.schema([("offset", pa.int64()), pa.field("level", pa.int64(), nullable=False)]),
    ],
    ids=["type", "order", "missing", "never null"],
)
def test_other_columns_are_left_to_the_engine(tmp_path: Path, schema: pa.Schema) -> None:
    assert read(a_slice(tmp_path, schema=schema)) is None


def test_what_is_damaged_lost_or_elsewhere_is_left_to_the_engine(tmp_path: Path) -> None:
    there = a_slice(tmp_path)
    (tmp_path / "damaged").write_bytes(b"PAR1 no more")

    for place in (tmp_path / "damaged", tmp_path / "lost", "s3://bucket/slice"):
        assert read(there._replace(location=str(place))) is None
    assert few_rows([], SCHEMA, offset_column="offset", first=0, last=0) is None


def test_what_is_large_is_left_to_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = a_slice(tmp_path)

    assert read(there._replace(size=5 << 20)) is None
    monkeypatch.setattr(reader, "_MOST_ROWS", len(ROWS) - 1)
    assert read(there) is None


def test_a_slice_of_other_columns_is_read_all_the_same(reading: Reading) -> None:
    entry = reading.stations("log", 3)
    (piece,) = reading.heart.datasets.stored_slices(entry)
    rows = pq.read_table(piece.location)
    narrow = rows.schema.get_field_index("level")
    pq.write_table(rows.set_column(narrow, "level", rows["level"].cast(pa.int32())), piece.location)

    answer = reading.service.tail(ANONYMOUS, DatasetAlias.parse("kamu/log"))

    assert [row["level"] for row in answer.rows()] == [0, 1, 2]
