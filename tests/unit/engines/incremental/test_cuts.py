"""However an input is cut into blocks and blocks are grouped into runs: the same output, that of plain SQL."""

import math
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.streams import HOUR, MINUTE, Block, Derivative, Row, Stream, one_shot

COLUMNS = {"k": pa.string(), "x": pa.float64(), "q": pa.int32()}
VERSIONS = {"k": pa.string(), "v": pa.int64()}
WINDOWS = (
    "SELECT TUMBLE_START(event_time, INTERVAL '1' HOUR) AS event_time, k, count(*) AS n, count(x) AS nx, sum(x) AS sx, "
    "avg(x) AS ax, sum(q) AS sq, avg(q) AS aq, min(x) AS lo, max(q) AS hi, first_value(q) AS f, last_value(x) AS l "
    "FROM s WHERE q IS NULL OR q <> 3 GROUP BY TUMBLE(event_time, INTERVAL '1' HOUR), k HAVING count(*) <> 2"
)
PLAIN_WINDOWS = (
    "SELECT date_bin(INTERVAL '1 hour', event_time) AS event_time, k, count(*) AS n, count(x) AS nx, sum(x) AS sx, "
    "avg(x) AS ax, sum(q) AS sq, avg(q) AS aq, min(x) AS lo, max(q) AS hi, first_value(q) AS f, last_value(x) AS l "
    "FROM s WHERE (q IS NULL OR q <> 3) AND CAST(event_time AS BIGINT) < {end} "
    "GROUP BY date_bin(INTERVAL '1 hour', event_time), k HAVING count(*) <> 2 ORDER BY event_time, k NULLS LAST"
)
REGROUPED = (
    "SELECT TUMBLE_START(event_time, INTERVAL '1' HOUR) AS event_time, k, count(x) AS n, sum(q) AS sq, min(x) AS lo, "
    "max(x) AS hi, min(k) AS lk FROM s GROUP BY TUMBLE(event_time, INTERVAL '1' HOUR), k"
)
PLAIN_REGROUPED = (
    "SELECT date_bin(INTERVAL '1 hour', event_time) AS event_time, k, count(x) AS n, sum(q) AS sq, min(x) AS lo, "
    "max(x) AS hi, min(k) AS lk FROM s WHERE CAST(event_time AS BIGINT) < {end} "
    "GROUP BY date_bin(INTERVAL '1 hour', event_time), k ORDER BY event_time, k NULLS LAST"
)
JOIN = (
    "SELECT s.event_time, s.k, s.q, t.v "
    "FROM s LEFT JOIN t FOR SYSTEM_TIME AS OF s.event_time ON s.k = t.k AND t.v < 90 WHERE s.q IS NULL OR s.q <> 3"
)
PLAIN_JOIN = (
    "WITH versions AS (SELECT k, v, op, event_time AS since, lead(event_time) OVER w AS until FROM t "
    'WHERE op <> 2 WINDOW w AS (PARTITION BY k ORDER BY event_time, "offset")) '
    "SELECT s.event_time, s.k, s.q, t.v FROM s LEFT JOIN versions AS t ON s.k = t.k AND t.op IN (0, 3) AND t.v < 90 "
    "AND t.since <= s.event_time AND (t.until IS NULL OR s.event_time < t.until) "
    "WHERE (s.q IS NULL OR s.q <> 3) AND CAST(s.event_time AS BIGINT) < {end} "
    'ORDER BY s.event_time, s.k NULLS LAST, s.q NULLS LAST, t.v NULLS LAST, s."offset"'
)
SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])

keys = st.sampled_from(["a", "b", None])
values = st.none() | st.sampled_from([0.1, 0.2, 0.3, 1e16, -1e16, 1 / 3, -0.0])
# NaN is neither smaller nor larger than anything, and of two zeros the first one stays.
odd_values = st.sampled_from([math.nan, 0.0, -0.0, 0.5, math.inf, -math.inf])
numbers = st.none() | st.integers(0, 5)


FLOATS = (values, values | odd_values, odd_values)


@st.composite
def stream_rows(draw: st.DrawFn, first: int, *, floats: st.SearchStrategy[float | None] = values) -> list[Row]:
    """Rows at or after a time, some at the very same."""
    count = draw(st.integers(0, 6))
    times = [first + draw(st.sampled_from([0, 1, 20 * MINUTE, 59 * MINUTE, 90 * MINUTE])) for _ in range(count)]
    return [{"t": time, "k": draw(keys), "x": draw(floats), "q": draw(numbers)} for time in times]


