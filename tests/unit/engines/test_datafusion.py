import errno
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kamu_assets.engines.datafusion.engine import run_transform
from kamu_assets.engines.engine import (
    InternalError,
    InvalidQuery,
    RawQueryRequest,
    RawQuerySuccess,
    TransformRequest,
    TransformRequestInput,
    TransformResponse,
    TransformSuccess,
    Watermark,
)
from kamu_assets.engines.job import RawQueryJob, TransformJob
from kamu_assets.engines.raw_query import run_raw_query
from kamu_assets.engines.slices.facts import Encodings
from kamu_assets.engines.slices.listing import ipc_schema
from kamu_assets.engines.sql.guard import refuse_panic
from kamu_assets.engines.workers.limits import DiskRefusedError
from kamu_assets.odf.data import DatasetVocabulary, OffsetInterval
from kamu_assets.odf.engine import SqlQueryStep, TransformSql
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.odf.timestamp import Timestamp

NOW = Timestamp.parse("2050-01-01T00:00:00.123456789Z")
VOCAB = DatasetVocabulary()
A_TIME = pa.scalar(0, pa.timestamp("ms", "UTC"))


def a_slice(folder: Path, name: str, *, start: int, rows: int) -> str:
    table = pa.table(
        {
            "offset": pa.array(range(start, start + rows), pa.int64()),
            "event_time": pa.repeat(A_TIME, rows),
            "who": pa.repeat(pa.scalar(name), rows),
        }
    )
    pq.write_table(table, folder / name)
    return str(folder / name)


def an_input(
    alias: str, paths: list[str], *, start: int = 0, end: int = 10**9, mark: str | None = None
) -> TransformRequestInput:
    return TransformRequestInput(
        dataset_id=DatasetID.seeded(alias.encode()),
        dataset_alias=DatasetAlias.parse("x"),
        query_alias=alias,
        vocab=VOCAB,
        offset_interval=OffsetInterval(start=start, end=end) if paths else None,
        data_paths=tuple(paths),
        schema=ipc_schema(pa.schema([("offset", pa.int64()), ("event_time", A_TIME.type), ("who", pa.string())])),
        explicit_watermarks=(Watermark(NOW, Timestamp.parse(mark)),) if mark else (),
    )


def transformed(folder: Path, sql: str | list[SqlQueryStep], *inputs: TransformRequestInput) -> TransformResponse:
    steps = [SqlQueryStep(query=sql)] if isinstance(sql, str) else sql
    request = TransformRequest(
        dataset_id=DatasetID.seeded(b"out"),
        dataset_alias=DatasetAlias.parse("out"),
        system_time=NOW,
        vocab=VOCAB,
        transform=TransformSql(engine="datafusion", queries=tuple(steps)),
        query_inputs=inputs,
        next_offset=5,
        prev_checkpoint_path=None,
        new_checkpoint_path=folder / "checkpoint",
        new_data_path=folder / "data",
    )
    (folder / "data").unlink(missing_ok=True)
    return run_transform(TransformJob(request, Encodings.KAMU, 1 << 30))


def who(folder: Path) -> str:
    """Names in the order of the output, repetitions left out."""
    names = pq.read_table(folder / "data")["who"].to_pylist()
    return "".join(name for name, before in zip(names, [None, *names], strict=False) if name != before)


@pytest.mark.parametrize(("every", "told"), [(0.0, True), (3600.0, False)])
def test_rows_are_told_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, every: float, told: bool
) -> None:
    heard: list[int] = []
    monkeypatch.setattr("kamu_assets.engines.result._TOLD_SECONDS", every)
    monkeypatch.setattr("kamu_assets.engines.result.report", heard.append)

    transformed(tmp_path, "select event_time, who from x", an_input("x", [a_slice(tmp_path, "a", start=0, rows=10)]))

    assert heard[-1:] == ([10] if told else [])


@pytest.mark.parametrize("tail", ["", " order by who desc"])
def test_branches_of_a_union_come_in_the_written_order(tmp_path: Path, tail: str) -> None:
    big, small = a_slice(tmp_path, "b", start=0, rows=60_000), a_slice(tmp_path, "a", start=0, rows=10)
    inputs = [an_input("big", [big]), an_input("small", [small])]

    union = f"select event_time, who from {{}} union all select event_time, who from {{}}{tail}"

    for _ in range(8):
        transformed(tmp_path, union.format("big", "small"), *inputs)
        assert who(tmp_path) == "ba"
        transformed(tmp_path, union.format("small", "big"), *inputs)
        assert who(tmp_path) == "ab"


