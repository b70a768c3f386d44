"""Of many slices only those are opened whose rows a filter can let through."""

import operator
import re
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kamu_assets.auth.model import ANONYMOUS
from kamu_assets.datasets.chains.past import PastStates
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.query import job
from kamu_assets.query.catalog import QueryCatalog
from kamu_assets.query.model import DataFormat
from kamu_assets.query.plans.filter_bounds import Bounds
from kamu_assets.query.questions import FindTable, TableFound
from kamu_assets.query.requests import AnswerShape, QueryJob
from kamu_assets.query.tables import cache, named
from kamu_assets.query.tables.file_bounds import time_bounds
from kamu_assets.query.tables.specs import TableSpecs
from tests.unit.query.conftest import Reading

DAYS, PER_DAY = 6, 5
MILLIS = pa.timestamp("ms", tz="UTC")


def opened(reading: Reading, sql: str) -> int:
    return len(set(re.findall("f1620[0-9a-f]{64}", reading.query(f"explain {sql}").data.decode())))


@pytest.fixture
def days(reading: Reading) -> DatasetEntry:
    """Five rows each day at noon."""
    entry = reading.stations("log")
    for day in range(DAYS):
        reading.add(entry, PER_DAY, at=Timestamp.parse(f"2024-05-0{day + 1}T12:00:00Z"))
    return entry


@pytest.mark.parametrize(
    ("condition", "slices"),
    [
        ('"offset" = 12', 1),
        ('12 = "offset"', 1),
        ('"offset" between 12 and 16', 2),
        ('"offset" < 5', 2),
        ('"offset" >= 25 and level > 3', 1),
        ('"offset" > 7 and "offset" < 9 and station is not null', 1),
        ("event_time >= timestamp '2024-05-05T00:00:00'", 2),
        ("event_time < '2024-05-02T00:00:00Z'", 1),
        ("system_time = to_timestamp('2024-05-03T12:00:00Z')", 1),
        ("event_time > timestamp '2024-05-02' and \"offset\" < 12", 2),
    ],
)
def test_a_filter_leaves_few_slices(reading: Reading, days: DatasetEntry, condition: str, slices: int) -> None:
    assert opened(reading, f"select level from log where {condition}") == slices
    assert opened(reading, f"select * from (select count(*) from log as l where {condition})") == slices


@pytest.mark.parametrize(
    "sql",
    [
        'select level from log where "offset" = 12 or level = 3',
        'select level from log where not "offset" = 12',
        'select level from log where "offset" + 0 = 12',
        'select level from log where "offset" <> 12',
        'select "offset" = 12 as is_it from log',
        'select a.level from log a join log b on a."offset" = b.level where a."offset" = 12',
        'select level, (select max(level) from log) from log where "offset" = 12',
        'select level from log where "offset" = 12 union all select level from log',
        'select count(*) filter (where "offset" = 12) from log',
    ],
)
def test_other_slices_matter(reading: Reading, days: DatasetEntry, sql: str) -> None:
    assert opened(reading, sql) == DAYS


NOON = [Timestamp.parse(f"2024-05-0{day + 1}T12:00:00Z") for day in range(DAYS)]
OPERATORS = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# A column, an operator and a value: an offset, or hours after the first noon.
SIGNS = st.sampled_from(sorted(OPERATORS))
CONDITIONS = st.tuples(st.just("offset"), SIGNS, st.integers(-2, DAYS * PER_DAY + 2)) | st.tuples(
    st.just("event_time"), SIGNS, st.integers(-2, DAYS * 2 + 2).map(lambda halves: 12 * halves)
)


def written(column: str, sign: str, value: int) -> str:
    if column == "offset":
        return f'"offset" {sign} {value}'
    return f"event_time {sign} timestamp '{NOON[0].to_datetime() + timedelta(hours=value):%Y-%m-%dT%H:%M:%S}'"


