import errno
import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import datafusion
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kamu_assets.engines.slices import file as slice_file
from kamu_assets.engines.slices.facts import Encodings, SliceStats
from kamu_assets.engines.slices.writer import SliceWriter, write_slice
from kamu_assets.odf.data_hash import logical_hash
from kamu_assets.odf.timestamp import Timestamp

SYSTEM = [
    pa.field("offset", pa.int64(), nullable=False),
    pa.field("op", pa.int32(), nullable=False),
    pa.field("system_time", pa.timestamp("ms", "UTC"), nullable=False),
    pa.field("event_time", pa.timestamp("ms", "UTC"), nullable=False),
]


def rows(count: int, *, start: int = 0, extra: pa.Array | None = None, event_time: pa.Array | None = None) -> pa.Table:
    moments = pa.array([datetime(2050, 1, 1, tzinfo=UTC)] * count, pa.timestamp("ms", "UTC"))
    times = moments if event_time is None else event_time
    values = pa.array([f"v{number % 7}" for number in range(count)], pa.string()) if extra is None else extra
    return pa.Table.from_arrays(
        [pa.array(range(start, start + count), pa.int64()), pa.array([0] * count, pa.int32()), moments, times, values],
        schema=pa.schema([*SYSTEM[:3], SYSTEM[3].with_type(times.type), pa.field("value", values.type)]),
    )


def read_back(path: Path) -> pa.Table:
    config = datafusion.SessionConfig().set("datafusion.execution.parquet.schema_force_view_types", "false")
    return datafusion.SessionContext(config).read_parquet(str(path), file_extension="").to_arrow_table()


def written(path: Path, table: pa.Table, encodings: Encodings = Encodings.KAMU) -> SliceStats:
    return write_slice(path, table.schema, table.to_batches(max_chunksize=100), encodings=encodings)


def test_statistics_and_hashes_describe_the_file(tmp_path: Path) -> None:
    path = tmp_path / "slice"
    table = rows(250, start=10)

    stats = written(path, table)

    data = path.read_bytes()
    assert (stats.num_records, stats.first_offset, stats.last_offset, stats.size) == (250, 10, 259, len(data))
    assert stats.physical_hash.digest == hashlib.sha3_256(data).digest()
    assert stats.logical_hash == logical_hash(table) == logical_hash(read_back(path))
    assert stats.max_event_time == Timestamp.parse("2050-01-01T00:00:00Z")
    assert pq.read_table(path).to_pylist() == table.to_pylist()


def test_the_file_has_the_properties_of_the_specification(tmp_path: Path) -> None:
    written(tmp_path / "slice", rows(50))

    file = pq.ParquetFile(tmp_path / "slice")
    group = file.metadata.row_group(0)

    assert file.metadata.metadata is not None
    assert b"ARROW:schema" in file.metadata.metadata
    assert {group.column(index).compression for index in range(5)} == {"SNAPPY"}
    assert group.sorting_columns == (pq.SortingColumn(0),)
    assert "PLAIN_DICTIONARY" in group.column(1).encodings or "RLE_DICTIONARY" in group.column(1).encodings
    assert str(file.schema.column(2).logical_type).startswith("Timestamp(isAdjustedToUTC=true, timeUnit=milliseconds")
    assert file.schema.column(0).max_definition_level == 0


@pytest.mark.parametrize("encodings", list(Encodings))
def test_pages_have_an_index_of_bounds(tmp_path: Path, encodings: Encodings) -> None:
    written(tmp_path / "slice", rows(50), encodings)

    offsets = pq.read_metadata(tmp_path / "slice").row_group(0).column(0)
    assert offsets.has_column_index
    assert offsets.has_offset_index


