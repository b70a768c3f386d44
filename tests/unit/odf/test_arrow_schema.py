import base64
import io
import itertools
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.odf import data as odf
from kamu_assets.odf.arrow_schema import (
    MalformedArrowSchemaError,
    UnsupportedTypeError,
    from_arrow,
    read_legacy_schema,
    restore_arrow_types,
    strip_encoding,
    to_arrow,
    upgrade_legacy_schema,
)
from tests.unit.odf.vectors import cases

UNITS = st.sampled_from(odf.TimeUnit)
PLAIN = st.one_of(
    st.sampled_from(
        [odf.BoolType(), odf.DateType(), odf.Float64Type(), odf.Int32Type(), odf.StringType(), odf.UInt64Type()]
    ),
    st.builds(odf.BinaryType, fixed_length=st.none() | st.integers(1, 99)),
    st.builds(odf.DecimalType, precision=st.integers(1, 76), scale=st.integers(-9, 9)),
    st.builds(odf.TimeType, unit=UNITS),
    st.builds(odf.DurationType, unit=UNITS),
    st.builds(odf.TimestampType, unit=UNITS, timezone=st.sampled_from(["UTC", "+02:00", "America/Vancouver"])),
)


def nested(types: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    nullable = types | types.map(lambda inner: odf.OptionType(inner=inner))
    lists = st.tuples(nullable, st.none() | st.integers(1, 9))
    return st.one_of(
        lists.map(lambda made: odf.ListType(item_type=made[0], fixed_length=made[1])),
        st.lists(nullable, min_size=1, max_size=3).map(lambda made: odf.StructType(fields=named(made))),
        nullable.map(lambda value: odf.MapType(key_type=odf.StringType(), value_type=value, keys_sorted=False)),
    )


def named(types: list[odf.DataType]) -> tuple[odf.DataField, ...]:
    return tuple(odf.DataField(name=f"c{i}", type=data_type) for i, data_type in enumerate(types))


TYPES = st.recursive(PLAIN, nested, max_leaves=6)
SCHEMAS = st.lists(TYPES | TYPES.map(lambda inner: odf.OptionType(inner=inner)), max_size=4).map(
    lambda types: odf.DataSchema(fields=named(types))
)
LAYOUTS = [
    pa.large_string(),
    pa.string_view(),
    pa.large_binary(),
    pa.binary_view(),
    pa.date64(),
    pa.decimal32(5, 2),
    pa.decimal64(5, 2),
    pa.decimal128(5, 2),
    pa.decimal256(5, 2),
    pa.large_list(pa.int8()),
    pa.list_view(pa.int8()),
    pa.large_list_view(pa.int8()),
    pa.struct([pa.field("s", pa.large_string())]),
]


@given(SCHEMAS)
def test_a_schema_comes_back_from_arrow(schema: odf.DataSchema) -> None:
    assert from_arrow(to_arrow(schema)) == schema


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_layout_survives_as_a_hint_if_asked(layout: pa.DataType) -> None:
    schema = pa.schema([pa.field("a", layout), pa.field("b", layout, nullable=False)])

    assert to_arrow(from_arrow(schema, keep_encoding=True)) == schema
    assert from_arrow(schema) == strip_encoding(from_arrow(schema, keep_encoding=True))


def test_hints_are_spelled_as_the_specification_says() -> None:
    layouts = [pa.large_string(), pa.string_view(), pa.date64(), pa.decimal256(20, 5), pa.string()]
    schema = from_arrow(pa.schema([(str(i), layout) for i, layout in enumerate(layouts)]), keep_encoding=True)

    assert [field.extra.to_json() if field.extra else None for field in schema.fields] == [
        {"arrow.apache.org/bufferEncoding": {"kind": "Contiguous", "offsetBitWidth": 64}},
        {"arrow.apache.org/bufferEncoding": {"kind": "View", "offsetBitWidth": 32}},
        {"arrow.apache.org/dateEncoding": {"unit": "Millisecond"}},
        {"arrow.apache.org/decimalEncoding": {"bitWidth": 256}},
        None,
    ]


def test_stripping_leaves_other_attributes() -> None:
    extra = odf.ExtraAttributes({"arrow.apache.org/dateEncoding": {"unit": "Millisecond"}, "note": "mine"})
    inner = odf.DataField(name="d", type=odf.DateType(), extra=extra)
    deep = odf.ListType(item_type=odf.OptionType(inner=odf.StructType(fields=(inner,))))

    stripped = strip_encoding(odf.DataSchema(fields=(odf.DataField(name="a", type=deep),)))

    assert '"note":"mine"' in stripped.model_dump_json()
    assert "arrow.apache.org" not in stripped.model_dump_json()


@pytest.mark.parametrize(
    "extra", [{"arrow.apache.org/bufferEncoding": 1}, {"arrow.apache.org/dateEncoding": {"unit": []}}]
)
def test_a_hint_that_makes_no_sense_is_not_followed(extra: dict[str, Any]) -> None:
    field = odf.DataField(name="a", type=odf.StringType(), extra=odf.ExtraAttributes(extra))

    assert to_arrow(odf.DataSchema(fields=(field,))).field("a").type == pa.string()


def test_defaults_are_milliseconds_and_utc() -> None:
    schema = to_arrow(odf.DataSchema(fields=named([odf.TimestampType(), odf.TimeType(), odf.DurationType()])))

    assert schema.types == [pa.timestamp("ms", "UTC"), pa.time32("ms"), pa.duration("ms")]


def test_a_timestamp_without_a_zone_stays_so_in_odf_and_is_utc_in_arrow() -> None:
    schema = from_arrow(pa.schema([pa.field("t", pa.timestamp("us"), nullable=False)]))

    assert schema.fields[0].type == odf.TimestampType(unit=odf.TimeUnit.MICROSECOND)
    assert to_arrow(schema).field("t").type == pa.timestamp("us", "UTC")


@pytest.mark.parametrize(("precision", "expected"), [(38, pa.decimal128(38, 1)), (39, pa.decimal256(39, 1))])
def test_a_decimal_takes_as_many_bits_as_its_digits_need(precision: int, expected: pa.DataType) -> None:
    assert to_arrow(odf.DataSchema(fields=named([odf.DecimalType(precision=precision, scale=1)]))).types == [expected]


@pytest.mark.parametrize(
    ("data_type", "column"),
    [
        (odf.DecimalType(precision=77, scale=0), "c0"),
        (odf.DecimalType(precision=0, scale=0), "c0"),
        (odf.DecimalType(precision=5, scale=1000), "c0"),
        (odf.OptionType(inner=odf.OptionType(inner=odf.BoolType())), "c0"),
        (odf.BinaryType(fixed_length=2**40), "c0"),
        (odf.ListType(item_type=odf.MapType(key_type=odf.NullType(), value_type=odf.BoolType())), "c0.item.keys"),
    ],
)
def test_what_arrow_cannot_hold_is_refused_by_name(data_type: odf.DataType, column: str) -> None:
    with pytest.raises(UnsupportedTypeError) as error:
        to_arrow(odf.DataSchema(fields=named([data_type])))

    assert error.value.column == column


@pytest.mark.parametrize(
    ("data_type", "column"),
    [
        (pa.dictionary(pa.int8(), pa.string()), "a"),
        (pa.month_day_nano_interval(), "a"),
        (pa.struct([pa.field("u", pa.sparse_union([pa.field("x", pa.int8())]))]), "a.u"),
        (pa.list_(pa.run_end_encoded(pa.int32(), pa.int8())), "a.item"),
        (pa.map_(pa.string(), pa.large_string()), "a.value"),
    ],
)
def test_what_odf_cannot_describe_is_refused_by_name(data_type: pa.DataType, column: str) -> None:
    with pytest.raises(UnsupportedTypeError) as error:
        from_arrow(pa.schema([pa.field("a", data_type)]))

    assert error.value.column == column


@pytest.mark.parametrize("case", cases("legacy_arrow_schema"))
def test_a_legacy_schema_is_upgraded(case: dict[str, Any]) -> None:
    schema = upgrade_legacy_schema(base64.b64decode(case["raw_arrow_schema_base64"]))

    assert schema == odf.DataSchema.model_validate(case["expected"]["schema"])


@pytest.mark.parametrize("raw", [b"", b"\0\0\0", b"\xff" * 8, b"\4\0\0\0" + bytes(60), bytes(64)])
def test_bytes_that_are_no_schema_are_refused(raw: bytes) -> None:
    with pytest.raises(MalformedArrowSchemaError):
        read_legacy_schema(raw)


def test_half_a_schema_is_refused() -> None:
    raw = base64.b64decode(cases("legacy_arrow_schema")[0].values[0]["raw_arrow_schema_base64"])

    with pytest.raises(MalformedArrowSchemaError):
        read_legacy_schema(raw[: len(raw) // 2])


def test_any_single_wrong_byte_is_an_answer_or_a_refusal() -> None:
    raw = base64.b64decode(cases("legacy_arrow_schema")[2].values[0]["raw_arrow_schema_base64"])

    for index, byte in itertools.product(range(len(raw)), (0x00, 0x80, 0xFF)):
        try:
            upgrade_legacy_schema(raw[:index] + bytes([byte]) + raw[index + 1 :])
        except (MalformedArrowSchemaError, UnsupportedTypeError):
            continue


def test_types_that_parquet_forgets_are_restored() -> None:
    declared = pa.schema(
        [
            ("d", pa.date64()),
            ("t", pa.time32("s")),
            ("i", pa.int64()),
            ("s", pa.struct([pa.field("d", pa.date64()), pa.field("l", pa.list_(pa.timestamp("s")))])),
        ]
    )
    bare = pa.schema(
        [
            ("d", pa.int64()),
            ("t", pa.int32()),
            ("i", pa.int64()),
            ("s", pa.struct([pa.field("d", pa.int64()), pa.field("l", pa.list_(pa.int64()))])),
        ]
    )
    rows = [{"d": 86_400_000, "t": 1, "i": 2, "s": {"d": None, "l": [1, None]}}]
    batch = pa.RecordBatch.from_pylist(rows, bare)

    restored = restore_arrow_types(batch, declared)

    assert restored.schema == declared
    assert restored.cast(bare).to_pylist() == rows


def test_a_batch_with_nothing_to_restore_is_returned_as_it_is() -> None:
    file = io.BytesIO()
    pq.write_table(pa.table({"a": [1], "b": ["x"]}), file)
    table = pq.read_table(file)

    assert restore_arrow_types(table, pa.schema([("a", pa.int64()), ("b", pa.string_view())])) is table
