"""Which slices a query reads: those it has no need of may be ruined."""

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from kamu_assets.auth.model import ANONYMOUS
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.errors import KamuError
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.odf.timestamp import Timestamp
from tests.unit.query.conftest import Reading

DAYS, PER_DAY = 7, 10
NOON = "between timestamp '2024-05-03T11:00:00' and timestamp '2024-05-03T13:00:00'"


def ruined(path: Path) -> None:
    """Without a single page of data, but with the footer that tells what there was."""
    group = pq.read_metadata(path).row_group(0)
    columns = [group.column(index) for index in range(group.num_columns)]
    end = max((each.dictionary_page_offset or each.data_page_offset) + each.total_compressed_size for each in columns)
    content = bytearray(path.read_bytes())
    content[4:end] = b"\xff" * (end - 4)
    path.write_bytes(content)


@pytest.fixture
def week(reading: Reading) -> DatasetEntry:
    """Ten rows a day; only the slices of the third day and of the last are whole."""
    entry = reading.stations("log")
    for day in range(DAYS):
        reading.add(entry, PER_DAY, at=Timestamp.parse(f"2024-05-0{day + 1}T12:00:00Z"))
    for day, piece in enumerate(reading.heart.datasets.stored_slices(entry)):
        if day not in {2, DAYS - 1}:
            ruined(Path(piece.location))
    return entry


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("select count(*) as n from log", [{"n": DAYS * PER_DAY}]),
        ('select min("offset") as a, max("offset") as b from log', [{"a": 0, "b": DAYS * PER_DAY - 1}]),
        ("select max(event_time) as t from log", [{"t": "2024-05-07T12:00:00Z"}]),
        ('select level from log order by "offset" desc limit 2', [{"level": 69}, {"level": 68}]),
        ('select level from log where "offset" = 25', [{"level": 25}]),
        ('select sum(level) as s from log where "offset" between 21 and 23', [{"s": 66}]),
        ("select level from log where level = 25", [{"level": 25}]),
        ("select count(station) as n from log where event_time = timestamp '2024-05-03T12:00:00'", [{"n": PER_DAY}]),
        (f"select count(station) as n from log where event_time {NOON}", [{"n": PER_DAY}]),
        ("select count(station) as n from log where event_time > timestamp '2024-05-06T12:00:00'", [{"n": PER_DAY}]),
        ("select count(*) as n from as_of(log, timestamp '2024-05-04T00:00:00')", [{"n": 3 * PER_DAY}]),
    ],
)
def test_slices_that_cannot_matter_are_not_read(
    reading: Reading, week: DatasetEntry, sql: str, rows: list[dict[str, object]]
) -> None:
    assert reading.rows(sql) == rows


def test_a_tail_reads_the_last_slices_only(reading: Reading, week: DatasetEntry) -> None:
    answer = reading.service.tail(ANONYMOUS, DatasetAlias.parse("kamu/log"), limit=PER_DAY)

    assert [row["level"] for row in answer.rows()] == list(range(60, 70))


def test_a_query_of_everything_needs_every_slice(reading: Reading, week: DatasetEntry) -> None:
    for sql in ("select sum(level) from log", 'select level from log order by "offset" desc limit 11'):
        with pytest.raises(KamuError):
            reading.query(sql)


def test_single_rows_are_found_without_unpacking_all(reading: Reading) -> None:
    reading.stations("log", 100_000)

    plan = reading.query('explain analyze select level from log where "offset" = 77777').data.decode()

    pruned, matched = re.search(r"page_index_rows_pruned=([\d.]+) K total → ([\d.]+) K matched", plan).groups()  # type: ignore[union-attr]  # else the test fails
    assert (float(pruned), float(matched)) == (100.0, 20.0)
