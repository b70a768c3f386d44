"""Tumbling windows: what closes them, what is late, and which SQL they are written in."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kamu_assets.engines.engine import TransformSuccess
from kamu_assets.engines.slices.listing import ipc_schema
from kamu_assets.odf.data import DatasetVocabulary, OffsetInterval
from kamu_assets.odf.engine import SqlQueryStep
from kamu_assets.odf.timestamp import Timestamp
from tests.support.streams import DAY, HOUR, MINUTE, Block, Derivative, Row, Stream, execute

COLUMNS = {"k": pa.string(), "x": pa.float64(), "q": pa.int32(), "d": pa.decimal128(10, 2)}
HOURLY = "GROUP BY TUMBLE(event_time, INTERVAL '1' HOUR)"
COUNT = f"SELECT TUMBLE_START(event_time, INTERVAL '1' HOUR) AS event_time, count(*) AS n FROM s {HOURLY}"


def a_stream(folder: Path, *blocks: Block, alias: str = "s", event_time: pa.DataType | None = None) -> Stream:
    return Stream(alias, COLUMNS, blocks, folder, event_time or pa.timestamp("ms", "UTC"))


def millis(time: object) -> int:
    return Timestamp.from_datetime(time).millis  # type: ignore[arg-type] # a column of times


def counted(derivative: Derivative) -> list[tuple[int, int]]:
    return [(millis(row["event_time"]), row["n"]) for row in derivative.rows]


def first_row(folder: Path, select: str, *rows: Row) -> Row:
    """The only window's output, without system columns."""
    stream = a_stream(folder, Block(rows, 2 * HOUR, 1))
    derivative = Derivative(
        folder, f"SELECT TUMBLE_START(event_time, INTERVAL '1' HOUR) AS event_time, {select}", [stream]
    )
    derivative.all()
    (row,) = derivative.rows
    return {name: value for name, value in row.items() if name not in ("offset", "op", "event_time")}


def test_a_window_comes_out_when_the_watermark_reaches_its_end(tmp_path: Path) -> None:
    blocks = [Block([{"t": 0}, {"t": 5}], HOUR - 1, 1), Block([{"t": HOUR - 1}], HOUR, 2)]
    derivative = Derivative(tmp_path, COUNT, [a_stream(tmp_path, *blocks)])

    derivative.run(s=1)
    assert counted(derivative) == []
    derivative.run(s=2)
    assert counted(derivative) == [(0, 3)]


def test_an_explicit_watermark_without_rows_closes_windows(tmp_path: Path) -> None:
    blocks = [Block([{"t": 0}], 0, 1), Block([], HOUR, 2)]
    derivative = Derivative(tmp_path, COUNT, [a_stream(tmp_path, *blocks)])

    derivative.run(s=1)
    derivative.run(s=2)

    assert counted(derivative) == [(0, 1)]


def test_a_row_of_a_closed_window_is_dropped_and_counted(tmp_path: Path) -> None:
    blocks = [Block([{"t": 0}], HOUR + 10, 1), Block([{"t": 7}, {"t": HOUR + 1}, {"t": None}], 2 * HOUR, 2)]

    for runs in ([2], [1, 2]):
        folder = tmp_path / str(len(runs))
        folder.mkdir()
        derivative = Derivative(folder, COUNT, [a_stream(folder, *blocks)])
        for until in runs:
            derivative.run(s=until)

        # HOUR + 1 is behind the watermark but its window was open.
        assert counted(derivative) == [(0, 1), (HOUR, 1)]
        assert derivative.late_rows == 2


def test_rows_that_where_removes_are_not_late(tmp_path: Path) -> None:
    blocks = [Block([{"t": 0, "q": 1}], HOUR, 1), Block([{"t": 7, "q": 0}, {"t": 8, "q": 1}], HOUR, 2)]
    derivative = Derivative(tmp_path, COUNT.replace("FROM s", "FROM s WHERE q > 0"), [a_stream(tmp_path, *blocks)])

    derivative.all()

    assert (counted(derivative), derivative.late_rows) == ([(0, 1)], 1)


def test_times_before_1970_fall_into_their_windows(tmp_path: Path) -> None:
    stream = a_stream(tmp_path, Block([{"t": -1}, {"t": -HOUR}, {"t": -HOUR - 1}, {"t": 0}], HOUR, 1))
    derivative = Derivative(tmp_path, COUNT, [stream])

    derivative.all()

    assert counted(derivative) == [(-2 * HOUR, 1), (-HOUR, 2), (0, 1)]


