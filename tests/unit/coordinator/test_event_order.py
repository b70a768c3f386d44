"""Rows by event time, whatever order they come in."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from kamu_assets.coordinator.ingest import event_order, event_runs
from kamu_assets.coordinator.ingest.event_order import OutOfOrderError, in_order
from kamu_assets.coordinator.ingest.event_runs import sorted_by_time

MILLIS = pa.timestamp("ms", "UTC")
Times = list[int | None]


def batches(times: Times, *, rows: int = 10, kind: pa.DataType = MILLIS) -> Iterator[pa.RecordBatch]:
    """Rows that know the place they came at."""
    numbers = pa.int32() if kind == pa.date32() else pa.int64()
    table = pa.table({"event_time": pa.array(times, numbers).cast(kind), "place": list(range(len(times)))})
    yield from table.to_batches(max_chunksize=rows)


def places(found: Iterator[pa.RecordBatch]) -> list[int]:
    return [place for batch in found for place in batch.column("place").to_pylist()]


def wanted(times: Times) -> list[int]:
    """Python's sort is stable."""
    return sorted(range(len(times)), key=lambda place: (times[place] is not None, times[place] or 0))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_order, "_HOLD_ROWS", 20)
    monkeypatch.setattr(event_order, "_SORT_ROWS", 40)
    monkeypatch.setattr(event_runs, "_BLOCK_ROWS", 7)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(30))
def test_rows_that_come_a_little_late_are_put_right_on_the_way(seed: int) -> None:
    random.seed(seed)
    late = [place + random.randint(0, 15) for place in range(random.randint(1, 400))]
    times: Times = [*[None] * random.randint(0, 30), *late]

    assert places(in_order(batches(times, rows=random.randint(1, 50)), "event_time")) == wanted(times)


@pytest.mark.usefixtures("small")
def test_rows_in_order_pass_as_they_are() -> None:
    times: Times = [place // 3 for place in range(300)]
    came = list(batches(times))

    found = list(in_order(came, "event_time"))

    assert [batch.num_rows for batch in found] == [batch.num_rows for batch in came]
    assert [batch.column(0).buffers()[1].address for batch in found] == [
        batch.column(0).buffers()[1].address for batch in came
    ]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("late", [0, None])
def test_a_row_that_comes_far_too_late_is_noticed(late: int | None) -> None:
    times: Times = [*range(1, 300), late]

    with pytest.raises(OutOfOrderError):
        places(in_order(batches(times), "event_time"))


@pytest.mark.usefixtures("small")
def test_equal_times_are_never_too_late() -> None:
    times: Times = [5] * 500

    assert places(in_order(batches(times), "event_time")) == list(range(500))


@pytest.mark.usefixtures("small")
def test_a_few_large_rows_fill_the_window_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_order, "_HOLD_BYTES", 100)
    times: Times = [2, 1, 3, 4, 6, 5, 7, 8]

    found = in_order(batches(times, rows=2), "event_time")

    assert places(found) == wanted(times)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("memory", [1, 20_000, 1 << 30])
@pytest.mark.parametrize("seed", range(20))
def test_any_order_is_sorted_within_any_memory(tmp_path: Path, seed: int, memory: int) -> None:
    random.seed(seed)
    distinct = random.choice([1, 3, 50, 10_000])
    times: Times = [random.choice([None, random.randrange(distinct)]) for _ in range(random.randint(0, 400))]

    found = sorted_by_time(
        batches(times, rows=random.randint(1, 60)), "event_time", scratch=tmp_path, memory_bytes=memory
    )

    assert places(found) == wanted(times)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", [pa.date32(), pa.date64(), pa.timestamp("ns")])
def test_event_time_may_be_a_date(tmp_path: Path, kind: pa.DataType) -> None:
    times: Times = [day * 86_400_000 if kind == pa.date64() else day for day in (-3, 5, 0, 2, -3)]

    assert places(in_order(batches(times, kind=kind), "event_time")) == wanted(times)
    runs = sorted_by_time(batches(times, rows=2, kind=kind), "event_time", scratch=tmp_path, memory_bytes=1)
    assert places(runs) == wanted(times)


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["a", None, "c" * 20], pa.string_view()),
        pa.array([b"a", None, b"c" * 20], pa.binary_view()),
        pa.array([["a"], None, []], pa.list_(pa.string_view())),
        pa.array([{"a": "x"}, None, {"a": None}], pa.struct([("a", pa.string_view())])),
        pa.array([["a"], None, []], pa.large_list(pa.string())),
        pa.array(["a", None, "b"]).dictionary_encode(),
    ],
    ids=lambda values: str(values.type),
)
def test_columns_of_all_layouts_move_with_their_rows(tmp_path: Path, values: pa.Array) -> None:
    batch = pa.record_batch([pa.array([3, 1, 2], MILLIS), values], names=["event_time", "value"])
    rows = values.to_pylist()

    for found in (
        in_order([batch], "event_time"),
        sorted_by_time([batch, batch], "event_time", scratch=tmp_path, memory_bytes=1),
    ):
        table = pa.Table.from_batches(list(found))
        times = table["event_time"].cast(pa.int64()).to_pylist()
        assert table.schema == batch.schema
        assert table["value"].to_pylist() == [rows[{1: 1, 2: 2, 3: 0}[time]] for time in times]
        assert times == sorted(times)
