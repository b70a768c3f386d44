"""SQL that means no good: it is refused or ended, and nobody else notices."""

import threading
from collections.abc import Iterator

import pytest

from kamu_assets.datasets.chains.past import PastStates
from kamu_assets.engines.sql.errors import InvalidQueryError, QueryFailedError, StatementNotAllowedError
from kamu_assets.engines.workers.limits import AbortedError, MemoryLimitError, TimeLimitError
from kamu_assets.engines.workers.pool import WorkerLimits, WorkerPool
from kamu_assets.errors import InvalidError
from kamu_assets.query.history.recorder import QueryRecorder
from kamu_assets.query.service import QueryService
from tests.unit.query.conftest import Reading

SECONDS = 3.0
BILLIONS = "generate_series(1, 3000000) a, generate_series(1, 3000000) b"


@pytest.fixture(scope="module")
def impatient_pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(name="query", size=2, limits=WorkerLimits(1 << 30, SECONDS))
    yield pool
    pool.close()


@pytest.fixture
def impatient(reading: Reading, impatient_pool: WorkerPool) -> Reading:
    heart = reading.heart
    service = QueryService(
        datasets=heart.datasets,
        chains=heart.chains,
        past=PastStates(database=heart.database, volumes=heart.volumes),
        volumes=heart.volumes,
        pool=impatient_pool,
        recorder=QueryRecorder(None, clock=heart.clock),
    )
    return Reading(heart, service)


@pytest.mark.parametrize(
    "sql",
    [
        "with recursive n as (select 1 as x union all select x + 1 from n) select count(*) from n",
        f"select sum(a.value) from {BILLIONS} where a.value + b.value > 9 group by a.value % 7",
        "select count(*) from log a, log b, log c, log d, log e, log f, log g, log h where a.level + h.level = -1",
    ],
    ids=["recursion", "cross join", "own data"],
)
def test_a_query_without_end_is_ended_while_others_are_answered(impatient: Reading, sql: str) -> None:
    impatient.stations("log", 500)
    outcome: list[BaseException] = []

    def run() -> None:
        try:
            impatient.query(sql)
        except InvalidError as error:
            outcome.append(error)

    hostile = threading.Thread(target=run)
    hostile.start()
    answered = 0
    while hostile.is_alive():
        assert impatient.rows("select count(*) as n from log") == [{"n": 500}]
        answered += 1
    hostile.join()

    (error,) = outcome
    assert isinstance(error, TimeLimitError)
    assert str(error) == "query takes longer than 3 s (setting query.time_limit_seconds)"
    assert answered > 1
    assert impatient.rows("select count(*) as n from log") == [{"n": 500}]


@pytest.mark.parametrize(
    "call",
    [
        "read_csv('/etc/passwd')",
        "read_parquet('/etc/passwd')",
        "read_json('/etc/passwd')",
        "parquet_metadata('/etc/passwd')",
        "metadata_cache()",
        "list_files_cache()",
        "glob('/etc/*')",
        "as_of('/etc/passwd', 0)",
        "as_of('../../node.db', 0)",
        "to_table('file:///etc/passwd')",
        "'/etc/passwd'",
        "'../../node.db'",
    ],
)
def test_there_are_no_files_to_read(reading: Reading, call: str) -> None:  # SE-12
    with pytest.raises(InvalidQueryError, match=r"^(table|table function) '[^']+' not found"):
        reading.query(f"select * from {call}")


def test_no_function_tells_where_files_are(reading: Reading) -> None:
    reading.stations("log", *[1] * 9)

    with pytest.raises(InvalidQueryError, match="Invalid function 'input_file_name'"):
        reading.query("select input_file_name() from log")
    settings = reading.query("select * from information_schema.df_settings", limit=1_000).data.decode()
    assert str(reading.heart.volumes.root.staging().parent) not in settings


@pytest.mark.parametrize(
    "sql",
    [
        "call x()",
        "kill 5",
        "use kamu",
        "deallocate x",
        "declare c cursor for select 1",
        "fetch next from c",
        "lock table log",
        "grant all on log to public",
        "merge into log using log on true when matched then delete",
        "truncate table log",
        "alter table log add column x int",
        "create function f() returns int return 1",
        "create schema s",
        "create database d",
        "drop schema kamu",
        "explain create table x as select 1",
        "with x as (select 1) insert into log select * from x",
        "set time zone = 'UTC'",
        "reset datafusion.execution.batch_size",
        "start transaction",
        "load data local inpath '/etc/passwd' into table log",
        "vacuum",
    ],
)
def test_statements_that_are_no_queries_are_refused(reading: Reading, sql: str) -> None:
    reading.stations("log", 1)

    with pytest.raises((StatementNotAllowedError, InvalidQueryError)) as caught:
        reading.query(sql)

    assert isinstance(caught.value, StatementNotAllowedError) or "pars" in str(caught.value), str(caught.value)
    assert reading.rows("select count(*) as n from log") == [{"n": 1}]


def test_half_a_character_is_no_text(reading: Reading) -> None:
    # What a command line gives that is not UTF-8.
    with pytest.raises(InvalidQueryError, match="the query is no Unicode text: half a character at position 8"):
        reading.query("select '\udcff' as x")


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("select count(*) as n from (values {}) t", 50_000),
        ("select count(*) as n from (select unnest([{}]))", 50_000),
    ],
)
def test_long_lists_are_answered(reading: Reading, sql: str, count: int) -> None:
    piece = "({})" if "values" in sql else "{}"

    assert reading.rows(sql.format(",".join(piece.format(number) for number in range(count)))) == [{"n": count}]


@pytest.mark.parametrize(
    "sql",
    [
        "select range(1, 10000000000) as x",
        "select regexp_like('a', 'a{1000}{1000}{1000}') as x",
        "select lpad('x', 2000000000) as x, lpad('y', 2000000000) as y",
        "with c0 as (select 1 as x) "
        + "".join(f", c{level} as (select a.x from c{level - 1} a, c{level - 1} b)" for level in range(1, 30))
        + " select count(*) as n from c29",
    ],
    ids=["range", "regex", "lpad", "doubling"],
)
def test_a_bomb_costs_only_its_query(reading: Reading, sql: str) -> None:
    with pytest.raises((QueryFailedError, MemoryLimitError, AbortedError, TimeLimitError)):
        reading.query(sql)

    assert reading.rows("select 1 as x") == [{"x": 1}]
