"""A stream joined with a temporal table: versions, deletions, lateness, and what is kept."""

from pathlib import Path

import pyarrow as pa
import pytest

from kamu_assets.odf.engine import SqlQueryStep, TemporalTable
from kamu_assets.odf.timestamp import Timestamp
from tests.support.streams import Block, Derivative, Row, Stream

APPEND, RETRACT, CORRECT_FROM, CORRECT_TO = range(4)
AS_OF = "SELECT s.event_time, s.k, s.q, t.v FROM s {how} JOIN t FOR SYSTEM_TIME AS OF s.event_time {alias} ON s.k = t.k"
INNER, LEFT = AS_OF.format(how="", alias=""), AS_OF.format(how="LEFT", alias="AS t")
LATERAL = "SELECT s.event_time, s.k, s.q, t.v FROM s, LATERAL TABLE(t(s.event_time)) AS t WHERE s.k = t.k"
ON_K = (TemporalTable(name="t", primary_key=("k",)),)


def a_stream(folder: Path, *blocks: Block) -> Stream:
    return Stream("s", {"k": pa.string(), "q": pa.int32()}, blocks, folder)


def a_table(folder: Path, *blocks: Block) -> Stream:
    return Stream("t", {"k": pa.string(), "v": pa.int64()}, blocks, folder)


def joined(folder: Path, sql: str, stream: list[Row], versions: list[Row]) -> list[tuple[str | None, int, int | None]]:
    """Key, number and value of each row, when all is decided."""
    inputs = [a_stream(folder, Block(stream, 1000, 1)), a_table(folder, Block(versions, 1000, 1))]
    derivative = Derivative(folder, sql, inputs, ON_K if "LATERAL" in sql else None)
    derivative.all()
    return [(row["k"], row["q"], row["v"]) for row in derivative.rows]


ROWS: list[Row] = [
    {"t": 5, "k": "a", "q": 0},
    {"t": 10, "k": "a", "q": 1},
    {"t": 25, "k": "a", "q": 2},
    {"t": 30, "k": "b"},
]
VERSIONS: list[Row] = [{"t": 10, "k": "a", "v": 1}, {"t": 20, "k": "a", "v": 2}]


@pytest.mark.parametrize(
    "sql", [INNER, LATERAL, AS_OF.format(how="INNER", alias="t").replace("s.k = t.k", "t.k = s.k")]
)
def test_a_row_meets_the_version_of_its_own_time(tmp_path: Path, sql: str) -> None:
    assert joined(tmp_path, sql, ROWS, VERSIONS) == [("a", 1, 1), ("a", 2, 2)]


@pytest.mark.parametrize(
    "sql", [LEFT, LATERAL.replace(",", " LEFT JOIN", 4).replace(" LEFT JOIN", ",", 3).replace("WHERE", "ON")]
)
def test_a_left_join_keeps_rows_without_a_version(tmp_path: Path, sql: str) -> None:
    assert joined(tmp_path, sql, ROWS, VERSIONS) == [("a", 0, None), ("a", 1, 1), ("a", 2, 2), ("b", None, None)]


def test_of_two_versions_at_one_time_the_later_offset_counts(tmp_path: Path) -> None:
    versions = [{"t": 9, "k": "a", "v": 2}, {"t": 9, "k": "a", "v": 1}, {"t": 3, "k": "a", "v": 0}]

    assert joined(tmp_path, INNER, ROWS, versions) == [("a", 0, 0), ("a", 1, 1), ("a", 2, 1)]


def test_a_retraction_deletes_its_key(tmp_path: Path) -> None:
    versions = [*VERSIONS, {"op": RETRACT, "t": 22, "k": "a", "v": 2}]

    assert joined(tmp_path, LEFT, ROWS, versions) == [("a", 0, None), ("a", 1, 1), ("a", 2, None), ("b", None, None)]


def test_a_correction_replaces_a_version(tmp_path: Path) -> None:
    correction = [{"op": CORRECT_FROM, "t": 24, "k": "a", "v": 2}, {"op": CORRECT_TO, "t": 24, "k": "a", "v": 7}]

    assert joined(tmp_path, INNER, ROWS, [*VERSIONS, *correction]) == [("a", 1, 1), ("a", 2, 7)]


def test_a_corrected_version_was_valid_until_the_new_one(tmp_path: Path) -> None:
    # As snapshots and upserts correct: what was there before, its event time included.
    correction = [{"op": CORRECT_FROM, "t": 20, "k": "a", "v": 2}, {"op": CORRECT_TO, "t": 28, "k": "a", "v": 7}]
    rows = [*ROWS, {"t": 29, "k": "a", "q": 3}]

    assert joined(tmp_path, INNER, rows, [*VERSIONS, *correction]) == [("a", 1, 1), ("a", 2, 2), ("a", 3, 7)]


