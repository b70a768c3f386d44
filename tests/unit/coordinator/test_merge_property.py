"""Whatever is ingested in whatever order: the records are those of plain SQL over all of history."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kamu_assets.coordinator.ingest import commit_order
from kamu_assets.coordinator.ingest.sidecars import building, key_hash, keys, layout, sorting
from kamu_assets.odf.source import (
    MergeStrategy,
    MergeStrategyAppend,
    MergeStrategyChangelogStream,
    MergeStrategyLedger,
    MergeStrategySnapshot,
    MergeStrategyUpsertStream,
)
from tests.support.merge_oracle import Oracle, Rows
from tests.support.merged_dataset import MOMENT, MergedDataset

TIME = pa.timestamp("ms", "UTC")
SCHEMA = pa.schema(
    [
        ("event_time", TIME),
        ("k", pa.int64()),
        ("name", pa.string()),
        ("v", pa.int32()),
        ("f", pa.float64()),
        ("inner", pa.struct([("x", pa.int64()), ("tags", pa.list_(pa.string()))])),
    ]
)
STRATEGIES: tuple[MergeStrategy, ...] = (
    MergeStrategyAppend(),
    MergeStrategyLedger(primary_key=("k",)),
    MergeStrategyLedger(primary_key=("name", "k")),
    MergeStrategyLedger(primary_key=("event_time", "name")),
    MergeStrategySnapshot(primary_key=("k",)),
    MergeStrategySnapshot(primary_key=("name", "k")),
    MergeStrategySnapshot(primary_key=("k",), compare_columns=("v", "inner")),
    MergeStrategySnapshot(primary_key=("name",), compare_columns=("event_time",)),
    MergeStrategyChangelogStream(primary_key=("k",)),
    MergeStrategyUpsertStream(primary_key=("k",)),
    MergeStrategyUpsertStream(primary_key=("k", "name")),
)
TIMES = st.none() | st.integers(1, 3).map(lambda day: datetime(2024, 1, day, tzinfo=UTC))
INNER = st.none() | st.fixed_dictionaries(
    {"x": st.none() | st.integers(0, 1), "tags": st.none() | st.lists(st.sampled_from(["a", None]), max_size=2)}
)
ROW = st.fixed_dictionaries(
    {
        "event_time": TIMES,
        "k": st.none() | st.integers(-1, 3),
        "name": st.none() | st.sampled_from(["", "a", "b", "a longer name than one word"]),
        "v": st.none() | st.integers(0, 1),
        "f": st.sampled_from([None, 0.0, -0.0, 1.5, float("nan"), float("inf")]),
        "inner": INNER,
    }
)


@st.composite
def ingests(draw: st.DrawFn) -> list[tuple[MergeStrategy, Rows]]:
    """Several inputs, of one source or of several."""
    allowed = draw(st.lists(st.sampled_from(STRATEGIES), min_size=1, max_size=2))
    steps = []
    for _ in range(draw(st.integers(1, 5))):
        strategy = draw(st.sampled_from(allowed))
        steps.append((strategy, draw(st.lists(_row(strategy), max_size=8))))
    return steps


def _row(strategy: MergeStrategy) -> st.SearchStrategy[dict[str, Any]]:
    match strategy:
        case MergeStrategyChangelogStream():
            return st.builds(lambda row, op: {**row, "op": op}, ROW, st.integers(0, 3))
        case MergeStrategyUpsertStream():
            return st.builds(lambda row, op: {**row, "op": op}, ROW, st.sampled_from([0, 1, 1, 2, 3, None, 7]))
        case _:
            return ROW


@given(ingests())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_merges_equal_plain_sql(steps: list[tuple[MergeStrategy, Rows]]) -> None:
    _check(steps, sidecars=False)


@given(ingests())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_merges_with_sidecars_equal_plain_sql(steps: list[tuple[MergeStrategy, Rows]]) -> None:
    _check(steps, sidecars=True)


@pytest.mark.parametrize("sidecars", [False, True])
@given(steps=ingests())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_neither_collisions_nor_the_size_of_pieces_matter(
    *, sidecars: bool, steps: list[tuple[MergeStrategy, Rows]]
) -> None:
    with _tiny_pieces_and_a_bad_hash():
        _check(steps, sidecars=sidecars)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_texts_may_be_views(tmp_path: Path, strategy: MergeStrategy) -> None:
    rows = [{"k": key, "name": name, "v": 1} for key, name in ((1, "a"), (2, "b" * 20), (1, "a"), (None, None))]
    table = _table(strategy, [{**row, "op": 0} for row in rows])
    views = table.set_column(2, "name", table["name"].cast(pa.string_view()))

    found, wanted = MergedDataset(tmp_path / "views"), MergedDataset(tmp_path / "texts")

    for _ in range(2):
        assert found.ingest(strategy, views) == wanted.ingest(strategy, table)


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
@pytest.mark.parametrize("strategy", [MergeStrategySnapshot, MergeStrategyUpsertStream])
def test_both_zeros_are_one_key_whose_new_value_counts(
    tmp_path: Path, strategy: type[MergeStrategySnapshot | MergeStrategyUpsertStream], kind: pa.DataType
) -> None:
    dataset = MergedDataset(tmp_path)
    first, second = (pa.table({"k": pa.array([zero], kind), "v": [v]}) for zero, v in ((0.0, 1), (-0.0, 2)))
    dataset.ingest(strategy(primary_key=("k",)), first)

    changes = dataset.ingest(strategy(primary_key=("k",)), second)

    assert [(row["op"], row["v"]) for row in changes] == [(2, 1), (3, 2)]
    assert dataset.ingest(strategy(primary_key=("k",)), second) == []


def _check(steps: list[tuple[MergeStrategy, Rows]], *, sidecars: bool) -> None:
    oracle = Oracle(SCHEMA, "event_time")
    with tempfile.TemporaryDirectory() as folder:
        dataset = MergedDataset(Path(folder), sidecars=Path(folder, "sidecars") if sidecars else None)
        for strategy, rows in steps:
            wanted = _completed(oracle.merged(strategy, dataset.all_rows(), rows))

            found = dataset.ingest(strategy, _table(strategy, rows))

            order = ["event_time"] if isinstance(strategy, MergeStrategyAppend | MergeStrategyLedger) else None
            columns = order or [*strategy.primary_key, "op"]  # type: ignore[union-attr] # the others have a key
            assert _printed(found, columns) == _printed(wanted, columns)
            assert sorted(_printed(found, ["op", *SCHEMA.names])) == sorted(_printed(wanted, ["op", *SCHEMA.names]))
        offsets = [row["offset"] for row in dataset.all_rows()]
        assert offsets == list(range(len(offsets)))


def _table(strategy: MergeStrategy, rows: Rows) -> pa.Table:
    brings_op = isinstance(strategy, MergeStrategyChangelogStream | MergeStrategyUpsertStream)
    schema = SCHEMA.append(pa.field("op", pa.int64())) if brings_op else SCHEMA
    return pa.Table.from_pylist(rows, schema=schema)


def _completed(rows: Rows) -> Rows:
    return [{**row, "event_time": row["event_time"] or MOMENT.to_datetime()} for row in rows]


def _printed(rows: Rows, columns: list[str]) -> list[str]:
    """Text, because NaN is not equal to itself."""
    return [repr([_plain(row[column]) for column in columns]) for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return sorted((key, _plain(part)) for key, part in value.items())
    return 0.0 if value == 0.0 and isinstance(value, float) else value


@contextmanager
def _tiny_pieces_and_a_bad_hash() -> Iterator[None]:
    real = key_hash.key_hashes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "key_hashes", lambda columns, seed: real(columns, seed) & 1)
        patch.setattr(keys, "tells_all", lambda _: False)
        patch.setattr(layout, "tells_all", lambda _: False)
        patch.setattr(sorting, "CHUNK_ROWS", 3)
        patch.setattr(sorting, "_BATCH_ROWS", 2)
        patch.setattr(building, "CHUNK_ROWS", 2)
        patch.setattr(building, "MAX_RUNS", 2)
        patch.setattr(commit_order, "_MEMORY_BYTES", 1)
        yield
