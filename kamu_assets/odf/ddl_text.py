"""ODF schemas as SQL column definitions: what `parse_ddl` reads, and types beyond it in the same manner."""

import re
from collections.abc import Callable
from typing import Any, Final

from kamu_assets.odf.data import (
    BinaryType,
    BoolType,
    DataField,
    DataSchema,
    DataType,
    DateType,
    DecimalType,
    DurationType,
    Float16Type,
    Float32Type,
    Float64Type,
    Int8Type,
    Int16Type,
    Int32Type,
    Int64Type,
    ListType,
    MapType,
    NullType,
    OptionType,
    StringType,
    StructType,
    TimestampType,
    TimeType,
    TimeUnit,
    UInt8Type,
    UInt16Type,
    UInt32Type,
    UInt64Type,
)

_WORD: Final = re.compile(r"[^\W\d]\w*")
_DIGITS: Final = {TimeUnit.SECOND: 0, TimeUnit.MILLISECOND: 3, TimeUnit.MICROSECOND: 6, TimeUnit.NANOSECOND: 9}
_PLAIN: Final[dict[type, str]] = {
    BinaryType: "BINARY",
    BoolType: "BOOLEAN",
    DateType: "DATE",
    Float16Type: "HALF",
    Float32Type: "FLOAT",
    Float64Type: "DOUBLE",
    Int8Type: "TINYINT",
    Int16Type: "SMALLINT",
    Int32Type: "INT",
    Int64Type: "BIGINT",
    UInt8Type: "TINYINT UNSIGNED",
    UInt16Type: "SMALLINT UNSIGNED",
    UInt32Type: "INT UNSIGNED",
    UInt64Type: "BIGINT UNSIGNED",
    NullType: "NULL",
    StringType: "STRING",
}


def ddl_columns(schema: DataSchema) -> list[str]:
    """One definition per column, such as `price DECIMAL(10, 2) NOT NULL`."""
    return [_column(field) for field in schema.fields]


def ddl_type(data_type: DataType) -> str:
    """The type alone; that a value may be null is not said."""
    plain = _PLAIN.get(type(data_type))
    return plain if plain is not None else _NESTED[type(data_type)](data_type)


def _column(field: DataField) -> str:
    required = "" if isinstance(field.type, OptionType) else " NOT NULL"
    return f"{_name(field.name)} {ddl_type(field.type)}{required}"


def _name(name: str) -> str:
    return name if _WORD.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _decimal(data_type: DecimalType) -> str:
    return f"DECIMAL({data_type.precision}, {data_type.scale})"


def _timestamp(data_type: TimestampType) -> str:
    # Milliseconds are what TIMESTAMP alone means in manifests.
    digits = _DIGITS[data_type.unit or TimeUnit.MILLISECOND]
    zone = data_type.timezone or "UTC"
    return f"TIMESTAMP({digits})" + ("" if zone == "UTC" else f" WITH TIME ZONE '{zone}'")


def _with_digits(word: str) -> Callable[[Any], str]:
    return lambda data_type: f"{word}({_DIGITS[data_type.unit or TimeUnit.MILLISECOND]})"


def _struct(data_type: StructType) -> str:
    return "STRUCT<" + ", ".join(f"{_name(field.name)} {ddl_type(field.type)}" for field in data_type.fields) + ">"


_NESTED: Final[dict[type, Callable[[Any], str]]] = {
    DecimalType: _decimal,
    TimestampType: _timestamp,
    TimeType: _with_digits("TIME"),
    DurationType: _with_digits("INTERVAL"),
    OptionType: lambda data_type: ddl_type(data_type.inner),
    ListType: lambda data_type: f"ARRAY<{ddl_type(data_type.item_type)}>",
    MapType: lambda data_type: f"MAP<{ddl_type(data_type.key_type)}, {ddl_type(data_type.value_type)}>",
    StructType: _struct,
}
