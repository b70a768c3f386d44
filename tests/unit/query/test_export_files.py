"""Rows as files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kamu_assets.query.exports.files import ExportFiles
from kamu_assets.query.exports.model import ExportFormat

SCHEMA = pa.schema(
    [
        ("n", pa.int64()),
        ("text", pa.string_view()),
        ("x", pa.float64()),
        ("at", pa.timestamp("ms", "UTC")),
        ("price", pa.decimal128(10, 2)),
        ("yes", pa.bool_()),
        ("list", pa.list_(pa.string_view())),
    ]
)
ROWS: list[tuple[Any, ...]] = [
    (1, 'a,"b"\nc', 0.5, 1_700_000_000_123, Decimal("1.50"), True, ["x", None]),
    (2, "", float("nan"), None, None, False, []),
    (None, None, None, 0, Decimal(0), None, None),
]


def batch(rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    columns = [pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def numbers(count: int, *, size: int) -> Iterator[pa.RecordBatch]:
    for start in range(0, count, size):
        yield pa.record_batch({"n": pa.array(range(start, min(start + size, count)))})


def export(folder: Path, file_format: ExportFormat) -> Path:
    (file,) = ExportFiles(SCHEMA, folder, file_format=file_format).write_all([batch(ROWS)])
    assert file.records == 3
    assert file.size == (folder / file.name).stat().st_size
    return folder / file.name


def test_csv_has_a_header_and_texts_as_other_answers_have_them(tmp_path: Path) -> None:
    path = export(tmp_path, ExportFormat.CSV)

    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["n", "text", "x", "at", "price", "yes", "list"],
        ["1", 'a,"b"\nc', "0.5", "2023-11-14T22:13:20.123Z", "1.50", "true", '["x", null]'],
        ["2", "", "NaN", "", "", "false", "[]"],
        ["", "", "", "1970-01-01T00:00:00Z", "0.00", "", ""],
    ]


def test_lines_of_json_hold_no_number_that_is_none(tmp_path: Path) -> None:
    path = export(tmp_path, ExportFormat.NDJSON)

    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["x"] for row in rows] == [0.5, None, None]
    assert rows[0]["text"] == 'a,"b"\nc'
    assert list(rows[0]) == SCHEMA.names


def test_parquet_keeps_types_that_every_reader_knows(tmp_path: Path) -> None:
    path = export(tmp_path, ExportFormat.PARQUET)

    table = pq.read_table(path)
    assert table.schema.field("text").type == pa.string()
    assert table.schema.field("list").type.value_type == pa.string()
    assert table.schema.field("at").type == SCHEMA.field("at").type
    assert table["price"].to_pylist() == [Decimal("1.50"), None, Decimal("0.00")]


@pytest.mark.parametrize("file_format", ExportFormat)
def test_files_have_exactly_their_records(tmp_path: Path, file_format: ExportFormat) -> None:
    schema = pa.schema([("n", pa.int64())])
    files = ExportFiles(schema, tmp_path, file_format=file_format, records_per_file=40)

    told: list[int] = []
    written = files.write_all(numbers(100, size=33), on_rows=told.append)

    assert [(file.name, file.records) for file in written] == [
        (f"part-0000{number}.{file_format}", records) for number, records in enumerate((40, 40, 20))
    ]
    assert told[-1] == 100
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name for file in written]
    if file_format is ExportFormat.NDJSON:
        lines = "".join((tmp_path / file.name).read_text() for file in written).splitlines()
        assert [json.loads(line)["n"] for line in lines] == list(range(100))


def test_files_that_are_just_full_are_followed_by_none(tmp_path: Path) -> None:
    files = ExportFiles(pa.schema([("n", pa.int64())]), tmp_path, file_format=ExportFormat.CSV, records_per_file=50)

    assert [file.records for file in files.write_all(numbers(100, size=100))] == [50, 50]


@pytest.mark.parametrize("file_format", ExportFormat)
def test_no_rows_are_one_file(tmp_path: Path, file_format: ExportFormat) -> None:
    written = ExportFiles(SCHEMA, tmp_path, file_format=file_format, records_per_file=5).write_all([])

    assert [(file.name, file.records) for file in written] == [(f"part-00000.{file_format}", 0)]
    if file_format is ExportFormat.PARQUET:
        assert pq.read_schema(tmp_path / "part-00000.parquet").names == SCHEMA.names


def test_a_failure_leaves_no_open_file(tmp_path: Path) -> None:
    def failing() -> Iterator[pa.RecordBatch]:
        yield batch(ROWS)
        raise ValueError("of all things")

    files = ExportFiles(SCHEMA, tmp_path, file_format=ExportFormat.PARQUET)

    with pytest.raises(ValueError, match="of all things"):
        files.write_all(failing())
