"""What a node can know of slices without opening them again."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.session import Bench, open_bench
from kamu_assets.coordinator.ingest.sidecars.history import History, open_history
from kamu_assets.coordinator.ingest.sidecars.layout import Layout
from kamu_assets.coordinator.ingest.sidecars.use import Contents, SidecarUse, known_heads
from kamu_assets.odf.data import DatasetVocabulary
from kamu_assets.odf.multihash import Multihash

MOMENT = pa.timestamp("ms", "UTC")
SCHEMA = pa.schema(
    [
        ("offset", pa.int64()),
        ("op", pa.int32()),
        ("system_time", MOMENT),
        ("event_time", MOMENT),
        ("id", pa.int64()),
        ("city", pa.string()),
        ("tags", pa.list_(pa.string())),
    ]
)
LAYOUT = Layout(Contents.STATISTICS, ("city", "id", "tags"), SCHEMA, DatasetVocabulary())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return open_bench(IngestLimits(), tmp_path)


def a_slice(folder: Path, first: int, cities: list[str | None]) -> str:
    rows = [
        {"offset": first + place, "op": 0, "system_time": 100, "event_time": 50 - place, "id": -place, "city": city}
        for place, city in enumerate(cities)
    ]
    path = folder / f"slice-{first}"
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)
    return str(path)


def statistics(history: History) -> list[dict[str, object]]:
    return [row for run in history.runs for batch in run.batches() for row in batch.drop_columns(HASHES).to_pylist()]


HASHES = ["\u2063hash"]


def test_bounds_of_offset_times_and_key_are_known(bench: Bench, tmp_path: Path) -> None:
    long = "a name that is far longer than what Parquet keeps of it in its own statistics" * 3

    history = open_history(bench, LAYOUT, [a_slice(tmp_path, 0, ["b", long, None])], None)

    (row,) = statistics(history)
    assert (row["slice"], row["records"]) == ("slice-0", 3)
    assert (row["min offset"], row["max offset"]) == (0, 2)
    assert (row["min id"], row["max id"]) == (-2, 0)
    assert (row["min city"], row["max city"]) == (long, "b")
    assert str(row["max event_time"]).startswith("1970-01-01 00:00:00.050")
    assert "min tags" not in row


def test_newer_slices_are_added(bench: Bench, tmp_path: Path) -> None:
    slices = [a_slice(tmp_path, 0, ["a", "b"]), a_slice(tmp_path, 2, ["c"])]
    heads = [Multihash.sha3_256(bytes([number])) for number in range(2)]
    folder = tmp_path / "sidecars"
    open_history(bench, LAYOUT, slices[:1], SidecarUse(folder, heads[0], next_offset=2))

    use = SidecarUse(folder, heads[1], next_offset=3, base=heads[0], base_offset=2)
    history = open_history(bench, LAYOUT, slices[1:], use)

    assert [row["slice"] for row in statistics(history)] == ["slice-0", "slice-2"]
    assert known_heads(folder / LAYOUT.name) == [heads[1]]