def test_no_rows_still_make_a_file_with_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "slice"

    stats = written(path, rows(0))

    assert (stats.num_records, stats.first_offset, stats.last_offset, stats.max_event_time) == (0, None, None, None)
    assert pq.read_schema(path).names == ["offset", "op", "system_time", "event_time", "value"]


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["a", None, "b"], pa.string_view()),
        pa.array(["a", None, "a"]).dictionary_encode(),
        pa.array([1, None, 3], pa.time32("s")),
        pa.array([1, None, 3], pa.timestamp("s", "Europe/Kyiv")),
        pa.array([1, None, 3], pa.timestamp("ns")),
        pa.array([86_400_000, None, 0], pa.date64()),
        pa.array([123, None, 0], pa.int64()).view(pa.date64()),
        pa.array([1, None, 2**32 - 1], pa.uint32()),
        pa.array([[1], None, [2, 3]], pa.large_list(pa.timestamp("s"))),
        pa.array([{"a": 1}, None, {"a": None}], pa.struct([("a", pa.time32("s"))])),
        pa.array([{"a": 1}, {"a": None}, {"a": 2}], pa.struct([("a", pa.int64())])),
        pa.StructArray.from_arrays(
            [pa.array([1, 2, 3])], fields=[pa.field("a", pa.int64())], mask=pa.array([False, True, False])
        ),
        pa.array([b"ab", None, b"cd"], pa.binary(2)),
        pa.array([1, None, 3]).cast(pa.decimal256(50, 3)),
    ],
    ids=lambda values: str(values.type),
)
@pytest.mark.parametrize("encodings", list(Encodings))
def test_the_logical_hash_is_that_of_the_rows_read_back(tmp_path: Path, values: pa.Array, encodings: Encodings) -> None:
    stats = written(tmp_path / "slice", rows(3, extra=values), encodings=encodings)

    assert stats.logical_hash == logical_hash(read_back(tmp_path / "slice"))


@pytest.mark.parametrize("date_type", [pa.date32(), pa.date64()])
def test_a_date_as_event_time_counts_as_midnight(tmp_path: Path, date_type: pa.DataType) -> None:
    days = pa.array([date(2024, 5, 2), date(2024, 5, 1)], date_type)

    stats = written(tmp_path / "slice", rows(2, event_time=days))

    assert stats.max_event_time == Timestamp.parse("2024-05-02T00:00:00Z")


def test_compact_encodings_say_the_same_in_fewer_bytes(tmp_path: Path) -> None:
    table = rows(20_000)

    portable = written(tmp_path / "portable", table)
    compact = written(tmp_path / "compact", table, encodings=Encodings.COMPACT)

    assert compact.logical_hash == portable.logical_hash
    assert compact.size < portable.size


def test_a_gap_in_the_offsets_is_a_bug_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "slice"
    batches = [*rows(3).to_batches(), *rows(3, start=4).to_batches()]

    with pytest.raises(ValueError, match="offsets 4 to 6 of 3 rows do not follow 2"):
        write_slice(path, batches[0].schema, batches)

    assert not path.exists()


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "slice").write_text("precious")

    with pytest.raises(FileExistsError):
        SliceWriter(tmp_path / "slice", rows(0).schema)


def test_memory_is_bounded_by_the_group_not_by_the_slice(tmp_path: Path) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(24):
            yield from rows(10_000, start=number * 10_000, extra=pa.array(["x" * 1000] * 10_000)).to_batches()

    before = pa.total_allocated_bytes()
    peak = 0
    schema = rows(0).schema
    with SliceWriter(tmp_path / "slice", schema) as writer:
        for batch in batches():
            writer.write(batch)
            peak = max(peak, pa.total_allocated_bytes() - before)
        stats = writer.finish()

    assert stats.num_records == 240_000
    assert peak < 150 << 20, "240 MB of rows pass through"
    assert pq.ParquetFile(tmp_path / "slice").num_row_groups > 1


