"""Numbers of keys, and what is told apart by them."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.coordinator.ingest.sidecars import building
from kamu_assets.coordinator.ingest.sidecars.building import RunBuilder, Workshop
from kamu_assets.coordinator.ingest.sidecars.equality import distinct
from kamu_assets.coordinator.ingest.sidecars.key_hash import key_hashes, tells_all
from kamu_assets.coordinator.ingest.sidecars.keys import Keys
from kamu_assets.coordinator.ingest.sidecars.run import Run

VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.int8(): st.integers(-128, 127),
    pa.bool_(): st.booleans(),
    pa.float64(): st.floats(allow_nan=False),
    pa.date32(): st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    pa.decimal128(20, 3): st.decimals(-1000, 1000, places=3).map(Decimal),
    pa.string(): st.text(max_size=40),
    pa.large_binary(): st.binary(max_size=300),
    pa.list_(pa.int64()): st.lists(st.integers(0, 3), max_size=3),
}


@pytest.mark.parametrize("kind", VALUES, ids=str)
@given(data=st.data())
def test_equal_values_have_equal_numbers(kind: pa.DataType, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | VALUES[kind], min_size=1, max_size=10))
    array = pa.array(values, kind)

    numbers = key_hashes([array], 5)

    # Wherever a value lies, alone or in a slice, its number is the same.
    alone = [int(key_hashes([pa.array([value], kind)], 5)[0]) for value in values]
    assert numbers.tolist() == alone
    assert key_hashes([array.slice(1)], 5).tolist() == alone[1:]


@pytest.mark.parametrize("kind", [pa.int64(), pa.int8(), pa.date32()], ids=str)
@given(data=st.data())
def test_small_values_are_their_own_numbers_in_their_order(kind: pa.DataType, data: st.DataObject) -> None:
    values = sorted(data.draw(st.sets(VALUES[kind], min_size=2, max_size=10)))

    numbers = key_hashes([pa.array(values, kind)], 5)

    assert tells_all([kind])
    assert bool(np.all(numbers[1:] > numbers[:-1]))


def test_layouts_of_text_do_not_matter() -> None:
    values = ["", "a", None, "something that is longer than a view holds inside"]

    numbers = [key_hashes([pa.array(values, kind)], 5).tolist() for kind in (pa.string(), pa.large_string())]
    numbers.append(key_hashes([pa.array(values, pa.string_view())], 5).tolist())

    assert numbers[0] == numbers[1] == numbers[2]


def test_columns_are_not_run_together() -> None:
    numbers = key_hashes([pa.array(["ab", "a"]), pa.array(["c", "bc"])], 5)

    assert numbers[0] != numbers[1]


def test_the_seed_decides_which_texts_collide() -> None:
    array = pa.array(["a", "b"])

    assert key_hashes([array], 1).tolist() != key_hashes([array], 2).tolist()


def test_zeros_are_one_and_nan_is_itself() -> None:
    old = pa.array([0.0, float("nan"), None, 1.0, None])
    new = pa.array([-0.0, float("nan"), None, None, 2.0])

    assert distinct(old, new).tolist() == [False, False, False, True, True]
    assert key_hashes([old.slice(0, 1)], 5) == key_hashes([new.slice(0, 1)], 5)


def test_a_run_finds_each_key_once_and_the_newest_row(tmp_path: Path) -> None:
    run = _run(tmp_path, [(3, "a"), (1, "b"), (3, "c"), (2, "d")])

    found = _found(run, [2, 3, 4])

    assert found == {2: "d", 3: "c"}
    assert run.rows == 3


def test_a_run_of_many_batches_is_searched_as_one(tmp_path: Path) -> None:
    rows = [(number, str(number)) for number in range(600_000)]
    run = _run(tmp_path, rows[::-1])

    found = _found(run, [0, 262_143, 262_144, 599_999, 600_000])

    assert len(run.batch_notes) > 1
    assert found == {number: str(number) for number in (0, 262_143, 262_144, 599_999)}


@pytest.mark.parametrize(("chunk_rows", "touches_disk"), [(100, False), (99, True), (10, True)])
def test_a_run_for_oneself_touches_the_disk_only_if_it_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_rows: int, *, touches_disk: bool
) -> None:
    monkeypatch.setattr(building, "CHUNK_ROWS", chunk_rows)
    payload = pa.schema([("key", pa.int64()), ("value", pa.string())])
    builder = RunBuilder(Workshop(tmp_path, key=["key"], payload=payload, seed=5), for_others=False)
    for start in range(0, 99, 33):
        keys = [number % 50 for number in range(start, start + 33)]
        builder.add(pa.record_batch([pa.array(keys), pa.array([f"{start} {key}" for key in keys])], schema=payload))

    run = builder.finish()

    assert run is not None
    assert run.rows == 50
    assert _found(run, [0, 32, 49]) == {0: "33 0", 32: "66 32", 49: "33 49"}, "of each key the newest row"
    assert bool(list(tmp_path.iterdir())) is touches_disk


def _run(folder: Path, rows: list[tuple[int, str]]) -> Run:
    payload = pa.schema([("key", pa.int64()), ("value", pa.string())])
    builder = RunBuilder(Workshop(folder, key=["key"], payload=payload, seed=5))
    keys, values = zip(*rows, strict=True)
    builder.add(pa.record_batch([pa.array(keys), pa.array(values)], schema=payload))
    run = builder.finish()
    assert run is not None
    return run


def _found(run: Run, wanted: list[int]) -> dict[int, str]:
    keys = Keys.of([pa.array(wanted)], 5, with_nulls=False)
    return {
        wanted[int(place)]: match.batch.column("value")[int(row)].as_py()
        for match in run.find(keys, ["key"])
        for row, place in zip(match.rows, match.wanted, strict=True)
    }