def test_what_a_correction_starts_from_is_not_late(tmp_path: Path) -> None:
    correction = [{"op": CORRECT_FROM, "t": 10, "k": "a", "v": 1}, {"op": CORRECT_TO, "t": 24, "k": "a", "v": 7}]
    table = a_table(tmp_path, Block(VERSIONS, 22, 1), Block(correction, 1000, 2))
    derivative = Derivative(tmp_path, INNER, [a_stream(tmp_path, Block(ROWS, 1000, 1)), table])

    derivative.all()

    assert [(row["q"], row["v"]) for row in derivative.rows] == [(1, 1), (2, 7)]
    assert derivative.late_rows == 0


def test_null_keys_meet_nothing(tmp_path: Path) -> None:
    rows = [{"t": 5, "k": None, "q": 0}]

    assert joined(tmp_path, LEFT, rows, [{"t": 1, "k": None, "v": 1}]) == [(None, 0, None)]


def test_other_conditions_hold_after_the_version_was_chosen(tmp_path: Path) -> None:
    """The version at 25 is v = 2; that v = 1 would fit does not bring the older one back."""
    assert joined(tmp_path, INNER + " AND t.v < 2", ROWS, VERSIONS) == [("a", 1, 1)]
    left = tmp_path / "left"
    left.mkdir()
    assert joined(left, LEFT + " AND t.v < 2 WHERE s.q > 0", ROWS, VERSIONS) == [("a", 1, 1), ("a", 2, None)]


def test_keys_may_be_computed_from_the_stream(tmp_path: Path) -> None:
    sql = INNER.replace("s.k = t.k", "lower(s.k) = t.k")

    assert joined(tmp_path, sql, [{"t": 10, "k": "A", "q": 1}], VERSIONS) == [("A", 1, 1)]


def test_a_key_of_two_columns_needs_both(tmp_path: Path) -> None:
    stream = Stream("s", {"k": pa.string(), "q": pa.int32()}, [Block([{"t": 9, "k": "a", "q": 1}], 99, 1)], tmp_path)
    rows = [{"t": 1, "k": "a", "n": 1, "v": 1}, {"t": 2, "k": "a", "n": 2, "v": 2}, {"t": 3, "k": "b", "n": 1, "v": 3}]
    table = Stream("t", {"k": pa.string(), "n": pa.int64(), "v": pa.int64()}, [Block(rows, 99, 1)], tmp_path)
    derivative = Derivative(tmp_path, f"{INNER} AND t.n = s.q", [stream, table])

    derivative.all()

    assert [row["v"] for row in derivative.rows] == [1]


def test_a_row_waits_until_both_inputs_are_complete_beyond_its_time(tmp_path: Path) -> None:
    rows = [{"t": 10, "k": "a", "q": 1}, {"t": 20, "k": "a", "q": 2}]
    stream = a_stream(tmp_path, Block(rows, 20, 1), Block([], 21, 2))
    table = a_table(tmp_path, Block([{"t": 1, "k": "a", "v": 1}], 10, 1), Block([{"t": 10, "k": "a", "v": 2}], 50, 2))
    derivative = Derivative(tmp_path, INNER, [stream, table])

    # A version of time 10 may still follow a watermark of 10.
    assert derivative.run(s=1, t=1).new_watermark == Timestamp.from_millis(10)
    assert derivative.rows == []
    assert derivative.run(t=2).new_watermark == Timestamp.from_millis(20)
    assert [(row["q"], row["v"]) for row in derivative.rows] == [(1, 2)]
    assert derivative.run(s=2).new_watermark == Timestamp.from_millis(21)
    assert [(row["q"], row["v"]) for row in derivative.rows] == [(1, 2), (2, 2)]


def test_late_rows_and_versions_out_of_date_do_not_count(tmp_path: Path) -> None:
    stream = a_stream(
        tmp_path, Block([], 20, 1), Block([{"t": 19, "k": "a", "q": 1}, {"t": 20, "k": "a", "q": 2}], 99, 2)
    )
    late: list[Row] = [{"t": 28, "k": "a", "v": 9}, {"t": None, "k": "a", "v": 8}, {"op": RETRACT, "t": 3, "k": "a"}]
    table = a_table(
        tmp_path, Block([{"t": 1, "k": "a", "v": 1}, {"t": 29, "k": "a", "v": 2}], 30, 1), Block(late, 99, 2)
    )
    derivative = Derivative(tmp_path, INNER, [stream, table])

    derivative.all()

    assert [(row["q"], row["v"]) for row in derivative.rows] == [(2, 1)]
    assert derivative.late_rows == 4


LATE_CHANGES: dict[str, tuple[list[Row], int | None]] = {
    # As snapshots retract: with the values and the event time of what was there.
    "retraction": ([{"op": RETRACT, "t": 10, "k": "a", "v": 1}], None),
    "correction": ([{"op": CORRECT_FROM, "t": 10, "k": "a", "v": 1}, {"op": CORRECT_TO, "t": 10, "k": "a", "v": 7}], 7),
    "version": ([{"t": 12, "k": "a", "v": 7}], 7),
    "retracted and back": ([{"op": RETRACT, "t": 10, "k": "a", "v": 1}, {"t": 10, "k": "a", "v": 7}], 7),
}