def holds(offset: int, column: str, sign: str, value: int) -> bool:
    return bool(OPERATORS[sign](offset if column == "offset" else 24 * (offset // PER_DAY), value))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(conditions=st.lists(CONDITIONS, min_size=1, max_size=3), descending=st.booleans())
def test_the_rows_are_those_that_meet_the_conditions(
    reading: Reading, days: DatasetEntry, conditions: list[tuple[str, str, int]], *, descending: bool
) -> None:
    where = " and ".join(written(*each) for each in conditions)
    order = "desc" if descending else "asc"
    wanted = [offset for offset in range(DAYS * PER_DAY) if all(holds(offset, *each) for each in conditions)]

    # The second time it is known which slices mattered.
    for _ in range(2):
        found = reading.rows(f'select "offset" from log where {where} order by "offset" {order}')
        assert [row["offset"] for row in found] == (wanted[::-1] if descending else wanted)


@pytest.fixture
def here(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> QueryCatalog:
    """Queries run in this process, and ask this."""
    heart = reading.heart
    catalog = QueryCatalog(
        ANONYMOUS,
        datasets=heart.datasets,
        chains=heart.chains,
        past=PastStates(database=heart.database, volumes=heart.volumes),
        tables=TableSpecs(datasets=heart.datasets, chains=heart.chains, volumes=heart.volumes),
    )
    for module in (named, cache):
        monkeypatch.setattr(module, "ask", catalog.answer)
    return catalog


@pytest.mark.parametrize("wrong", [Bounds(0, 0), Bounds(999, 999)])
def test_what_mattered_before_need_not_matter_now(here: QueryCatalog, days: DatasetEntry, wrong: Bounds) -> None:
    sql = 'select level from log where "offset" = 12'
    shape = AnswerShape(0, 10, DataFormat.JSON_AOS, sort_keys=True, limit_bytes=1000)
    table = here.answer(FindTable("log", is_read=True))
    assert isinstance(table, TableFound)
    found = cache.TABLES.get(table, from_packs=True)
    part = found.within({"offset": wrong})
    assert part is not None

    found.expect(sql, part)

    assert job.answer_query(QueryJob(sql, shape, 1 << 28)).data == b'[{"level":12}]'
    assert found.likely[sql] is not part


@pytest.mark.parametrize("condition", ['"offset" = 999', '"offset" < 0', "event_time < '1999-01-01T00:00:00Z'"])
def test_no_slice_may_be_left(reading: Reading, days: DatasetEntry, condition: str) -> None:
    assert reading.rows(f"select level from log where {condition}") == []
    assert reading.rows(f"select count(*) as n from log where {condition}") == [{"n": 0}]


def test_slices_that_cannot_be_read_at_all_are_left_alone(reading: Reading, days: DatasetEntry) -> None:
    first, *_ = reading.heart.datasets.stored_slices(days)
    Path(first.location).write_bytes(b"ruined")

    assert reading.rows('select level from log where "offset" = 7') == [{"level": 7}]
    assert reading.rows("select count(*) as n from log") == [{"n": DAYS * PER_DAY}]


def a_file(path: Path, *groups: list[int | None], data_type: pa.DataType = MILLIS, stats: bool = True) -> str:
    schema = pa.schema([("when", data_type)])
    with pq.ParquetWriter(path, schema, write_statistics=stats) as writer:
        for values in groups:
            writer.write_table(pa.table({"when": pa.array(values, pa.int64()).cast(data_type)}))
    return str(path)


def test_a_file_tells_its_first_and_last_moment(tmp_path: Path) -> None:
    assert time_bounds(a_file(tmp_path / "file", [5, None, 3], [9, 7]), "when", str(MILLIS)) == Bounds(3, 9)


def test_a_file_may_not_tell(tmp_path: Path) -> None:
    silent = a_file(tmp_path / "silent", [5], stats=False)
    half = a_file(tmp_path / "half", [5], [None])
    other = a_file(tmp_path / "other", [5], data_type=pa.timestamp("us", tz="UTC"))
    (tmp_path / "ruined").write_bytes(b"ruined")

    for path in (silent, half, other, str(tmp_path / "ruined"), str(tmp_path / "lost")):
        assert time_bounds(path, "when", str(MILLIS)) == Bounds()
    assert time_bounds(silent, "then", str(MILLIS)) == Bounds()