MIXED = {
    "group": "select max(event_time) as event_time, who, count(*) as n from ({}) u group by who",
    "number": "select event_time, who, row_number() over () as n from ({}) u",
    "limit": "select event_time, who from ({}) u limit 20000",
    "distinct": "select distinct event_time, who from ({}) u",
    "union distinct": "select * from ({}) u union select event_time, who from small",
    "join": 'select u.event_time, u.who from ({}) u join small s on s.event_time = u.event_time and s."offset" < 1',
    "subquery": "select event_time, who from ({}) u where who in (select who from small union select who from big)",
    "in another union": "select event_time, who from (select * from ({}) v union all select event_time, 'c' from small)"
    " where who <> 'c' group by event_time, who",
    "step after step": "with w as ({}), x as (select * from w limit 30005) select event_time, who from x",
}


@pytest.mark.parametrize("query", MIXED.values(), ids=MIXED.keys())
def test_branches_come_in_the_written_order_whatever_is_done_with_them(tmp_path: Path, query: str) -> None:
    big, small = a_slice(tmp_path, "b", start=0, rows=30_000), a_slice(tmp_path, "a", start=0, rows=10)
    inputs = [an_input("big", [big]), an_input("small", [small])]
    union = "select event_time, who from {} union all select event_time, who from {}"

    for _ in range(10):
        assert isinstance(transformed(tmp_path, query.format(union.format("big", "small")), *inputs), TransformSuccess)
        assert who(tmp_path)[:2] in ("ba", "b")
        assert who(tmp_path) in ("ba", "b")
        transformed(tmp_path, query.format(union.format("small", "big")), *inputs)
        assert who(tmp_path) == "ab"


def test_many_branches_come_in_the_written_order(tmp_path: Path) -> None:
    names = "abcdefghij"
    inputs = [an_input(f"t{name}", [a_slice(tmp_path, name, start=0, rows=2_000)]) for name in names]
    union = " union all ".join(f"select event_time, who from t{name}" for name in names)

    for _ in range(10):
        transformed(tmp_path, f"select event_time, who, row_number() over () as n from ({union}) u", *inputs)
        assert who(tmp_path) == names


@pytest.mark.parametrize("query", ["{}", "select event_time, k, count(*) as n from ({}) u group by 1, 2"])
def test_branches_of_other_types_meet_in_one(tmp_path: Path, query: str) -> None:
    slices = an_input("t", [a_slice(tmp_path, "a", start=0, rows=2)])
    union = "select event_time, 1 as k from t union all select event_time, 1.5 from t"

    answer = transformed(tmp_path, query.format(union), slices)

    assert isinstance(answer, TransformSuccess), answer
    assert sorted(set(pq.read_table(tmp_path / "data")["k"].to_pylist())) == [1.0, 1.5]


def test_branches_of_a_raw_query_meet_in_one_type(tmp_path: Path) -> None:
    path = a_slice(tmp_path, "a", start=0, rows=2)
    union = "select 1 as k, date_trunc('day', event_time) as d from input union all select 1.5, event_time from input"
    query = TransformSql(engine="spark", queries=(SqlQueryStep(query=union),))

    answer = run_raw_query(RawQueryJob(RawQueryRequest((path,), query, tmp_path / "out"), 1 << 30))

    assert answer == RawQuerySuccess(4)
    assert pq.read_table(tmp_path / "out")["k"].to_pylist() == [1.0, 1.0, 1.5, 1.5]


def test_a_branch_without_news_has_no_rows(tmp_path: Path) -> None:
    some, none = an_input("some", [a_slice(tmp_path, "a", start=0, rows=3)]), an_input("none", [])
    union = "select event_time, who from none union all select event_time, who from some"

    answer = transformed(tmp_path, f"select event_time, who, count(*) as n from ({union}) u group by 1, 2", some, none)

    assert isinstance(answer, TransformSuccess), answer
    assert who(tmp_path) == "a"


def test_slices_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    names = ["f16209", "f16201", "f16205"]
    paths = [a_slice(tmp_path, name, start=index * 2, rows=2) for index, name in enumerate(names)]

    transformed(tmp_path, "select event_time, who from t order by who desc", an_input("t", paths))

    assert who(tmp_path) == "f16201f16205f16209"


def test_only_rows_of_the_interval_count(tmp_path: Path) -> None:
    path = a_slice(tmp_path, "a", start=0, rows=10)

    answer = transformed(tmp_path, 'select event_time, "offset" as o from t', an_input("t", [path], start=3, end=4))

    assert isinstance(answer, TransformSuccess)
    assert answer.new_offset_interval == OffsetInterval(start=5, end=6)
    assert pq.read_table(tmp_path / "data")["o"].to_pylist() == [3, 4]


def test_system_columns_are_completed(tmp_path: Path) -> None:
    path = a_slice(tmp_path, "a", start=0, rows=1)

    transformed(
        tmp_path,
        "select who, arrow_cast(event_time, 'Timestamp(Nanosecond, None)') as event_time,"
        " arrow_cast(2, 'UInt8') as op from t",
        an_input("t", [path]),
    )

    table = pq.read_table(tmp_path / "data")
    assert table.schema.names == ["offset", "op", "system_time", "event_time", "who"]
    assert table.schema.field("op").type == pa.int32()
    assert table.schema.field("event_time").type == A_TIME.type
    row = table.to_pylist()[0]
    assert (row["offset"], row["op"], row["system_time"].isoformat()) == (5, 2, "2050-01-01T00:00:00.123000+00:00")


