"""Schemas in five formats, as recorded from kamu where it was seen to write a type."""

import json

import pyarrow as pa
import pytest

from kamu_assets.odf.arrow_schema import to_arrow
from kamu_assets.odf.data import DataSchema, UnsupportedTypeError
from kamu_assets.query.formats.schemas import SchemaFormat, describe_schema, odf_schema

# Answers of kamu 0.265.0 to `select … as l, … as s, …` and to others like it.
_RECORDED = pa.schema(
    [
        pa.field("n", pa.int64()),
        pa.field("t", pa.timestamp("ns"), nullable=False),
        pa.field("ms", pa.timestamp("ms")),
        pa.field("day", pa.date32(), nullable=False),
        pa.field("tm", pa.time64("ns"), nullable=False),
        pa.field("d", pa.decimal128(10, 2), nullable=False),
        pa.field("wide", pa.decimal128(38, 9), nullable=False),
        pa.field("u8", pa.uint8(), nullable=False),
        pa.field("u64", pa.uint64(), nullable=False),
        pa.field("f", pa.float32()),
        pa.field("ok", pa.bool_()),
        pa.field("b", pa.binary(), nullable=False),
        pa.field("lu", pa.large_string(), nullable=False),
        pa.field("l", pa.list_(pa.field("item", pa.int64()))),
        pa.field("s", pa.struct([("a", pa.int64()), ("b", pa.string())])),
        pa.field("ls", pa.list_(pa.field("item", pa.struct([("a", pa.int64())])))),
    ]
)
_TEXT = """message arrow_schema {
  OPTIONAL INT64 n;
  REQUIRED INT64 t (TIMESTAMP(NANOS,true));
  OPTIONAL INT64 ms (TIMESTAMP(MILLIS,true));
  REQUIRED INT32 day (DATE);
  REQUIRED INT64 tm (TIME(NANOS,false));
  REQUIRED INT64 d (DECIMAL(10,2));
  REQUIRED FIXED_LEN_BYTE_ARRAY (16) wide (DECIMAL(38,9));
  REQUIRED INT32 u8 (INTEGER(8,false));
  REQUIRED INT64 u64 (INTEGER(64,false));
  OPTIONAL FLOAT f;
  OPTIONAL BOOLEAN ok;
  REQUIRED BYTE_ARRAY b;
  REQUIRED BYTE_ARRAY lu (STRING);
  OPTIONAL group l (LIST) {
    REPEATED group list {
      OPTIONAL INT64 item;
    }
  }
  OPTIONAL group s {
    OPTIONAL INT64 a;
    OPTIONAL BYTE_ARRAY b (STRING);
  }
  OPTIONAL group ls (LIST) {
    REPEATED group list {
      OPTIONAL group item {
        OPTIONAL INT64 a;
      }
    }
  }
}
"""
_ARROW_JSON = (
    '{"fields":[{"name":"l","data_type":{"List":{"name":"item","data_type":"Int64","nullable":true,"dict_id":0,'
    '"dict_is_ordered":false,"metadata":{}}},"nullable":true,"dict_id":0,"dict_is_ordered":false,"metadata":{}},'
    '{"name":"s","data_type":{"Struct":[{"name":"a","data_type":"Int64","nullable":true,"dict_id":0,'
    '"dict_is_ordered":false,"metadata":{}},{"name":"b","data_type":"Utf8","nullable":true,"dict_id":0,'
    '"dict_is_ordered":false,"metadata":{}}]},"nullable":true,"dict_id":0,"dict_is_ordered":false,"metadata":{}}],'
    '"metadata":{}}'
)
_ODF_JSON = (
    '{"fields":[{"name":"l","type":{"kind":"Option","inner":{"kind":"List","itemType":{"kind":"Option","inner":'
    '{"kind":"Int64"}}}}},{"name":"s","type":{"kind":"Option","inner":{"kind":"Struct","fields":[{"name":"a","type":'
    '{"kind":"Option","inner":{"kind":"Int64"}}},{"name":"b","type":{"kind":"Option","inner":{"kind":"String"}}}]}}}]}'
)
_UNRECORDED = pa.schema(
    [
        pa.field("none", pa.null()),
        pa.field("i8", pa.int8()),
        pa.field("u16", pa.uint16()),
        pa.field("small", pa.decimal128(9, 2)),
        pa.field("huge", pa.decimal256(50, 3)),
        pa.field("half", pa.float16()),
        pa.field("d", pa.float64()),
        pa.field("seconds", pa.timestamp("s", "UTC")),
        pa.field("zoned", pa.timestamp("us", "+02:00")),
        pa.field("tm", pa.time32("ms")),
        pa.field("ts", pa.time32("s")),
        pa.field("took", pa.duration("us")),
        pa.field("key", pa.binary(16)),
        pa.field("pair", pa.list_(pa.field("item", pa.int32()), 2)),
        pa.field("m", pa.map_(pa.string(), pa.int64())),
    ]
)
_UNRECORDED_TEXT = """message arrow_schema {
  OPTIONAL INT32 none (UNKNOWN);
  OPTIONAL INT32 i8 (INTEGER(8,true));
  OPTIONAL INT32 u16 (INTEGER(16,false));
  OPTIONAL INT32 small (DECIMAL(9,2));
  OPTIONAL FIXED_LEN_BYTE_ARRAY (21) huge (DECIMAL(50,3));
  OPTIONAL FIXED_LEN_BYTE_ARRAY (2) half (FLOAT16);
  OPTIONAL DOUBLE d;
  OPTIONAL INT64 seconds;
  OPTIONAL INT64 zoned (TIMESTAMP(MICROS,true));
  OPTIONAL INT32 tm (TIME(MILLIS,false));
  OPTIONAL INT32 ts;
  OPTIONAL INT64 took;
  OPTIONAL FIXED_LEN_BYTE_ARRAY (16) key;
  OPTIONAL group pair (LIST) {
    REPEATED group list {
      OPTIONAL INT32 item;
    }
  }
  OPTIONAL group m (MAP) {
    REPEATED group entries {
      REQUIRED BYTE_ARRAY keys (STRING);
      OPTIONAL INT64 values;
    }
  }
}
"""


