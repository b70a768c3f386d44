"""How many rows there are is known without opening a file."""

from pathlib import Path

import datafusion
import pyarrow as pa
import pytest

from kamu_assets.errors import KamuError
from kamu_assets.query.model import DataFormat
from kamu_assets.query.plans.row_count import is_row_count
from tests.unit.query.conftest import Reading

COUNTS = [
    "select count(*) from log",
    "select count(1) from log",
    "SELECT COUNT(*) AS n FROM log AS l",
    "select count(*) as a, count(1) as b, count(*) from log",
    "select n as m from (select count(*) as n from log)",
    "with l as (select level as x, station from log) select count(*) from l",
]
OTHERS = [
    "select count(level) from log",
    "select count(distinct 1) from log",
    "select count(null) from log",
    "select count(*) filter (where level > 5) from log",
    "select count(*) + 1 from log",
    "select count(*), 1 from log",
    "select count(*), max(level) from log",
    "select count(*) from log group by station",
    "select count(*) from log having count(*) > 5",
    "select count(*) from log limit 0",
    "select count(*) from log where level > 5",
    "select count(*) from (select * from log limit 1)",
    "select count(*) from (select distinct station from log)",
    "select count(*) from (select unnest([1, 2]) from log)",
    "select count(*) from log, other",
    "select count(*) from (select * from log union all select * from log)",
    "select count(*), (select count(*) from other) as o from log",
    "select count(*) over () from log",
    "select count(*) from information_schema.tables",
    "select count(*) from generate_series(1, 3)",
    "select count(*)",
    "explain select count(*) from log",
]


@pytest.fixture
def files(tmp_path: Path) -> datafusion.SessionContext:
    """Tables of files, as ours are."""
    config = datafusion.SessionConfig().with_information_schema(enabled=True)
    context = datafusion.SessionContext(config)
    for name in ("log", "other"):
        context.from_arrow(pa.table({"level": [5, 6], "station": ["s0", "s1"]})).write_parquet(tmp_path / name)
        context.register_table(name, context.read_parquet(tmp_path / name))
    return context


@pytest.mark.parametrize("sql", COUNTS)
def test_a_count_of_all_rows_is_noticed(files: datafusion.SessionContext, sql: str) -> None:
    assert is_row_count(files.sql(sql).logical_plan())


@pytest.mark.parametrize("sql", OTHERS)
def test_other_counts_are_computed(files: datafusion.SessionContext, sql: str) -> None:
    assert not is_row_count(files.sql(sql).logical_plan())


@pytest.mark.parametrize("data_format", DataFormat)
def test_what_is_known_is_told_as_what_is_computed(reading: Reading, data_format: DataFormat) -> None:
    reading.stations("log", 3, 4)

    known = reading.query("select count(*) as n from log", data_format=data_format)
    computed = reading.query("select count(*) as n from log where level >= 0", data_format=data_format)

    assert (known.data, known.schema, known.num_records) == (computed.data, computed.schema, 1)
    assert [each.block_hash for each in known.datasets] == [each.block_hash for each in computed.datasets]


@pytest.mark.parametrize(("options", "rows"), [({"skip": 1}, []), ({"limit": 0}, []), ({"limit": 5}, [{"n": 7}])])
def test_the_only_row_is_the_first(reading: Reading, options: dict[str, int], rows: list[dict[str, int]]) -> None:
    reading.stations("log", 3, 4)

    assert reading.rows("select count(*) as n from log", **options) == rows


def test_retractions_count_as_the_rows_they_are(reading: Reading) -> None:
    entry = reading.stations("log", 2)
    reading.write(entry, [(1, "s0", 0), (2, "s1", 1), (3, "s1", 5)])

    assert reading.rows("select count(*) as n from log") == [{"n": 5}]
    assert reading.rows("select count(*) as n from as_of(log, 2)") == [{"n": 3}]


def test_what_another_table_has_is_not_told_of_the_dataset(reading: Reading) -> None:
    reading.stations("log", 3)
    sql = "with unused as (select * from log) select count(*) as n from information_schema.schemata"

    assert reading.rows(sql) == reading.rows(sql.partition(") ")[2])


@pytest.mark.parametrize("slices", [[], [1]], ids=str)
def test_a_dataset_may_have_no_rows_or_few(reading: Reading, slices: list[int]) -> None:
    reading.stations("log", *slices)

    assert reading.rows("select count(*) as n from log") == [{"n": sum(slices)}]


def test_a_lost_slice_is_missed_though_it_is_not_read(reading: Reading) -> None:
    entry = reading.stations("log", 1, 2)
    *_, last = reading.heart.datasets.stored_slices(entry)
    Path(last.location).unlink()

    with pytest.raises(KamuError):
        reading.query("select count(*) from log")
