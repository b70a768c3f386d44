"""Schemas in the JSON of Arrow's Rust library, which clients of Kamu read."""

from typing import Final

from pydantic import JsonValue

from kamu_assets.odf import data as odf

_NAMES: Final[dict[type, str]] = {
    odf.BinaryType: "Binary",
    odf.BoolType: "Boolean",
    odf.DateType: "Date32",
    odf.StringType: "Utf8",
}
_COARSE: Final = frozenset({odf.TimeUnit.SECOND, odf.TimeUnit.MILLISECOND})
_DECIMAL128_DIGITS: Final = 38


def arrow_json(schema: odf.DataSchema) -> JsonValue:
    """The Arrow schema of data with this meaning, in the default memory layout."""
    return {"fields": [_field(field) for field in schema.fields], "metadata": {}}


def _field(field: odf.DataField) -> JsonValue:
    return _item(field.name, field.type)


def _item(name: str, data_type: odf.DataType) -> JsonValue:
    inner = data_type.inner if isinstance(data_type, odf.OptionType) else data_type
    return {
        "name": name,
        "data_type": _type(inner),
        "nullable": isinstance(data_type, odf.OptionType | odf.NullType),
        "dict_id": 0,
        "dict_is_ordered": False,
        "metadata": {},
    }


def _type(data_type: odf.DataType) -> JsonValue:
    match data_type:
        case odf.ListType() | odf.MapType() | odf.StructType():
            return _nested(data_type)
        case odf.BinaryType(fixed_length=int(length)):
            return {"FixedSizeBinary": length}
        case odf.DecimalType():
            name = "Decimal128" if data_type.precision <= _DECIMAL128_DIGITS else "Decimal256"
            return {name: [data_type.precision, data_type.scale]}
        case odf.TimestampType() | odf.TimeType() | odf.DurationType():
            return _temporal(data_type)
        case _:
            return _NAMES.get(type(data_type), data_type.kind)


def _nested(data_type: odf.ListType | odf.MapType | odf.StructType) -> JsonValue:
    match data_type:
        case odf.StructType():
            return {"Struct": [_field(field) for field in data_type.fields]}
        case odf.MapType():
            return {"Map": [_entries(data_type), bool(data_type.keys_sorted)]}
        case odf.ListType():
            item, length = _item("item", data_type.item_type), data_type.fixed_length
            return {"List": item} if length is None else {"FixedSizeList": [item, length]}


def _temporal(data_type: odf.TimestampType | odf.TimeType | odf.DurationType) -> JsonValue:
    unit = data_type.unit or odf.TimeUnit.MILLISECOND
    match data_type:
        case odf.TimestampType():
            return {"Timestamp": [unit.value, data_type.timezone or "UTC"]}
        case odf.TimeType():
            return {"Time32" if unit in _COARSE else "Time64": unit.value}
        case odf.DurationType():
            return {"Duration": unit.value}


def _entries(data_type: odf.MapType) -> JsonValue:
    entry = odf.StructType(
        fields=(
            odf.DataField(name="keys", type=data_type.key_type),
            odf.DataField(name="values", type=data_type.value_type),
        )
    )
    return _item("entries", entry)
