from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kamu_assets.orchestration.reports.preview import ROWS, preview


def write(path: Path, columns: dict[str, list[object]]) -> str:
    pq.write_table(pa.table(columns), path)
    return str(path)


def test_a_preview_shows_the_last_records(tmp_path: Path) -> None:
    table = preview(write(tmp_path / "slice", {"offset": list(range(100)), "name": [f"n{i}" for i in range(100)]}))

    assert table is not None
    header, rule, *rows = table.splitlines()
    assert (header, rule) == ("| offset | name |", "| --- | --- |")
    assert rows == [f"| {i} | n{i} |" for i in range(100 - ROWS, 100)]


def test_times_are_as_short_as_they_may_be(tmp_path: Path) -> None:
    times: list[object] = [datetime(2024, 5, 1, 8, tzinfo=UTC).replace(microsecond=each) for each in (0, 352_000, 7)]

    table = preview(write(tmp_path / "slice", {"at": times}))

    assert table is not None
    assert table.splitlines()[2:] == [
        "| 2024-05-01 08:00:00Z |",
        "| 2024-05-01 08:00:00.352Z |",
        "| 2024-05-01 08:00:00.000007Z |",
    ]


def test_hostile_text_stays_in_its_cell(tmp_path: Path) -> None:
    table = preview(write(tmp_path / "slice", {"a|b": ["x | y\n# title `code`"], "long": ["z" * 500]}))

    assert table is not None
    lines = table.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("| x \\| y # title \\`code\\` | zzz")
    assert len(lines[2]) < 120


def test_a_file_that_cannot_be_read_has_no_preview(tmp_path: Path) -> None:
    (tmp_path / "slice").write_bytes(b"not parquet")

    assert preview(str(tmp_path / "slice")) is None
    assert preview(str(tmp_path / "missing")) is None
    assert preview("s3://bucket/elsewhere") is None


def test_times_beyond_those_of_python_are_shown(tmp_path: Path) -> None:
    day = 86_400_000
    times = pa.array([0, 6_585_441 * day + 500, -2_000_000 * day], pa.timestamp("ms", "UTC"))
    days = pa.array([0, 10_000_000, None], pa.date32())
    pq.write_table(pa.table({"at": times, "day": days, "deep": pa.array([[each] for each in times])}), tmp_path / "f")

    shown = preview(str(tmp_path / "f"))

    assert shown is not None
    first, second, third = shown.splitlines()[2:]
    assert first.startswith("| 1970-01-01 00:00:00Z | 1970-01-01 | ")
    assert second == "| 20000-04-29 00:00:00.500Z | 29349-01-26 | 20000-04-29 00:00:00.500Z |"
    assert third.startswith("| -3506-")
