import contextlib
import re
import threading
from pathlib import Path

import pytest

from kamu_assets.auth.model import ANONYMOUS
from kamu_assets.datasets.errors import DamagedSliceError, DatasetNotFoundError
from kamu_assets.engines.sql.errors import InvalidQueryError, QueryFailedError, StatementNotAllowedError
from kamu_assets.engines.workers.limits import AbortedError, JobCancelledError, MemoryLimitError
from kamu_assets.errors import InvalidError
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.query.errors import InvalidPageError
from kamu_assets.query.formats.rows import AnswerTooLargeError
from kamu_assets.query.model import DataFormat, QueryRequest
from kamu_assets.query.service import TooManyRowsError
from tests.unit.query.conftest import Reading

COLUMNS = ["offset", "op", "system_time", "event_time", "station", "level"]
ALIAS = DatasetAlias.parse("kamu/log")


@pytest.mark.parametrize(
    "name",
    ['"kamu/log"', "'kamu/log'", "`kamu/log`", 'kamu.kamu."kamu/log"', '"KAMU/Log"', "log", '"log"', '"{id}"'],
)
def test_a_dataset_has_many_spellings(reading: Reading, name: str) -> None:
    entry = reading.stations("log", 3, 2)

    answer = reading.query(f"select count(*) as n from {name.format(id=entry.id)}")

    assert answer.rows() == [{"n": 5}]
    (pinned,) = answer.datasets
    assert (pinned.id, pinned.block_hash) == (entry.id, reading.heart.chains.head(entry.id))
    assert pinned.alias == name.format(id=entry.id).rpartition("kamu.kamu.")[2].strip("\"'`")


@pytest.mark.parametrize(
    ("data_format", "data"),
    [
        (DataFormat.JSON_AOS, b'[{"level":0,"station":"s0"},{"level":1,"station":"s1"}]'),
        (DataFormat.JSON_SOA, b'{"level":[0,1],"station":["s0","s1"]}'),
        (DataFormat.JSON_AOA, b'[["s0",0],["s1",1]]'),
    ],
)
def test_rows_come_in_three_shapes(reading: Reading, data_format: DataFormat, data: bytes) -> None:
    reading.stations("log", 2)

    answer = reading.query('select station, level from "kamu/log" order by level', data_format=data_format)

    assert (answer.data, answer.num_records, answer.limit) == (data, 2, 100)


def test_skip_and_limit_page_through_a_result(reading: Reading) -> None:
    reading.stations("log", 10)
    sql = 'select level from "kamu/log" order by level desc'

    assert reading.rows(sql, skip=2, limit=3) == [{"level": 7}, {"level": 6}, {"level": 5}]
    assert reading.rows(sql, limit=0) == []
    assert reading.rows(f"{sql} limit 2 -- or less", limit=5) == [{"level": 9}, {"level": 8}]


def test_a_join_reads_each_dataset_at_one_head(reading: Reading) -> None:
    reading.stations("log", 3)
    reading.stations("other", 2)
    sql = (
        "select a.level + b.level as total from log a join other b on a.station = b.station join log c on true limit 1"
    )

    answer = reading.query(sql)

    assert len(answer.rows()) == 1
    assert sorted(pinned.alias for pinned in answer.datasets) == ["log", "other"]


def test_what_was_just_committed_is_seen(reading: Reading) -> None:
    entry = reading.stations("log", 1)
    assert reading.rows("select count(*) as n from log") == [{"n": 1}]

    reading.add(entry, 4)

    assert reading.rows("select count(*) as n from log") == [{"n": 5}]


def test_all_columns_of_all_slices_are_there_in_order(reading: Reading) -> None:
    reading.stations("log", 3, 3, 3)

    rows = reading.rows('select * from log order by "offset"', sort_keys=False)

    assert list(rows[0]) == ["offset", "op", "system_time", "event_time", "station", "level"]
    assert [row["offset"] for row in rows] == list(range(9))
    assert rows[0]["event_time"] == "2024-01-01T00:00:00Z"


def test_hundreds_of_small_slices_are_one_table(reading: Reading) -> None:
    # The engine opens all of them at once, each on a thread of its own.
    reading.stations("log", *[1] * 700)

    rows = reading.rows('select "offset" from log order by "offset"', limit=1000)

    assert [row["offset"] for row in rows] == list(range(700))


