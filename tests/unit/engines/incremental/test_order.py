"""The order of output rows."""

import pyarrow as pa
import pytest

from kamu_assets.engines.incremental.order import in_total_order

MILLIS = pa.timestamp("ms", "UTC")


def ordered(times: list[int | None], **columns: pa.Array) -> list[tuple[object, ...]]:
    """Values of the columns besides time, row by row."""
    table = pa.table({"t": pa.array(times, MILLIS), **columns})
    found = in_total_order(table, "t")
    assert sorted(map(str, found.to_pylist())) == sorted(map(str, table.to_pylist()))
    return list(zip(*(found[name].to_pylist() for name in columns), strict=True))


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        (["a", "b", "c", "a"], ["a", "b", "c", "a"]),
        (["b", "a", "c", "a"], ["a", "b", "c", "a"]),
        (["c", None, "a", "a"], ["a", "c", None, "a"]),
    ],
)
def test_rows_of_one_time_come_by_the_next_column(keys: list[str], wanted: list[str]) -> None:
    assert [row[0] for row in ordered([1, 1, 1, 2], k=pa.array(keys))] == wanted


def test_equal_values_leave_it_to_the_column_after_them() -> None:
    assert ordered([1, 1, 1], k=pa.array(["a", "a", "b"]), n=pa.array([2, 1, 0])) == [("a", 1), ("a", 2), ("b", 0)]


def test_time_comes_before_everything_else() -> None:
    assert ordered([2, 1, 1], k=pa.array(["a", "b", "c"])) == [("b",), ("c",), ("a",)]
    assert ordered([None, 1, 1], k=pa.array(["a", "b", "c"])) == [("b",), ("c",), ("a",)]


def test_numbers_are_ordered_as_numbers() -> None:
    assert ordered([1, 1, 1], n=pa.array([2, 10, 9])) == [(2,), (9,), (10,)]
    assert ordered([1, 1, 1], x=pa.array([0.0, -1.0, float("inf")])) == [(-1.0,), (0.0,), (float("inf"),)]