@st.composite
def versions_of(draw: st.DrawFn, first: int) -> list[Row]:
    times = [first + draw(st.sampled_from([0, 1, 30 * MINUTE])) for _ in range(draw(st.integers(0, 4)))]
    operations = st.sampled_from([0, 0, 0, 1, 2, 3])
    return [{"t": time, "k": draw(keys), "v": draw(st.integers(0, 99)), "op": draw(operations)} for time in times]


@st.composite
def blocks(draw: st.DrawFn, *, late: bool, rows: Any = stream_rows) -> list[Block]:
    """A chain: watermarks never fall, once there is one each block has one, several share a millisecond."""
    found, mark, at = list[Block](), None, 100
    start = draw(st.sampled_from([0, -2 * HOUR, 7 * MINUTE]))
    for _ in range(draw(st.integers(1, 5))):
        first = start if mark is None else mark
        content = draw(rows(first - draw(st.sampled_from([0, 1, 3 * HOUR])) if late else first))
        if mark is not None or draw(st.booleans()):
            mark = first + draw(st.sampled_from([0, 1, 30 * MINUTE, HOUR, 2 * HOUR]))
        # A block of its own for a watermark has a millisecond of its own: see `blocks`.
        at += 1 if not content or (found and not found[-1].rows) else draw(st.integers(0, 1))
        found.append(Block(content, mark, at))
    return found


def groups(data: st.DataObject, names: dict[str, int]) -> list[dict[str, int]]:
    """Runs: up to which block each input is read."""
    read, runs = dict.fromkeys(names, 0), []
    while read != names:
        steps = {name: data.draw(st.integers(0, end - read[name])) for name, end in names.items()}
        read = {name: read[name] + step for name, step in steps.items()} if any(steps.values()) else dict(names)
        runs.append(dict(read))
    return runs