@pytest.mark.parametrize(
    ("sql", "kind", "message"),
    [
        (
            "selec 1",
            InvalidQueryError,
            "sql parser error: Expected: an SQL statement, found: selec at Line: 1, Column: 1",
        ),
        ("", InvalidQueryError, "No SQL statements were provided in the query string"),
        ('select * from "kamu/nope"', InvalidQueryError, "table 'kamu.kamu.kamu/nope' not found"),
        ('select * from "not a name"', InvalidQueryError, "table 'kamu.kamu.not a name' not found"),
        ("select * from other.log", InvalidQueryError, "table 'kamu.other.log' not found"),
        (
            'select nope from "kamu/log"',
            InvalidQueryError,
            "No field named nope. Valid fields are " + ", ".join(f'"kamu/log".{name}' for name in COLUMNS) + ".",
        ),
        ("select 1/0 as x", QueryFailedError, "Divide by zero"),
        ("select cast(station as int) from log", QueryFailedError, "Cannot cast string 's0' to value of Int32 type"),
    ],
)
def test_a_wrong_query_is_told_what_is_wrong(
    reading: Reading, sql: str, kind: type[InvalidError], message: str
) -> None:
    reading.stations("log", 1)

    with pytest.raises(kind) as caught:
        reading.query(sql)

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "sql",
    [
        'drop table "kamu/log"',
        "create table x as select 1",
        "create view x as select 1",
        "create external table x stored as csv location '/etc/passwd'",
        "insert into log select * from log",
        "delete from log",
        "update log set level = 1",
        "copy log to '/tmp/stolen.csv'",
        "copy (select 1) to '/tmp/stolen.parquet' stored as parquet",
        "explain copy log to '/tmp/stolen.csv'",
        "explain analyze insert into log select * from log",
        "set datafusion.execution.batch_size = 1",
        "prepare p as select 1",
        "begin",
        "select 1; select 2",
        "select * from '/etc/passwd'",
        "select * from 'file:///etc/passwd'",
        "select * from read_csv('/etc/passwd')",
        "select 1 into x",
    ],
)
def test_only_queries_are_allowed(reading: Reading, sql: str) -> None:
    reading.stations("log", 1)

    with pytest.raises((StatementNotAllowedError, InvalidQueryError)):
        reading.query(sql)

    assert reading.rows("select count(*) as n from log") == [{"n": 1}]


def test_a_refusal_names_the_statement(reading: Reading) -> None:
    with pytest.raises(StatementNotAllowedError, match="statement not allowed: DropTable; only queries are"):
        reading.query("drop table x")


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("copy (select 1) to '/tmp/stolen'", "COPY"),
        ("-- quietly\n/* so */ explain analyze copy (select 1) to '/tmp/stolen'", "COPY"),
        ('insert into "kamu/log" values (1)', "INSERT"),
        ("attach '/etc/passwd'", "ATTACH"),
        ("drop catalog kamu", "DROP"),
    ],
)
def test_a_statement_that_is_also_wrong_is_not_allowed(reading: Reading, sql: str, kind: str) -> None:
    reading.stations("log", 1)

    with pytest.raises(StatementNotAllowedError, match=f"statement not allowed: {kind}; only queries are"):
        reading.query(sql)


@pytest.mark.parametrize("count", [990, 3_000, 20_000])
@pytest.mark.parametrize(
    ("before", "piece", "after"),
    [
        ("select ", "1 = 2 or ", "true as x"),
        ("select ", "1 + ", "1 as x"),
        ("select ", "- ", "1 as x"),
        ("select ", "not ", "true as x"),
        ("select ", "'a' || ", "'b' as x"),
        ("", "select 1 as x union all ", "select 1 as x"),
    ],
    ids=["or", "plus", "minus", "not", "concat", "union"],
)
def test_a_long_chain_is_answered_or_refused(reading: Reading, before: str, piece: str, after: str, count: int) -> None:
    # "1 = 2 or" counts twice.
    sql = before + piece * (count // len(re.findall("=|or", piece) or "x")) + after

    with contextlib.suppress(InvalidError):
        reading.query(sql)

    assert reading.rows("select 1 as x") == [{"x": 1}]


@pytest.mark.parametrize("depth", [40, 300, 990, 20_000])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [("(", ")"), ("[", "]"), ("case when true then ", " end"), ("abs(", ")"), ("(select ", ")")],
    ids=["parentheses", "brackets", "case", "function", "subquery"],
)
def test_deep_nesting_is_answered_or_refused(reading: Reading, opening: str, closing: str, depth: int) -> None:
    with contextlib.suppress(InvalidError):
        reading.query(f"select {opening * depth}1{closing * depth} as x")

    assert reading.rows("select 1 as x") == [{"x": 1}]