def test_times_before_1970_and_after_it_come_in_one_run_or_in_two(tmp_path: Path) -> None:
    blocks = [Block([{"t": 1}, {"t": HOUR}], -HOUR, 1), Block([{"t": -1}, {"t": 2}], 2 * HOUR, 2)]

    for runs in ([2], [1, 2]):
        folder = tmp_path / str(len(runs))
        folder.mkdir()
        derivative = Derivative(folder, COUNT, [a_stream(folder, *blocks)])
        for until in runs:
            derivative.run(s=until)

        assert counted(derivative) == [(-HOUR, 1), (0, 2), (HOUR, 1)]


def test_texts_are_keys_and_picks_with_late_rows_and_without(tmp_path: Path) -> None:
    long = "longer than what fits into a view"
    rows: list[Row] = [{"t": 0, "k": long}, {"t": 1, "k": "b"}, {"t": 2, "k": None}, {"t": 3, "k": long}]
    late: list[Row] = [{"t": 4, "k": "b"}, {"t": HOUR, "k": long}]
    query = (
        "SELECT TUMBLE_START(event_time, INTERVAL '1' HOUR) AS event_time, k, count(k) AS n, max(k) AS newest "
        f"FROM s {HOURLY}, k"
    )
    derivative = Derivative(tmp_path, query, [a_stream(tmp_path, Block(rows, HOUR, 1), Block(late, 2 * HOUR, 2))])

    derivative.run(s=1)
    derivative.run(s=2)

    found = [(millis(row["event_time"]), row["k"], row["n"], row["newest"]) for row in derivative.rows]
    assert found == [(0, "b", 1, "b"), (0, long, 2, long), (0, None, 0, None), (HOUR, long, 1, long)]
    assert derivative.late_rows == 1


@pytest.mark.parametrize(("function", "extreme"), [("min", float("inf")), ("max", float("-inf"))])
def test_an_infinity_after_a_nan_comes_in_one_run_or_in_three(tmp_path: Path, function: str, extreme: float) -> None:
    rows = ({"t": 0, "x": float("nan")}, {"t": 1, "x": extreme}, {"t": 2, "x": extreme})
    blocks = [Block([row], HOUR if number == 3 else 0, number) for number, row in enumerate(rows, start=1)]
    query = COUNT.replace("count(*) AS n", f"{function}(x) AS n")

    for runs in ([3], [1, 2, 3]):
        folder = tmp_path / str(len(runs))
        folder.mkdir()
        derivative = Derivative(folder, query, [a_stream(folder, *blocks)])
        for until in runs:
            derivative.run(s=until)

        assert [row["n"] for row in derivative.rows] == [extreme]


def test_dates_are_event_times_too(tmp_path: Path) -> None:
    rows = [{"t": 0}, {"t": DAY}, {"t": DAY}]
    stream = a_stream(tmp_path, Block(rows, 2 * DAY, 1), event_time=pa.date32())
    derivative = Derivative(tmp_path, COUNT.replace("'1' HOUR", "'1' DAY"), [stream])

    derivative.all()

    assert counted(derivative) == [(0, 1), (DAY, 2)]


@pytest.mark.parametrize(
    ("interval", "size"),
    [
        ("'10' SECOND", 10_000),
        ("'15' MINUTE", 15 * MINUTE),
        ("'2' HOURS", 2 * HOUR),
        ("'1 day'", DAY),
        ("30 SECOND", 30_000),
    ],
)
def test_windows_are_as_long_as_the_interval(tmp_path: Path, interval: str, size: int) -> None:
    stream = a_stream(tmp_path, Block([{"t": size - 1}, {"t": size}], 2 * size, 1))
    derivative = Derivative(tmp_path, COUNT.replace("'1' HOUR", interval), [stream])

    derivative.all()

    assert counted(derivative) == [(0, 1), (size, 1)]


@pytest.mark.parametrize(
    "table",
    [
        "TABLE(TUMBLE(TABLE s, DESCRIPTOR(event_time), INTERVAL '1' HOUR))",
        "TABLE(TUMBLE(DATA => TABLE s, TIMECOL => DESCRIPTOR(event_time), SIZE => INTERVAL '1' HOUR))",
        "table ( tumble ( table `s`, descriptor ( `event_time` ), interval '1' hour ) ) -- TABLE(HOP(",
    ],
)
def test_the_table_function_is_the_same(tmp_path: Path, table: str) -> None:
    stream = a_stream(tmp_path, Block([{"t": 1, "k": "a"}, {"t": 2, "k": "a"}, {"t": 3, "k": "b"}], HOUR, 1))
    select = f"SELECT window_start, window_end AS event_time, k, count(*) AS n FROM {table}"
    sql = f"{select}\nGROUP BY window_start, window_end, k"
    derivative = Derivative(tmp_path, sql, [stream])

    answer = derivative.all()

    rows = [(millis(row["window_start"]), millis(row["event_time"]), row["k"], row["n"]) for row in derivative.rows]
    assert rows == [(0, HOUR, "a", 2), (0, HOUR, "b", 1)]
    assert answer.new_watermark == Timestamp.from_millis(HOUR)


