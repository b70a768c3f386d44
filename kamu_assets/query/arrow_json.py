"""Schemas in the JSON of Arrow's Rust library, which clients of Kamu read."""

from typing import Final

from pydantic import JsonValue

from kamu_assets.odf.data import (
    BinaryType,
    BoolType,
    DataField,
    DataSchema,
    DataType,
    DateType,
    DecimalType,
    DurationType,
    ListType,
    MapType,
    NullType,
    OptionType,
    StringType,
    StructType,
    TimestampType,
    TimeType,
    TimeUnit,
)

_NAMES: Final[dict[type, str]] = {
    BinaryType: "Binary",
    BoolType: "Boolean",
    DateType: "Date32",
    StringType: "Utf8",
}
_COARSE: Final = frozenset({TimeUnit.SECOND, TimeUnit.MILLISECOND})
_DECIMAL128_DIGITS: Final = 38


def arrow_json(schema: DataSchema) -> JsonValue:
    """The Arrow schema of data with this meaning, in the default memory layout."""
    return {"fields": [_field(field) for field in schema.fields], "metadata": {}}


def _field(field: DataField) -> JsonValue:
    return _item(field.name, field.type)


def _item(name: str, data_type: DataType) -> JsonValue:
    inner = data_type.inner if isinstance(data_type, OptionType) else data_type
    return {
        "name": name,
        "data_type": _type(inner),
        "nullable": isinstance(data_type, OptionType | NullType),
        "dict_id": 0,
        "dict_is_ordered": False,
        "metadata": {},
    }


def _type(data_type: DataType) -> JsonValue:
    match data_type:
        case ListType() | MapType() | StructType():
            return _nested(data_type)
        case BinaryType(fixed_length=int(length)):
            return {"FixedSizeBinary": length}
        case DecimalType():
            name = "Decimal128" if data_type.precision <= _DECIMAL128_DIGITS else "Decimal256"
            return {name: [data_type.precision, data_type.scale]}
        case TimestampType() | TimeType() | DurationType():
            return _temporal(data_type)
        case _:
            return _NAMES.get(type(data_type), data_type.kind)


def _nested(data_type: ListType | MapType | StructType) -> JsonValue:
    match data_type:
        case StructType():
            return {"Struct": [_field(field) for field in data_type.fields]}
        case MapType():
            return {"Map": [_entries(data_type), bool(data_type.keys_sorted)]}
        case ListType():
            item, length = _item("item", data_type.item_type), data_type.fixed_length
            return {"List": item} if length is None else {"FixedSizeList": [item, length]}


def _temporal(data_type: TimestampType | TimeType | DurationType) -> JsonValue:
    unit = data_type.unit or TimeUnit.MILLISECOND
    match data_type:
        case TimestampType():
            return {"Timestamp": [unit.value, data_type.timezone or "UTC"]}
        case TimeType():
            return {"Time32" if unit in _COARSE else "Time64": unit.value}
        case DurationType():
            return {"Duration": unit.value}


def _entries(data_type: MapType) -> JsonValue:
    entry = StructType(
        fields=(
            DataField(name="keys", type=data_type.key_type),
            DataField(name="values", type=data_type.value_type),
        )
    )
    return _item("entries", entry)
