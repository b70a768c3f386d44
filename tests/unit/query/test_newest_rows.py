"""Of many slices only the last ones are opened where no others can matter."""

import re

import datafusion
import pyarrow as pa
import pytest

from kamu_assets.query.plans.newest_rows import newest_rows
from tests.unit.query.conftest import Reading

ROWS = 50


@pytest.fixture
def context() -> datafusion.SessionContext:
    context = datafusion.SessionContext()
    batch = pa.record_batch({"offset": [0, 1], "level": [5, 6], "station": ["s0", "s1"]})
    for name in ("log", "other"):
        context.register_record_batches(name, [[batch]])
    return context


def needed(context: datafusion.SessionContext, sql: str, *, at_most: int = ROWS) -> int | None:
    return newest_rows(context.sql(sql).logical_plan(), offset_column="offset", at_most=at_most)


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ('select * from log order by "offset" desc limit 3', 3),
        ('select level from log order by "offset" desc limit 3 offset 4', 7),
        ('select level + 1 as l, upper(station) from log l order by l."offset" desc nulls last, level limit 3', 3),
        ('select * from log order by "offset" desc', ROWS),
        ('select * from log order by "offset" desc limit 1000', ROWS),
        ('select "offset" as o from log order by o desc limit 3', 3),
        ('with l as (select "offset" as o, level from log) select * from (select * from l) order by o desc limit 3', 3),
        ('select * from (select * from log order by "offset" desc limit 9) limit 3', 3),
        ('select * from (select * from log order by "offset" desc limit 9) order by "offset" limit 3', 9),
        ('select sum(level) from (select * from log order by "offset" desc limit 9) where level > 3', 9),
        ('explain select * from log order by "offset" desc limit 3', 3),
    ],
)
def test_the_newest_rows_are_enough(context: datafusion.SessionContext, sql: str, rows: int) -> None:
    assert needed(context, sql) == rows


@pytest.mark.parametrize(
    "sql",
    [
        "select * from log limit 3",
        'select * from log order by "offset" limit 3',
        "select * from log order by level desc limit 3",
        'select * from log order by level, "offset" desc limit 3',
        'select * from log order by "offset" + 0 desc limit 3',
        'select * from log order by -"offset" desc limit 3',
        'select level as "offset" from log order by "offset" desc limit 3',
        'select l."offset" from (select level as "offset" from log) l order by l."offset" desc limit 3',
        'select * from log where level > 5 order by "offset" desc limit 3',
        'select distinct station, "offset" from log order by "offset" desc limit 3',
        'select count(*), "offset" from log group by "offset" order by "offset" desc limit 3',
        'select unnest([1, 2]), "offset" from log order by "offset" desc limit 3',
        'select row_number() over (order by level), "offset" from log order by "offset" desc limit 3',
        'select "offset", (select max(level) from log) from log order by "offset" desc limit 3',
        'select "offset" from log where level in (select level from other) order by "offset" desc limit 3',
        'select l."offset" from log l join other o on l.level = o.level order by l."offset" desc limit 3',
        'select "offset" from log union all select "offset" from log order by "offset" desc limit 3',
        'explain select * from log order by "offset" desc',
        'select max(level) from (select * from log order by "offset" desc)',
        "select 1 as offset order by 1 desc limit 3",
    ],
)
def test_other_rows_matter(context: datafusion.SessionContext, sql: str) -> None:
    assert needed(context, sql) is None


@pytest.mark.parametrize(
    ("sql", "options", "offsets"),
    [
        ('select "offset" from log order by "offset" desc limit 4', {}, [29, 28, 27, 26]),
        ('select "offset" from log order by "offset" desc', {"skip": 1, "limit": 3}, [28, 27, 26]),
        ('select "offset" from log order by "offset" desc limit 5 offset 2', {"skip": 1, "limit": 9}, [26, 25, 24, 23]),
        ('select "offset" from log order by "offset" desc limit 99', {"limit": 1000}, list(range(29, -1, -1))),
        ('select "offset" from log order by "offset" desc limit 2 offset 29', {}, [0]),
        ('select "offset" from log order by "offset" desc limit 0', {}, []),
        ('select "offset" from (select * from log order by "offset" desc limit 3) order by 1', {}, [27, 28, 29]),
    ],
)
@pytest.mark.parametrize("slices", [[10] * 3, [1] * 30, [30], [29, 1]], ids=str)
def test_the_newest_rows_are_the_right_ones(
    reading: Reading, slices: list[int], sql: str, options: dict[str, int], offsets: list[int]
) -> None:
    reading.stations("log", *slices)

    assert [row["offset"] for row in reading.rows(sql, **options)] == offsets


def test_what_was_just_added_is_the_newest(reading: Reading) -> None:
    entry = reading.stations("log", *[2] * 9)
    sql = 'select level from log order by "offset" desc limit 1'
    assert reading.rows(sql) == [{"level": 17}]

    reading.add(entry, 1)

    assert reading.rows(sql) == [{"level": 18}]


def test_older_slices_are_not_opened(reading: Reading) -> None:
    reading.stations("log", *[2] * 7)

    def opened(sql: str) -> int:
        return len(set(re.findall("f1620[0-9a-f]{64}", reading.query(f"explain {sql}").data.decode())))

    assert opened("select * from log order by level desc limit 3") == len([2] * 7)
    assert opened('select * from log order by "offset" desc limit 3') == len([2, 2])


def test_a_dataset_without_data_has_no_newest_rows(reading: Reading) -> None:
    reading.stations("log")

    assert reading.rows('select * from log order by "offset" desc limit 3') == []