def _read(schema: pa.Schema) -> DataSchema:
    return odf_schema(bytes(schema.serialize()))


def test_parquet_is_written_as_kamu_writes_it() -> None:
    assert describe_schema(_read(_RECORDED), SchemaFormat.PARQUET) == _TEXT


def test_the_other_types_of_odf_have_a_parquet_form_too() -> None:
    assert describe_schema(_read(_UNRECORDED), SchemaFormat.PARQUET) == _UNRECORDED_TEXT


@pytest.mark.parametrize(
    ("schema_format", "text"), [(SchemaFormat.ARROW_JSON, _ARROW_JSON), (SchemaFormat.ODF_JSON, _ODF_JSON)]
)
def test_nested_types_are_written_as_kamu_writes_them(schema_format: SchemaFormat, text: str) -> None:
    nested = _read(pa.schema([_RECORDED.field("l"), _RECORDED.field("s")]))

    assert json.dumps(describe_schema(nested, schema_format), separators=(",", ":")) == text


def test_parquet_as_json_tells_the_same() -> None:
    about = describe_schema(_read(pa.schema([_RECORDED.field("l"), _RECORDED.field("d")])), SchemaFormat.PARQUET_JSON)

    item = {"name": "item", "repetition": "OPTIONAL", "type": "INT64"}
    inner = {"name": "list", "repetition": "REPEATED", "type": "struct", "fields": [item]}
    assert about == {
        "name": "arrow_schema",
        "type": "struct",
        "fields": [
            {"name": "l", "repetition": "OPTIONAL", "type": "struct", "logicalType": "LIST", "fields": [inner]},
            {"name": "d", "repetition": "REQUIRED", "type": "INT64", "logicalType": "DECIMAL(10,2)"},
        ],
    }


def test_arrow_json_names_every_type() -> None:
    about = json.loads(json.dumps(describe_schema(_read(_UNRECORDED), SchemaFormat.ARROW_JSON)))

    assert [field["data_type"] for field in about["fields"]][:13] == [
        "Null",
        "Int8",
        "UInt16",
        {"Decimal128": [9, 2]},
        {"Decimal256": [50, 3]},
        "Float16",
        "Float64",
        {"Timestamp": ["Second", "UTC"]},
        {"Timestamp": ["Microsecond", "+02:00"]},
        {"Time32": "Millisecond"},
        {"Time32": "Second"},
        {"Duration": "Microsecond"},
        {"FixedSizeBinary": 16},
    ]
    pair, pairs = (field["data_type"] for field in about["fields"][13:])
    assert pair["FixedSizeList"][1] == 2
    assert [column["nullable"] for column in pairs["Map"][0]["data_type"]["Struct"]] == [False, True]


@pytest.mark.parametrize("schema", [_RECORDED, _UNRECORDED, pa.schema([])])
def test_columns_of_the_formats_agree_with_arrow(schema: pa.Schema) -> None:
    read = _read(schema)

    about = json.loads(json.dumps(describe_schema(read, SchemaFormat.ARROW_JSON)))

    assert [(field["name"], field["nullable"]) for field in about["fields"]] == [
        (field.name, field.nullable) for field in to_arrow(read)
    ]


def test_a_dictionary_is_a_column_of_its_values() -> None:
    kept = pa.schema([("a", pa.dictionary(pa.int32(), pa.string())), pa.field("b", pa.int8(), nullable=False)])
    plain = pa.schema([("a", pa.string()), pa.field("b", pa.int8(), nullable=False)])

    assert _read(kept) == _read(plain)


def test_a_type_that_odf_has_not_is_named_with_its_column() -> None:
    with pytest.raises(UnsupportedTypeError, match="`i` has type month_day_nano_interval"):
        _read(pa.schema([("i", pa.month_day_nano_interval())]))
