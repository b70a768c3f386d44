import base64
import hashlib
import io
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.odf.data_hash import LogicalHasher, UnsupportedTypeError, logical_hash
from kamu_assets.odf.item_encoding import type_tag
from tests.unit.odf.vectors import cases

INTEGERS = st.integers(-(2**31), 2**31 - 1)
COLUMNS = {
    pa.int32(): INTEGERS,
    pa.int64(): INTEGERS,
    pa.float64(): st.floats(allow_nan=False),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(max_size=4),
    pa.binary(): st.binary(max_size=4),
    pa.binary(2): st.binary(min_size=2, max_size=2),
    pa.timestamp("ms", "UTC"): INTEGERS,
    pa.list_(pa.int64()): st.lists(st.none() | INTEGERS, max_size=3),
    pa.list_(pa.list_(pa.string())): st.lists(
        st.none() | st.lists(st.none() | st.text(max_size=3), max_size=3), max_size=3
    ),
    pa.list_(pa.bool_(), 2): st.lists(st.booleans(), min_size=2, max_size=2),
}
STRUCT = pa.struct([pa.field("x", pa.int32()), pa.field("y", pa.string())])
STRUCTS = st.none() | st.fixed_dictionaries({"x": st.none() | INTEGERS, "y": st.none() | st.text(max_size=3)})


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(0, 12))
    types = draw(st.lists(st.sampled_from(list(COLUMNS)), min_size=1, max_size=4))
    columns = {
        f"c{i}": pa.array(draw(st.lists(st.none() | COLUMNS[t], min_size=rows, max_size=rows)), t)
        for i, t in enumerate(types)
    }
    columns["s"] = pa.array(draw(st.lists(STRUCTS, min_size=rows, max_size=rows)), STRUCT)
    return pa.table(columns)


def split(table: pa.Table, cut: int) -> pa.Table:
    cut = min(cut, len(table))
    return pa.concat_tables([table.slice(0, cut), table.slice(cut)])