def test_aggregates_of_nothing_are_null_and_counts_zero(tmp_path: Path) -> None:
    select = f"count(*) c, count(x) cx, sum(x) s, avg(x) a, min(x) lo, max(x) hi, sum(q) sq, avg(d) ad FROM s {HOURLY}"

    row = first_row(tmp_path, select, {"t": 0})

    assert row == {"c": 1, "cx": 0, "s": None, "a": None, "lo": None, "hi": None, "sq": None, "ad": None}


def test_only_a_null_among_constants_is_not_counted(tmp_path: Path) -> None:
    row = first_row(tmp_path, f"count(NULL) AS nothing, count(1) AS one, count('') AS text FROM s {HOURLY}", {"t": 0})

    assert row == {"nothing": 0, "one": 1, "text": 1}


def test_all_functions_and_expressions_over_them(tmp_path: Path) -> None:
    select = (
        "upper(k) AS u, sum(q) * 2 + count(*) AS e, avg(q) AS aq, sum(d) AS sd, avg(d) AS ad, min(k) AS lo, "
        "max(x) - min(x) AS spread, first_value(x) AS f, last_value(x) AS l, count(1) AS one "
        f"FROM s AS i {HOURLY}, upper(k)"
    )
    rows: list[Row] = [
        {"t": 9, "k": "b", "x": 1.5, "q": 3, "d": Decimal("1.00")},
        {"t": 1, "k": "B", "x": None, "q": 4, "d": Decimal("1.01")},
        {"t": 5, "k": "b", "x": 0.5, "q": None, "d": Decimal("-2.99")},
    ]

    row = first_row(tmp_path, select, *rows)

    assert row == {
        "u": "B",
        "e": 17,
        "aq": 3.5,
        "sd": Decimal("-0.98"),
        "ad": Decimal("-0.326666"),
        "lo": "B",
        "spread": 1.0,
        "f": 1.5,
        "l": 0.5,
        "one": 3,
    }


def test_first_and_last_respect_nulls_unless_told_otherwise(tmp_path: Path) -> None:
    first = "first_value(x) f, first_value(x) IGNORE NULLS fi"
    select = f"{first}, last_value(x) RESPECT NULLS l, last_value(x) IGNORE NULLS li FROM s {HOURLY}"
    blocks = [Block([{"t": 0, "x": None}, {"t": 1, "x": 1.0}], 0, 1), Block([{"t": 2, "x": 2.0}, {"t": 3}], HOUR, 2)]
    sql = f"SELECT TUMBLE_END(event_time, INTERVAL '1' HOUR) AS event_time, {select}"
    derivative = Derivative(tmp_path, sql, [a_stream(tmp_path, *blocks)])

    derivative.run(s=1)
    derivative.run(s=2)

    (row,) = derivative.rows
    assert (row["f"], row["fi"], row["l"], row["li"]) == (None, 1.0, None, 2.0)


def test_having_looks_at_the_whole_window(tmp_path: Path) -> None:
    blocks = [Block([{"t": 0, "k": "a"}, {"t": 0, "k": "b"}], 0, 1), Block([{"t": 1, "k": "a"}], HOUR, 2)]
    derivative = Derivative(tmp_path, f"{COUNT}, k HAVING count(*) > 1", [a_stream(tmp_path, *blocks)])

    derivative.run(s=1)
    derivative.run(s=2)

    assert counted(derivative) == [(0, 2)]


def test_steps_that_look_at_one_row_come_before_and_after(tmp_path: Path) -> None:
    steps = [
        SqlQueryStep(alias="seen", query="SELECT event_time AS at, lower(k) AS kind, q FROM s WHERE q > 0"),
        SqlQueryStep(
            alias="hourly",
            query="SELECT TUMBLE_START(at, INTERVAL '1' HOUR) AS start, kind, sum(q) AS n FROM seen "
            "GROUP BY TUMBLE(at, INTERVAL '1' HOUR), kind",
        ),
        SqlQueryStep(query="SELECT start AS event_time, kind || '!' AS kind, n FROM hourly WHERE n > 1"),
    ]
    rows: list[Row] = [
        {"t": 0, "k": "A", "q": 1},
        {"t": 1, "k": "a", "q": 2},
        {"t": 2, "k": "b", "q": 1},
        {"t": 3, "q": 0},
    ]
    derivative = Derivative(tmp_path, steps, [a_stream(tmp_path, Block(rows, HOUR, 1))])

    derivative.all()

    assert [(row["kind"], row["n"]) for row in derivative.rows] == [("a!", 3)]