def test_a_file_of_several_groups_is_hashed_and_written_out_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written_out: list[int] = []
    monkeypatch.setattr(slice_file, "GROUP_BYTES", 1 << 20)
    monkeypatch.setattr(os, "fdatasync", written_out.append)
    table = rows(98_000, extra=pa.array([f"value {number}" for number in range(98_000)]))
    path = tmp_path / "slice"

    stats = write_slice(path, table.schema, table.to_batches(max_chunksize=5_000))

    groups = pq.ParquetFile(path).num_row_groups
    assert groups > 2
    assert len(written_out) == groups - 1, "the last one is left to whoever syncs the file"
    assert stats.physical_hash.digest == hashlib.sha3_256(path.read_bytes()).digest()
    assert stats.logical_hash == logical_hash(table) == logical_hash(pq.read_table(path))


def test_a_disk_that_fails_on_the_way_is_not_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(slice_file, "GROUP_BYTES", 1 << 10)
    monkeypatch.setattr(os, "fdatasync", fail)

    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        written(tmp_path / "slice", rows(200))

    assert not (tmp_path / "slice").exists()


def test_columns_without_repeated_values_are_spared_a_dictionary(tmp_path: Path) -> None:
    table = rows(150_000, extra=pa.array([f"{number % 1000:04}" for number in range(150_000)]))

    written(tmp_path / "few rows at a time", table)
    write_slice(tmp_path / "slice", table.schema, table.to_batches(max_chunksize=10_000))

    assert dictionaries(tmp_path / "few rows at a time") == {"offset", "op", "system_time", "event_time", "value"}
    assert dictionaries(tmp_path / "slice") == {"op", "system_time", "event_time", "value"}


def test_a_dictionary_that_grows_large_is_given_up(tmp_path: Path) -> None:
    pairs = [number // 2 * 7_046_029_254_386_353_131 % 2**63 for number in range(150_000)]
    table = rows(150_000, extra=pa.array(pairs))

    write_slice(tmp_path / "slice", table.schema, table.to_batches(max_chunksize=10_000))

    values = pq.ParquetFile(tmp_path / "slice").metadata.row_group(0).column(4)
    assert values.has_dictionary_page
    assert 400 << 10 < values.data_page_offset - values.dictionary_page_offset < 600 << 10


def dictionaries(path: Path) -> set[str]:
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = [group.column(index) for index in range(group.num_columns)]
    return {column.path_in_schema for column in columns if column.has_dictionary_page}


@pytest.mark.parametrize("count", [0, 1, 250])
def test_a_small_slice_has_the_bytes_that_a_stream_would_give_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    small = written(tmp_path / "small", rows(count))
    monkeypatch.setattr(slice_file, "_SMALL_BYTES", -1)
    streamed = written(tmp_path / "streamed", rows(count))

    assert small == streamed
    assert (tmp_path / "small").read_bytes() == (tmp_path / "streamed").read_bytes()


def test_slices_of_schemas_that_differ_only_in_metadata_keep_their_own(tmp_path: Path) -> None:
    def with_metadata(note: str | None) -> pa.Table:
        metadata = {"note": note} if note else None
        table = rows(3)
        field = table.schema.field("value").with_metadata(metadata)
        return table.cast(table.schema.set(table.schema.get_field_index("value"), field).with_metadata(metadata))

    found = []
    for number, note in enumerate([None, "first", "second", None, "first"]):
        path = tmp_path / str(number)
        written(path, with_metadata(note))
        schema = pq.read_schema(path)
        found.append(((schema.metadata or {}).get(b"note"), (schema.field("value").metadata or {}).get(b"note")))

    assert found == [(note, note) for note in (None, b"first", b"second", None, b"first")]


def test_slices_of_one_schema_do_not_know_each_other(tmp_path: Path) -> None:
    table = rows(5)
    first = SliceWriter(tmp_path / "first", table.schema)
    second = SliceWriter(tmp_path / "second", table.schema)
    for batch in table.to_batches():
        first.write(batch)
        second.write(batch)
    assert first.finish().logical_hash == second.finish().logical_hash == logical_hash(table)
