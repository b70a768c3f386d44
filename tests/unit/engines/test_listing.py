import math
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kamu_assets.engines.session import session
from kamu_assets.engines.slices.errors import LostSliceError
from kamu_assets.engines.slices.listing import ipc_schema, listing, schema_from_ipc
from kamu_assets.engines.slices.writer import write_slice

SCHEMA = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("event_time", pa.timestamp("ms", "UTC")),
        pa.field("tags", pa.list_(pa.string())),
    ]
)
COUNTS = [3, 3, 3, 1]


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Slices whose names are not in the order of their offsets."""
    names, start = [], 0
    for name, count in zip("dbca", COUNTS, strict=True):
        columns = [pa.array(range(start, start + count)), pa.array([0] * count, SCHEMA.field(1).type)]
        batch = pa.RecordBatch.from_arrays([*columns, pa.array([["x"]] * count)], schema=SCHEMA)
        write_slice(tmp_path / name, SCHEMA, [batch])
        names.append(str(tmp_path / name))
        start += count
    return names


def offsets(paths: list[str], query: str, *, partitions: int = 2) -> list[int]:
    context = session("kamu", memory_bytes=1 << 30, partitions=partitions)
    context.register_view("t", listing(context, paths, schema=SCHEMA, sorted_by="offset"))
    numbers: list[int] = context.sql(query).to_arrow_table()["offset"].to_pylist()
    return numbers


def test_a_listing_has_exactly_these_files_and_this_schema(paths: list[str]) -> None:
    context = session("kamu", memory_bytes=1 << 30, partitions=1)

    frame = listing(context, paths[1:3], schema=SCHEMA)

    assert frame.schema() == SCHEMA
    assert sorted(frame.to_arrow_table()["offset"].to_pylist()) == [3, 4, 5, 6, 7, 8]


def test_columns_that_older_files_lack_are_null(paths: list[str]) -> None:
    context = session("kamu", memory_bytes=1 << 30)

    frame = listing(context, paths, schema=SCHEMA.append(pa.field("later", pa.int32())))

    assert frame.to_arrow_table()["later"].null_count == sum(COUNTS)


@pytest.mark.parametrize("partitions", [1, 2, 4])
@pytest.mark.parametrize("where", ["", 'where "offset" >= 0', "where event_time is not null"])
@pytest.mark.parametrize("limit", ["", "limit 100"])
def test_rows_ordered_by_offset_really_are(paths: list[str], partitions: int, where: str, limit: str) -> None:
    """With its default settings DataFusion 55 fails some of these."""
    query = f'select "offset" from t {where} order by "offset" {limit}'

    for _ in range(5):
        assert offsets(paths, query, partitions=partitions) == list(range(sum(COUNTS)))


def test_a_missing_file_is_no_empty_file(paths: list[str]) -> None:
    Path(paths[2]).unlink()

    with pytest.raises(LostSliceError, match="data slice c is missing in the store"):
        offsets(paths, "select * from t")


def test_schemas_travel_as_bytes() -> None:
    assert schema_from_ipc(ipc_schema(SCHEMA)) == SCHEMA


READINGS = SCHEMA.append(pa.field("reading", pa.float64()))


def foreign(path: Path, batch: pa.RecordBatch) -> None:
    pq.write_table(pa.Table.from_batches([batch]), path)


def ours(path: Path, batch: pa.RecordBatch) -> None:
    write_slice(path, READINGS, [batch])


@pytest.mark.parametrize("writer", [foreign, ours])
def test_nan_beside_a_single_other_value_is_read_as_nan(
    tmp_path: Path, writer: Callable[[Path, pa.RecordBatch], None]
) -> None:
    values = [
        pa.array([0, 1]),
        pa.array([0, 1], SCHEMA.field(1).type),
        pa.array([["x"]] * 2),
        pa.array([1.5, math.nan]),
    ]
    writer(tmp_path / "a", pa.RecordBatch.from_arrays(values, schema=READINGS))
    context = session("kamu", memory_bytes=1 << 30, partitions=1)

    frame = listing(context, [str(tmp_path / "a")], schema=READINGS)

    assert [str(row["reading"]) for row in frame.to_arrow_table().to_pylist()] == ["1.5", "nan"]


def test_nan_in_a_slice_of_ours_is_found_by_what_is_true_of_it(tmp_path: Path) -> None:
    values = [
        pa.array([0, 1]),
        pa.array([0, 1], SCHEMA.field(1).type),
        pa.array([["x"]] * 2),
        pa.array([1.5, math.nan]),
    ]
    ours(tmp_path / "a", pa.RecordBatch.from_arrays(values, schema=READINGS))
    context = session("kamu", memory_bytes=1 << 30, partitions=1)
    context.register_view("t", listing(context, [str(tmp_path / "a")], schema=READINGS))

    assert context.sql("select * from t where reading > 100").count() == 1


def test_one_partition_gives_the_same_rows_of_many_files_however_fast_they_open(tmp_path: Path) -> None:
    many = []
    for number in range(40):
        path = tmp_path / f"{number * 7 % 40:02}"
        rows = pa.table({"offset": range(number * 50, number * 50 + 50), "name": ["x" * (number % 7)] * 50})
        pq.write_table(rows, path)
        many.append(str(path))

    def first_rows() -> tuple[int, ...]:
        # The session in which tables are made is not the one in which queries run.
        frame = listing(session("tables", memory_bytes=1 << 26), many, sorted_by="offset")
        context = session("kamu", memory_bytes=1 << 30, partitions=1)
        context.register_view("t", frame)
        return tuple(context.sql('select "offset" from t').limit(500).to_arrow_table()["offset"].to_pylist())

    assert len({first_rows() for _ in range(20)}) == 1