def test_a_refusal_of_nesting_tells_what_to_do(reading: Reading) -> None:
    with pytest.raises(InvalidQueryError, match="nests more than 1000 operators and brackets; use IN, VALUES or joins"):
        reading.query("select " + "1 = 2 or " * 20_000 + "true as x")


def test_a_query_that_needs_too_much_memory_costs_only_itself(reading: Reading) -> None:
    with pytest.raises((MemoryLimitError, QueryFailedError)):
        reading.query("select repeat('x', 2000000000) as x, repeat('y', 2000000000) as y")

    assert reading.rows("select 1 as x") == [{"x": 1}]


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("select array_agg(a.value) from generate_series(1,100000) a, generate_series(1,100000) b", MemoryLimitError),
        ("select string_agg(repeat('x',10000),',') from generate_series(1,1000000)", MemoryLimitError),
        ("select array_repeat(1, 1000000000)", AbortedError),
        ("select array_resize([1], 2000000000, 0)", AbortedError),
    ],
)
def test_a_lack_of_memory_is_told_with_the_limit(reading: Reading, sql: str, error: type[InvalidError]) -> None:
    with pytest.raises(error, match=r"MiB of memory .*\(setting query.memory_limit\)"):
        reading.query(sql)


@pytest.mark.parametrize(
    ("table", "hint"),
    [
        ("city.opendata.v1", "table 'city.opendata.v1' not found; a name with dots needs quotes: \"city.opendata.v1\""),
        ("flights.late", "table 'kamu.flights.late' not found; a name with dots needs quotes: \"flights.late\""),
        ('"flights.late"', "table 'kamu.kamu.flights.late' not found"),
        ('kamu.kamu."a.b"', "table 'kamu.kamu.a.b' not found"),
        ("nope", "table 'kamu.kamu.nope' not found"),
    ],
)
def test_a_name_with_dots_is_told_to_need_quotes(reading: Reading, table: str, hint: str) -> None:
    with pytest.raises(InvalidQueryError) as error:
        reading.query(f"select * from {table}")

    assert str(error.value) == hint


def test_a_query_nobody_waits_for_is_stopped(reading: Reading) -> None:
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    sql = (
        "select count(*) from generate_series(1, 1000000) a, generate_series(1, 1000000) b where a.value * b.value = 7"
    )

    with pytest.raises(JobCancelledError):
        reading.service.query(ANONYMOUS, QueryRequest(sql), cancel=cancel)


def test_pages_have_bounds(reading: Reading) -> None:
    for page in ({"skip": -1}, {"limit": -1}):
        with pytest.raises(InvalidPageError, match="must not be negative, got -1"):
            reading.query("select 1", **page)
    with pytest.raises(AnswerTooLargeError, match="the answer is larger than 1 MiB"):
        reading.query("select repeat('x', 2000) as x from generate_series(1, 1000)", limit=1000)


def test_a_huge_limit_is_fine_as_long_as_there_are_not_too_many_rows(reading: Reading) -> None:
    huge = 2**64 - 1

    few = reading.query("select 1 as a", limit=huge)
    just = reading.query("select 1 as a from generate_series(1, 100000)", limit=huge, data_format=DataFormat.JSON_AOA)
    beyond = reading.query("select 1 as a", skip=huge)

    assert (few.rows(), few.limit) == ([{"a": 1}], huge)
    assert just.num_records == 100_000
    assert beyond.rows() == []
    with pytest.raises(TooManyRowsError, match=r"more than 100000 rows \(setting query.max_rows\): ask for pages"):
        reading.query("select 1 as a from generate_series(1, 100001)", limit=huge, data_format=DataFormat.JSON_AOA)


def test_a_dataset_without_data_is_an_empty_table(reading: Reading) -> None:
    reading.nothing_written("new")
    reading.stations("log")

    assert reading.rows("select count(*) as n from new") == [{"n": 0}]
    assert reading.rows("select * from log") == []
    assert reading.rows("select station from log", data_format=DataFormat.JSON_SOA) == {"station": []}