def computed(
    query: str, streams: dict[str, tuple[dict[str, pa.DataType], list[Block]]], runs: Sequence[dict[str, int]]
) -> tuple[str, int]:
    """All rows of the output with their offsets, as text so that -0.0 is not 0.0, and how many rows were late."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = [Stream(name, columns, chain, Path(folder)) for name, (columns, chain) in streams.items()]
        derivative = Derivative(Path(folder), query, inputs)
        for read in runs:
            derivative.run(**read)
        return repr(derivative.rows), derivative.late_rows


def plain(rows: list[Row]) -> str:
    return repr([{"offset": number, "op": 0, **row} for number, row in enumerate(rows)])


def end_of(chain: list[Block]) -> int:
    return max((block.mark for block in chain if block.mark is not None), default=-(1 << 62))


@SLOW
@given(st.data())
def test_windows_in_time_are_those_of_plain_sql(data: st.DataObject) -> None:
    chain = data.draw(blocks(late=False))
    runs = groups(data, {"s": len(chain)})

    rows, late = computed(WINDOWS, {"s": (COLUMNS, chain)}, runs)

    with tempfile.TemporaryDirectory() as folder:
        table = Stream("s", COLUMNS, chain, Path(folder)).table(0, len(chain))
    mark = end_of(chain)
    assert rows == plain(one_shot(PLAIN_WINDOWS.format(end=mark - mark % HOUR), s=table))
    assert late == 0


@SLOW
@given(st.data())
def test_rows_that_are_folded_among_themselves_first_give_the_same(data: st.DataObject) -> None:
    chain = data.draw(blocks(late=False, rows=partial(stream_rows, floats=data.draw(st.sampled_from(FLOATS)))))
    runs = groups(data, {"s": len(chain)})

    rows, _ = computed(REGROUPED, {"s": (COLUMNS, chain)}, runs)

    with tempfile.TemporaryDirectory() as folder:
        table = Stream("s", COLUMNS, chain, Path(folder)).table(0, len(chain))
    mark = end_of(chain)
    assert rows == plain(one_shot(PLAIN_REGROUPED.format(end=mark - mark % HOUR), s=table))


@SLOW
@given(st.data())
def test_windows_do_not_depend_on_runs_when_rows_are_late(data: st.DataObject) -> None:
    chain = data.draw(blocks(late=True))
    one_by_one = [{"s": number + 1} for number in range(len(chain))]
    streams = {"s": (COLUMNS, chain)}

    expected = computed(WINDOWS, streams, one_by_one)

    assert computed(WINDOWS, streams, [{"s": len(chain)}]) == expected
    assert computed(WINDOWS, streams, groups(data, {"s": len(chain)})) == expected


@SLOW
@given(st.data())
def test_joins_in_time_are_those_of_plain_sql(data: st.DataObject) -> None:
    chain, versions = data.draw(blocks(late=False)), data.draw(blocks(late=False, rows=versions_of))
    runs = groups(data, {"s": len(chain), "t": len(versions)})

    rows, late = computed(JOIN, {"s": (COLUMNS, chain), "t": (VERSIONS, versions)}, runs)

    with tempfile.TemporaryDirectory() as folder:
        stream = Stream("s", COLUMNS, chain, Path(folder)).table(0, len(chain))
        table = Stream("t", VERSIONS, versions, Path(folder)).table(0, len(versions))
    end = min(end_of(chain), end_of(versions))
    assert rows == plain(one_shot(PLAIN_JOIN.format(end=end), s=stream, t=table))
    assert late == 0


@SLOW
@given(st.data())
def test_joins_do_not_depend_on_runs_nor_on_which_input_comes_first(data: st.DataObject) -> None:
    chain, versions = data.draw(blocks(late=True)), data.draw(blocks(late=True, rows=versions_of))
    streams = {"s": (COLUMNS, chain), "t": (VERSIONS, versions)}
    ends = {"s": len(chain), "t": len(versions)}
    stream_first = [{"s": number + 1} for number in range(len(chain))]
    table_then = [{"t": number + 1} for number in range(len(versions))]

    expected = computed(JOIN, streams, [ends])

    assert computed(JOIN, streams, [*stream_first, *table_then]) == expected
    assert computed(JOIN, streams, [*table_then, *stream_first]) == expected
    assert computed(JOIN, streams, groups(data, ends)) == expected


@SLOW
@given(st.data())
def test_joins_with_late_changes_are_those_of_a_search_by_hand(data: st.DataObject) -> None:
    chain, versions = data.draw(blocks(late=True)), data.draw(blocks(late=True, rows=versions_of))
    ends = {"s": len(chain), "t": len(versions)}

    rows, late = computed(JOIN, {"s": (COLUMNS, chain), "t": (VERSIONS, versions)}, groups(data, ends))

    expected, expected_late = searched(chain, versions)
    assert rows == plain(expected)
    assert late == expected_late


Record = tuple[Row, int]


def searched(chain: list[Block], versions: list[Block]) -> tuple[list[Row], int]:
    """`JOIN`: every row that is in time looks through all records that came up to the watermark of its own time."""
    records = [(row, mark) for row, mark in with_marks(versions) if row.get("op", 0) != 2]
    in_time = [row for row, mark in with_marks(chain) if row["t"] >= mark]
    end = min(end_of(chain), end_of(versions))
    found = []
    for row in in_time:
        match = valid([one for one in records if one[1] <= row["t"]], row)
        if row["t"] < end and row["q"] != 3:
            found.append({"event_time": row["t"], "k": row["k"], "q": row["q"], "v": match})
    late = sum(row["t"] < mark for row, mark in with_marks(chain))
    late += sum(is_late(records[:number], *record) for number, record in enumerate(records))
    return in_order(found), late


def with_marks(chain: list[Block]) -> list[Record]:
    """Each row and the watermark before its block."""
    marks = [-(1 << 62), *(-(1 << 62) if block.mark is None else block.mark for block in chain)]
    return [(row, mark) for block, mark in zip(chain, marks, strict=False) for row in block.rows]


def valid(records: list[Record], row: Row) -> int | None:
    """The value of the newest record of the key; of two at one time the one that came last."""
    fitting = [one for one, _ in records if one["k"] == row["k"] is not None and one["t"] <= row["t"]]
    newest = max(enumerate(fitting), key=lambda one: (one[1]["t"], one[0]), default=(0, None))[1]
    if newest is None or newest["op"] == 1 or newest["v"] >= 90:
        return None
    return int(newest["v"])


def is_late(before: list[Record], row: Row, mark: int) -> bool:
    """Whether a record that came late had been replaced by then, or can never be met."""
    newer = [one for one, _ in before if one["k"] == row["k"] and row["t"] < one["t"] <= mark]
    return bool(row["t"] < mark and (newer or row["k"] is None))


def in_order(rows: list[Row]) -> list[Row]:
    """As the engine puts them, times as the output gives them."""
    ordered = sorted(
        rows, key=lambda row: [(value is None, value if value is not None else 0) for value in row.values()]
    )
    return [{**row, "event_time": pa.scalar(row["event_time"], pa.timestamp("ms", "UTC")).as_py()} for row in ordered]