def item_bytes(value: Any, data_type: pa.DataType) -> bytes:
    """One item by the rule, the slow way."""
    if value is None:
        return b"\0"
    if isinstance(value, list):
        return struct.pack("<Q", len(value)) + b"".join(item_bytes(item, data_type.value_type) for item in value)
    if isinstance(value, str | bytes):
        content = value.encode() if isinstance(value, str) else value
        return struct.pack("<Q", len(content)) + content
    if isinstance(value, bool):
        return bytes([1 + value])
    return bytes(pa.array([value], data_type).buffers()[1])[: data_type.bit_width // 8]


@pytest.mark.parametrize("case", cases("logical_hash"))
def test_hashes_are_those_of_upstream(case: dict[str, Any]) -> None:
    batches = pa.ipc.open_stream(base64.b64decode(case["arrow_ipc_stream_base64"])).read_all().to_batches()

    def compute() -> str:
        hasher = LogicalHasher(batches[0].schema, struct_batch_rows=None)
        for batch in batches:
            hasher.update(batch)
        return str(hasher.digest())

    if "error" in case["expected"]:
        with pytest.raises(UnsupportedTypeError, match="column `x` has type"):
            compute()
    else:
        assert compute() == case["expected"]["logical_hash"]


def test_a_parquet_file_of_upstream_hashes_as_its_block_says() -> None:
    (case,) = (param.values[0] for param in cases("e2e_dataset") if param.id == "e2e/data_slice")
    table = pq.read_table(io.BytesIO(base64.b64decode(case["parquet_base64"])))

    assert str(logical_hash(table)) == case["expected"]["logical_hash"]


@given(tables(), st.integers(0, 12))
def test_the_split_into_batches_makes_no_difference(table: pa.Table, cut: int) -> None:
    assert logical_hash(split(table, cut)) == logical_hash(table)


@given(tables())
def test_physical_encoding_makes_no_difference(table: pa.Table) -> None:
    large = {
        pa.string(): pa.large_string(),
        pa.binary(): pa.large_binary(),
        pa.list_(pa.int64()): pa.large_list(pa.int64()),
    }
    view = {pa.string(): pa.string_view(), pa.binary(): pa.binary_view()}

    for encoding in (large, view):
        other = table.cast(pa.schema([f.with_type(encoding.get(f.type, f.type)) for f in table.schema]))

        assert logical_hash(other) == logical_hash(table)


@given(tables(), st.integers(0, 12))
def test_columns_are_streams_of_their_items(table: pa.Table, cut: int) -> None:
    table = table.drop_columns(["s"])
    total = hashlib.sha3_256(
        b"".join(struct.pack("<Q", len(n)) + n.encode() + struct.pack("<Q", 0) for n in table.column_names)
    )
    for field in table.schema:
        items = b"".join(item_bytes(v, field.type) for v in raw_values(table[field.name]))
        total.update(hashlib.sha3_256(type_tag(field.type, field.name) + items).digest())

    assert logical_hash(split(table, cut)).digest == total.digest()


@pytest.mark.parametrize("length", [0, 1, 7, 16])
@pytest.mark.parametrize(
    "data_type", [pa.string(), pa.large_binary(), pa.string_view(), pa.list_(pa.string())], ids=str
)
def test_values_of_one_length_are_hashed_as_any(length: int, data_type: pa.DataType) -> None:
    texts = [f"{number:0>16}"[-length:] if length else "" for number in range(50)]
    is_list = data_type == pa.list_(pa.string())
    values = pa.array(
        [[text, text] for text in texts] if is_list else texts, pa.list_(pa.string()) if is_list else None
    )
    column = values.cast(data_type).slice(5, 40)
    items = b"".join(item_bytes(value, data_type) for value in raw_values(pa.chunked_array([column])))

    column_digest = hashlib.sha3_256(type_tag(data_type, "c") + items).digest()

    header = struct.pack("<Q", 1) + b"c" + struct.pack("<Q", 0)
    assert logical_hash(pa.table({"c": column})).digest == hashlib.sha3_256(header + column_digest).digest()


def raw_values(column: pa.ChunkedArray) -> list[Any]:
    return list((column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist())


def test_structs_are_hashed_ten_thousand_rows_at_a_time_as_upstream_reads_them() -> None:
    # The second struct is null, and so is a child of the last: apart from each other they hash differently.
    rows = [{"x": 1, "y": "a"}, None, *[{"x": 1, "y": "a"}] * 9_998, {"x": None, "y": "a"}]
    table = pa.table({"s": pa.array(rows, STRUCT)})

    def by_updates(*sizes: int) -> str:
        hasher = LogicalHasher(table.schema, struct_batch_rows=None)
        for size in sizes:
            hasher.update(table.slice(sum(sizes[: sizes.index(size)]), size))
        return str(hasher.digest())

    assert str(logical_hash(table)) == by_updates(10_000, 1) != by_updates(10_001)


def test_an_executor_changes_the_time_only() -> None:
    table = pa.table({"a": [1, None, 3], "b": ["x", "y", None]})

    with ThreadPoolExecutor(2) as executor:
        assert logical_hash(table, executor=executor) == logical_hash(table)


def test_a_copy_goes_its_own_way() -> None:
    table = pa.table({"a": [1, 2, 3], "s": [{"x": 1}, None, {"x": None}]})
    head, tail = table.slice(0, 2), table.slice(2)
    hasher = LogicalHasher(table.schema)
    hasher.update(head)
    other = hasher.copy()
    other.update(tail)

    assert hasher.digest() == logical_hash(head)
    assert other.digest() == logical_hash(table)
    hasher.update(tail)
    assert hasher.digest() == logical_hash(table)


def test_a_digest_may_be_taken_on_the_way() -> None:
    table = pa.table({"s": pa.array([{"x": 1, "y": "a"}, None], STRUCT)})
    hasher = LogicalHasher(table.schema)

    hasher.update(table.slice(0, 1))
    assert hasher.digest() == logical_hash(table.slice(0, 1))
    hasher.update(table.slice(1))
    assert hasher.digest() == logical_hash(table)


@pytest.mark.parametrize(
    ("data_type", "column"),
    [
        (pa.list_(STRUCT), "x"),
        (pa.map_(pa.string(), pa.int32()), "x"),
        (pa.struct([pa.field("d", pa.duration("s"))]), "x.d"),
        (pa.list_view(pa.int32()), "x"),
        (pa.run_end_encoded(pa.int32(), pa.string()), "x"),
        (pa.month_day_nano_interval(), "x"),
        (pa.null(), "x"),
    ],
)
def test_a_type_without_a_hash_is_refused_by_name(data_type: pa.DataType, column: str) -> None:
    with pytest.raises(UnsupportedTypeError) as error:
        LogicalHasher(pa.schema([pa.field("x", data_type)]))

    assert error.value.column == column


def test_a_batch_of_another_schema_is_refused() -> None:
    hasher = LogicalHasher(pa.schema([("a", pa.int64())]))

    with pytest.raises(ValueError, match="another schema"):
        hasher.update(pa.table({"a": pa.array([1], pa.int32())}))


def test_an_extension_type_hashes_as_its_storage() -> None:
    plain = pa.array([b"0123456789abcdef", None], pa.binary(16))

    assert logical_hash(pa.table({"a": pa.ExtensionArray.from_storage(pa.uuid(), plain)})) == logical_hash(
        pa.table({"a": plain})
    )