def test_tables_and_columns_can_be_listed(reading: Reading) -> None:
    reading.stations("log", 1)
    reading.nothing_written("new")

    tables = reading.query("show tables")
    columns = reading.query(
        "select column_name, data_type from information_schema.columns where table_name = 'kamu/log'"
        " order by ordinal_position"
    )

    names = [row["table_name"] for row in tables.rows() if row["table_schema"] == "kamu"]
    assert sorted(names) == ["kamu/log", "kamu/new"]
    # Tools that list tables leave out views.
    assert {row["table_type"] for row in tables.rows() if row["table_schema"] == "kamu"} == {"BASE TABLE"}
    assert [row["column_name"] for row in columns.rows()][-2:] == ["station", "level"]
    assert [row["column_name"] for row in reading.rows("describe log")][-2:] == ["station", "level"]
    assert tables.datasets == columns.datasets == ()


def test_a_plan_does_not_tell_where_the_node_keeps_its_files(reading: Reading) -> None:
    entry = reading.stations("log", 1)
    (piece,) = reading.heart.chains.slices(entry.id, after=None, until=reading.heart.chains.head(entry.id))

    for sql in ("explain select * from log", "explain analyze select * from log"):
        plan = reading.query(sql).data.decode()
        assert str(piece.physical_hash) in plan
        assert reading.heart.datasets.storage_location(entry).strip("/") not in plan


@pytest.mark.parametrize("damage", ["is missing", "is damaged"])
@pytest.mark.parametrize("way", ["query", "tail"])
def test_a_bad_slice_is_told_with_its_dataset_and_without_its_path(reading: Reading, way: str, damage: str) -> None:
    entry = reading.stations("log", 1)
    reading.stations("fine", 2)
    ways = {
        "query": lambda: reading.query("select * from fine join log using (station)"),
        "tail": lambda: reading.service.tail(ANONYMOUS, ALIAS),
    }
    (piece,) = reading.heart.datasets.stored_slices(entry)
    path = Path(piece.location)
    if damage == "is missing":
        path.unlink()
    else:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])

    with pytest.raises(DamagedSliceError) as caught:
        ways[way]()

    assert str(caught.value).startswith(f"data slice {piece.name} of kamu/log {damage}: `kamu-node verify kamu/log` ")
    assert "/datasets/" not in str(caught.value)


@pytest.mark.parametrize(
    ("skip", "limit", "offsets"),
    [(0, 3, [7, 8, 9]), (2, 3, [5, 6, 7]), (0, 100, list(range(10))), (8, 5, [0, 1]), (20, 5, []), (0, 0, [])],
)
def test_a_tail_is_the_newest_rows_in_offset_order(reading: Reading, skip: int, limit: int, offsets: list[int]) -> None:
    reading.stations("log", 3, 3, 3, 1)

    answer = reading.service.tail(ANONYMOUS, ALIAS, skip=skip, limit=limit)

    assert [row["offset"] for row in answer.rows()] == offsets
    assert [pinned.alias for pinned in answer.datasets] == ["kamu/log"]


def test_a_tail_has_as_many_rows_as_an_answer_may_have(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    reading.stations("log", 3, 3)
    huge = 2**64 - 1

    assert reading.service.tail(ANONYMOUS, ALIAS, limit=huge).num_records == 6
    assert reading.service.tail(ANONYMOUS, ALIAS, skip=huge, limit=huge).num_records == 0
    monkeypatch.setattr(reading.service, "_max_rows", 5)
    assert reading.service.tail(ANONYMOUS, ALIAS, limit=5).num_records == 5
    with pytest.raises(TooManyRowsError, match="more than 5 rows"):
        reading.service.tail(ANONYMOUS, ALIAS, limit=6)


def test_a_tail_keeps_the_order_of_columns(reading: Reading) -> None:
    reading.stations("log", 1)

    answer = reading.service.tail(ANONYMOUS, ALIAS, data_format=DataFormat.JSON_SOA)

    assert list(answer.rows()) == COLUMNS


def test_the_tail_of_nothing_is_empty(reading: Reading) -> None:
    reading.nothing_written("log")

    assert reading.service.tail(ANONYMOUS, ALIAS).data == b"[]"
    assert reading.service.tail(ANONYMOUS, ALIAS, data_format=DataFormat.JSON_SOA).data == b"{}"


def test_an_unknown_dataset_has_no_tail(reading: Reading) -> None:
    with pytest.raises(DatasetNotFoundError):
        reading.service.tail(ANONYMOUS, ALIAS)