def test_no_news_still_give_a_file_with_the_schema_and_the_slowest_watermark(tmp_path: Path) -> None:
    answer = transformed(
        tmp_path,
        "select event_time, who from t union all select event_time, who from u",
        an_input("t", [], mark="2031-01-01T00:00:00Z"),
        an_input("u", [], mark="2030-01-01T00:00:00Z"),
        an_input("v", []),
    )

    assert isinstance(answer, TransformSuccess)
    assert answer.new_offset_interval is None
    assert answer.new_watermark == Timestamp.parse("2030-01-01T00:00:00Z")
    assert pq.read_schema(tmp_path / "data").names == ["offset", "op", "system_time", "event_time", "who"]


def test_a_name_with_a_dot_or_a_quote_is_one_name(tmp_path: Path) -> None:
    path = a_slice(tmp_path, "a", start=0, rows=1)

    answer = transformed(tmp_path, 'select event_time, who as "a""b.c" from "x.y"', an_input("x.y", [path]))

    assert isinstance(answer, TransformSuccess)
    assert pq.read_schema(tmp_path / "data").names[-1] == 'a"b.c'


@pytest.mark.parametrize(
    ("sql", "kind", "message"),
    [
        ("selec 1", InvalidQuery, "Expected: an SQL statement, found: selec at Line: 1, Column: 1"),
        ("select event_time, nope from t", InvalidQuery, "No field named nope"),
        ("select event_time from elsewhere", InvalidQuery, "table 'odf.odf.elsewhere' not found"),
        ("select who from t", InvalidQuery, "Event time column 'event_time' was not found amongst: who"),
        ("select who as event_time from t", InvalidQuery, "should be either Date or Timestamp"),
        ("select event_time, 1 as op from t", InvalidQuery, "should be an Int32"),
        ("select * from t", InvalidQuery, "conflicts with the system column name"),
        ("select event_time, interval '1 day' as i from t", InvalidQuery, "column `i`"),
        ("select event_time; select event_time", InvalidQuery, "single SQL statement"),
        ("create table x as select 1", InternalError, "statement not allowed: CreateMemoryTable"),
        ("copy t to '/tmp/x.csv'", InternalError, "statement not allowed: COPY"),
        ('select event_time, 1/("offset" - "offset") as x from t', InternalError, "Divide by zero"),
        ("select event_time, cast(who as int) as x from t", InternalError, "Cannot cast string 'a'"),
    ],
)
def test_failures_say_whose_they_are_and_leave_no_file(
    tmp_path: Path, sql: str, kind: type[InvalidQuery | InternalError], message: str
) -> None:
    answer = transformed(tmp_path, sql, an_input("t", [a_slice(tmp_path, "a", start=0, rows=1)]))

    assert isinstance(answer, kind)
    assert message in answer.message
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("alias", ["t", "step"])
def test_two_tables_of_one_name_are_an_internal_error(tmp_path: Path, alias: str) -> None:
    view = "select event_time from t"
    steps = [SqlQueryStep(alias="step", query=view), SqlQueryStep(alias=alias, query=view), SqlQueryStep(query=view)]

    answer = transformed(tmp_path, steps, an_input("t", []))

    assert answer == InternalError(f"The table {alias} already exists")


def test_a_raw_query_reads_and_writes_files(tmp_path: Path) -> None:
    step = SqlQueryStep(query='select "offset" + 1 as n from input')
    request = RawQueryRequest(
        input_data_paths=(a_slice(tmp_path, "a", start=0, rows=3),),
        transform=TransformSql(engine="datafusion", queries=(step,)),
        output_data_path=tmp_path / "out",
    )

    assert run_raw_query(RawQueryJob(request, 1 << 30)) == RawQuerySuccess(3)
    assert pq.read_table(tmp_path / "out")["n"].to_pylist() == [1, 2, 3]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.EROFS])
def test_a_disk_that_refuses_is_blamed_and_not_the_query(code: int) -> None:
    with pytest.raises(DiskRefusedError, match=rf"^/out/slice cannot be used: {os.strerror(code)}$"):
        refuse_panic(OSError(code, os.strerror(code), "/out/slice"))
    with pytest.raises(DiskRefusedError, match=r"^a file of the engine cannot be used: "):
        refuse_panic(OSError(code, os.strerror(code)))


def test_whatever_interrupts_the_engine_is_no_answer_of_it() -> None:
    class TimeIsUpError(BaseException):
        pass

    for error in (TimeIsUpError(), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            refuse_panic(error)