def test_rows_come_in_total_order(tmp_path: Path) -> None:
    sql = COUNT.replace("count(*) AS n", "k, count(*) AS n") + ", k"
    rows: list[Row] = [
        {"t": HOUR, "k": "b"},
        {"t": 0, "k": None},
        {"t": 0, "k": "z"},
        {"t": HOUR, "k": "a"},
        {"t": 0, "k": "y"},
    ]
    derivative = Derivative(tmp_path, sql, [a_stream(tmp_path, Block(rows, 2 * HOUR, 1))])

    derivative.all()

    assert [(row["offset"], row["k"]) for row in derivative.rows] == [(0, "y"), (1, "z"), (2, None), (3, "a"), (4, "b")]


@pytest.mark.parametrize(
    ("time", "mark"),
    [
        ("TUMBLE_START(event_time, INTERVAL '1' HOUR)", 2 * HOUR),
        ("TUMBLE_END(event_time, INTERVAL '1' HOUR)", 2 * HOUR + 5),
        ("max(event_time)", 2 * HOUR),
        ("CAST(TUMBLE_START(event_time, INTERVAL '1' HOUR) AS DATE)", 0),
    ],
)
def test_the_output_watermark_claims_no_more_than_is_complete(tmp_path: Path, time: str, mark: int) -> None:
    stream = a_stream(tmp_path, Block([{"t": 0}], 2 * HOUR + 5, 1))
    derivative = Derivative(tmp_path, f"SELECT {time} AS event_time, count(*) AS n FROM s {HOURLY}", [stream])

    assert derivative.all().new_watermark == Timestamp.from_millis(mark)


def test_without_a_watermark_nothing_closes(tmp_path: Path) -> None:
    derivative = Derivative(tmp_path, COUNT, [a_stream(tmp_path, Block([{"t": 0}], None, 1))])

    answer = derivative.all()

    assert (derivative.rows, answer.new_watermark, answer.new_offset_interval) == ([], None, None)
    assert pq.read_schema(derivative.data(0)).names == ["offset", "op", "system_time", "event_time", "n"]
    assert derivative.checkpoint(0).exists()


def test_system_columns_may_have_other_names(tmp_path: Path) -> None:
    vocab = DatasetVocabulary(
        offset_column="o", operation_type_column="p", system_time_column="st", event_time_column="at"
    )
    stream = a_stream(tmp_path, Block([{"t": 0, "q": 1}, {"t": HOUR, "q": 2}], 2 * HOUR, 1))
    names = dict(zip(("offset", "op", "system_time", "event_time"), ("o", "p", "st", "at"), strict=True))
    table = stream.table(0, 1).rename_columns([names.get(name, name) for name in stream.schema.names])
    pq.write_table(table, tmp_path / "renamed")
    sql = COUNT.replace("event_time", "at").replace("n FROM s", "n FROM s WHERE p = 0 AND o < 1")
    request = Derivative(tmp_path, sql, [stream]).request({"s": 1})
    (news,) = request.query_inputs
    renamed = replace(news, vocab=vocab, data_paths=(str(tmp_path / "renamed"),), schema=ipc_schema(table.schema))

    answer = execute(replace(request, vocab=vocab, query_inputs=(renamed,)))

    assert isinstance(answer, TransformSuccess), answer
    assert pq.read_schema(tmp_path / "data-0").names == ["o", "p", "st", "at", "n"]
    assert answer.new_offset_interval == OffsetInterval(start=0, end=0)


def test_windows_over_windows_lose_nothing(tmp_path: Path) -> None:
    """The second level sees each row of the first in time, whatever the watermarks were."""
    marks = [50 * MINUTE, 70 * MINUTE, 119 * MINUTE, 121 * MINUTE, 121 * MINUTE, 26 * HOUR]
    blocks = [Block([{"t": mark - MINUTE}, {"t": mark}], mark, number) for number, mark in enumerate(marks)]
    low, high = tmp_path / "low", tmp_path / "high"
    low.mkdir()
    high.mkdir()
    hourly = Derivative(low, COUNT, [a_stream(low, *blocks)])
    made = []
    for number in range(len(blocks)):
        answer: TransformSuccess = hourly.run(s=number + 1)
        rows = pq.read_table(hourly.data(number)).to_pylist()
        mark = answer.new_watermark
        made.append(
            Block(
                [{"t": millis(row["event_time"]), "q": row["n"]} for row in rows],
                None if mark is None else mark.millis,
                number,
            )
        )
    daily = COUNT.replace("'1' HOUR", "'1' DAY").replace("count(*)", "sum(q)")
    second = Derivative(high, daily, [a_stream(high, *made)])
    for number in range(len(made)):
        second.run(s=number + 1)

    assert second.late_rows == 0
    assert [row["n"] for row in second.rows] == [10]