@pytest.mark.parametrize("change", LATE_CHANGES)
@pytest.mark.parametrize("runs", [[2], [1, 2]], ids=["at once", "one by one"])
def test_a_late_change_counts_from_the_watermark_on(tmp_path: Path, change: str, runs: list[int]) -> None:
    late, afterwards = LATE_CHANGES[change]
    rows: list[Row] = [{"t": time, "k": "a", "q": time} for time in (15, 29, 30, 40)]
    table = a_table(tmp_path, Block([{"t": 10, "k": "a", "v": 1}], 30, 1), Block(late, 1000, 2))
    derivative = Derivative(tmp_path, LEFT, [a_stream(tmp_path, Block(rows, 1000, 1)), table])

    for read in runs:
        derivative.run(s=1, t=read)

    found = [(row["q"], row["v"]) for row in derivative.rows]
    assert found == [(15, 1), (29, 1), (30, afterwards), (40, afterwards)]
    assert derivative.late_rows == 0


@pytest.mark.parametrize("runs", [[3], [1, 2, 3]], ids=["at once", "one by one"])
def test_a_late_version_brings_no_key_back_that_was_deleted_after_it(tmp_path: Path, runs: list[int]) -> None:
    table = a_table(
        tmp_path,
        Block([{"t": 10, "k": "a", "v": 1}, {"op": RETRACT, "t": 20, "k": "a", "v": 1}], 30, 1),
        Block([], 40, 2),
        Block([{"t": 15, "k": "a", "v": 2}], 1000, 3),
    )
    rows: list[Row] = [{"t": time, "k": "a", "q": time} for time in (15, 45)]
    derivative = Derivative(tmp_path, LEFT, [a_stream(tmp_path, Block(rows, 1000, 1)), table])

    for read in runs:
        derivative.run(s=1, t=read)

    assert [(row["q"], row["v"]) for row in derivative.rows] == [(15, 1), (45, None)]
    assert derivative.late_rows == 1


def test_only_versions_that_can_be_met_are_kept(tmp_path: Path) -> None:
    versions = [
        Block([{"t": time, "k": "a", "v": time}, {"t": time, "k": "b", "v": time}], time, time) for time in range(1, 90)
    ]
    versions.append(Block([{"op": RETRACT, "t": 90, "k": "b", "v": 0}], 95, 95))
    stream = a_stream(tmp_path, *(Block([{"t": time, "k": "a", "q": time}], time, time) for time in range(1, 96)))
    derivative = Derivative(tmp_path, INNER, [stream, a_table(tmp_path, *versions)])
    sizes = []
    for number in range(len(versions)):
        derivative.run(s=number + 1, t=number + 1)
        sizes.append(derivative.checkpoint(number).stat().st_size)

    # Without leaving any out there would be 180 versions and 90 rows.
    assert max(sizes) <= sizes[3] + 64
    assert [row["v"] for row in derivative.rows] == list(range(1, 90))


def test_the_stream_may_be_prepared_and_the_result_filtered(tmp_path: Path) -> None:
    steps = [
        SqlQueryStep(alias="big", query="SELECT event_time AS at, k, q + 1 AS q FROM s WHERE q > 0"),
        SqlQueryStep(
            alias="both",
            query="SELECT big.at AS event_time, big.k, big.q, t.v "
            "FROM big JOIN t FOR SYSTEM_TIME AS OF big.at ON big.k = t.k",
        ),
        SqlQueryStep(query="SELECT * FROM both WHERE v > 1"),
    ]
    stream, table = a_stream(tmp_path, Block(ROWS, 99, 1)), a_table(tmp_path, Block(VERSIONS, 99, 1))
    derivative = Derivative(tmp_path, steps, [stream, table])

    derivative.all()

    assert [(row["q"], row["v"]) for row in derivative.rows] == [(3, 2)]


def test_a_dataset_can_be_joined_with_its_own_past(tmp_path: Path) -> None:
    blocks = [
        Block([{"t": 1, "k": "a", "v": 1}], 5, 1),
        Block([{"t": 3, "k": "a", "v": 0}, {"t": 9, "k": "a", "v": 3}], 10, 2),
    ]
    sql = "SELECT n.event_time, n.v, o.v AS was FROM t AS n JOIN t FOR SYSTEM_TIME AS OF n.event_time AS o ON n.k = o.k"
    derivative = Derivative(tmp_path, sql, [a_table(tmp_path, *blocks)])

    derivative.all()

    assert [(row["v"], row["was"]) for row in derivative.rows] == [(1, 1), (3, 3)]
    assert derivative.late_rows == 1
