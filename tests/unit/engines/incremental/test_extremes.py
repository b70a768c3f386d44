"""The largest numbers and the first and last of all times."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kamu_assets.engines.engine import InvalidQuery, TransformSuccess
from tests.support.streams import HOUR, Block, Derivative, Row, Stream, execute, one_shot

LAST = (1 << 63) - 1
FIRST = -LAST
JOIN = "SELECT s.event_time, s.k, t.v FROM s LEFT JOIN t FOR SYSTEM_TIME AS OF s.event_time ON s.k = t.k"
COUNT = (
    "SELECT TUMBLE_START(event_time, INTERVAL '1' HOUR) AS event_time, count(*) AS n FROM s "
    "GROUP BY TUMBLE(event_time, INTERVAL '1' HOUR)"
)
SUM = COUNT.replace("count(*)", "sum(q)")


def keys(folder: Path, alias: str, kind: pa.DataType, found: Sequence[int]) -> Stream:
    rows: list[Row] = [{"t": number, "k": key, "v": key} for number, key in enumerate(found)]
    return Stream(alias, {"k": kind, "v": kind}, [Block(rows, 1000, 1)], folder)


@pytest.mark.parametrize(
    ("stream", "table", "met"),
    [
        (pa.uint64(), pa.uint64(), [0, LAST, LAST + 1, 2 * LAST + 1]),
        (pa.int64(), pa.uint64(), [0, LAST, None, None]),
        (pa.uint64(), pa.int64(), [0, LAST, None, None]),
        (pa.uint32(), pa.uint64(), [0, 7, 7, 7]),
    ],
    ids=str,
)
def test_unsigned_keys_meet_their_equals_only(
    tmp_path: Path, stream: pa.DataType, table: pa.DataType, met: list[int | None]
) -> None:
    large = {pa.uint64(): [0, LAST, LAST + 1, 2 * LAST + 1], pa.int64(): [0, LAST, -1, -LAST - 1]}
    versions = keys(tmp_path, "t", table, [*large[table], 7])
    rows: list[Row] = [{"t": 10 + at, "k": key} for at, key in enumerate(large.get(stream, [0, 7, 7, 7]))]
    derivative = Derivative(tmp_path, JOIN, [Stream("s", {"k": stream}, [Block(rows, 1000, 1)], tmp_path), versions])

    derivative.all()

    assert [row["v"] for row in derivative.rows] == met


def test_a_sum_beyond_64_bits_is_that_of_datafusion_and_flink(tmp_path: Path) -> None:
    """Both wrap around as two's complement, so the cut does not matter; a sum of DECIMAL(38, 0) has room for it."""
    rows: list[list[Row]] = [[{"t": 0, "q": LAST}], [{"t": 1, "q": LAST}, {"t": 2, "q": 5}]]
    blocks = [Block(rows[0], 1, 1), Block(rows[1], HOUR, 2)]
    stream = Stream("s", {"q": pa.int64()}, blocks, tmp_path)
    derivative = Derivative(tmp_path, SUM, [stream])

    derivative.run(s=1)
    derivative.run(s=2)

    assert [row["n"] for row in derivative.rows] == [3]
    assert one_shot("SELECT sum(q) AS n FROM s", s=stream.table(0, 2)) == [{"n": 3}]
    wide = Derivative(tmp_path / "wide", SUM.replace("sum(q)", "sum(CAST(q AS DECIMAL(38, 0)))"), [stream])
    wide.folder.mkdir()
    wide.all()
    assert [int(row["n"]) for row in wide.rows] == [2 * LAST + 5]


def means(folder: Path, *values: str) -> Derivative:
    """Means of decimals by hours."""
    rows: list[Row] = [{"t": at, "d": Decimal(value)} for at, value in enumerate(values)]
    stream = Stream("s", {"d": pa.decimal128(38, 4)}, [Block(rows, HOUR, 1)], folder)
    return Derivative(folder, SUM.replace("sum(q)", "avg(d)"), [stream])


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_mean_of_long_decimals_has_all_its_digits(tmp_path: Path, sign: str) -> None:
    derivative = means(tmp_path, f"{sign}123456789012345678901234567890.1235", f"{sign}0.0002", f"{sign}0.0001")

    derivative.all()

    assert [row["n"] for row in derivative.rows] == [Decimal(f"{sign}41152263004115226300411522630.04126666")]
    assert one_shot("SELECT avg(d) AS n FROM s", s=derivative.streams[0].table(0, 1)) == [
        {"n": derivative.rows[0]["n"]}
    ]


def test_a_mean_without_room_for_its_digits_is_refused(tmp_path: Path) -> None:
    answer = execute(means(tmp_path, "1234567890123456789012345678901.2345").request({"s": 1}))

    assert isinstance(answer, InvalidQuery)
    assert "avg(s.d) is a number too large for decimal128(38, 8)" in answer.message


@pytest.mark.parametrize("time", [LAST, FIRST, -LAST - 1, FIRST + 1])
def test_a_window_that_crosses_the_end_of_time_is_refused(tmp_path: Path, time: int) -> None:
    stream = Stream("s", {"q": pa.int32()}, [Block([{"t": 0}, {"t": time}], max(time, 0), 1)], tmp_path)
    answer = execute(Derivative(tmp_path, COUNT, [stream]).request({"s": 1}))

    assert isinstance(answer, InvalidQuery)
    assert "less than a window (3600000 ms) away from the first or last millisecond" in answer.message


@pytest.mark.parametrize("time", [LAST - 2 * HOUR, FIRST + HOUR])
def test_windows_near_the_end_of_time_are_right(tmp_path: Path, time: int) -> None:
    stream = Stream("s", {"q": pa.int32()}, [Block([{"t": time}], time, 1), Block([], LAST, 2)], tmp_path)
    derivative = Derivative(tmp_path, COUNT, [stream])

    derivative.run(s=1)
    derivative.run(s=2)

    (found,) = [times for number in range(2) for times in times_of(derivative, number)]
    assert found == time - time % HOUR


@pytest.mark.parametrize("time", [LAST - 1, FIRST])
def test_joins_near_the_end_of_time_are_right(tmp_path: Path, time: int) -> None:
    table = Stream("t", {"k": pa.int64(), "v": pa.int64()}, [Block([{"t": time, "k": 1, "v": 2}], LAST, 1)], tmp_path)
    stream = Stream("s", {"k": pa.int64()}, [Block([{"t": time, "k": 1}], LAST, 1)], tmp_path)
    derivative = Derivative(tmp_path, JOIN, [stream, table])

    assert isinstance(derivative.all(), TransformSuccess)

    assert times_of(derivative, 0) == [time]
    assert pq.read_table(derivative.data(0))["v"].to_pylist() == [2]


def times_of(derivative: Derivative, number: int) -> list[int]:
    found: list[int] = pq.read_table(derivative.data(number))["event_time"].cast(pa.int64()).to_pylist()
    return found
