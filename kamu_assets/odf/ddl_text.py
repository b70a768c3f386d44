"""ODF schemas as SQL column definitions: what `parse_ddl` reads, and types beyond it in the same manner."""

import re
from collections.abc import Callable
from typing import Any, Final

from kamu_assets.odf import data as odf

_WORD: Final = re.compile(r"[^\W\d]\w*")
_DIGITS: Final = {
    odf.TimeUnit.SECOND: 0,
    odf.TimeUnit.MILLISECOND: 3,
    odf.TimeUnit.MICROSECOND: 6,
    odf.TimeUnit.NANOSECOND: 9,
}
_PLAIN: Final[dict[type, str]] = {
    odf.BinaryType: "BINARY",
    odf.BoolType: "BOOLEAN",
    odf.DateType: "DATE",
    odf.Float16Type: "HALF",
    odf.Float32Type: "FLOAT",
    odf.Float64Type: "DOUBLE",
    odf.Int8Type: "TINYINT",
    odf.Int16Type: "SMALLINT",
    odf.Int32Type: "INT",
    odf.Int64Type: "BIGINT",
    odf.UInt8Type: "TINYINT UNSIGNED",
    odf.UInt16Type: "SMALLINT UNSIGNED",
    odf.UInt32Type: "INT UNSIGNED",
    odf.UInt64Type: "BIGINT UNSIGNED",
    odf.NullType: "NULL",
    odf.StringType: "STRING",
}


def ddl_columns(schema: odf.DataSchema) -> list[str]:
    """One definition per column, such as `price DECIMAL(10, 2) NOT NULL`."""
    return [_column(field) for field in schema.fields]


def ddl_type(data_type: odf.DataType) -> str:
    """The type alone; that a value may be null is not said."""
    plain = _PLAIN.get(type(data_type))
    return plain if plain is not None else _NESTED[type(data_type)](data_type)


def _column(field: odf.DataField) -> str:
    required = "" if isinstance(field.type, odf.OptionType) else " NOT NULL"
    return f"{_name(field.name)} {ddl_type(field.type)}{required}"


def _name(name: str) -> str:
    return name if _WORD.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _decimal(data_type: odf.DecimalType) -> str:
    return f"DECIMAL({data_type.precision}, {data_type.scale})"


def _timestamp(data_type: odf.TimestampType) -> str:
    # Milliseconds are what TIMESTAMP alone means in manifests.
    digits = _DIGITS[data_type.unit or odf.TimeUnit.MILLISECOND]
    zone = data_type.timezone or "UTC"
    return f"TIMESTAMP({digits})" + ("" if zone == "UTC" else f" WITH TIME ZONE '{zone}'")


def _with_digits(word: str) -> Callable[[Any], str]:
    return lambda data_type: f"{word}({_DIGITS[data_type.unit or odf.TimeUnit.MILLISECOND]})"


def _struct(data_type: odf.StructType) -> str:
    return "STRUCT<" + ", ".join(f"{_name(field.name)} {ddl_type(field.type)}" for field in data_type.fields) + ">"


_NESTED: Final[dict[type, Callable[[Any], str]]] = {
    odf.DecimalType: _decimal,
    odf.TimestampType: _timestamp,
    odf.TimeType: _with_digits("TIME"),
    odf.DurationType: _with_digits("INTERVAL"),
    odf.OptionType: lambda data_type: ddl_type(data_type.inner),
    odf.ListType: lambda data_type: f"ARRAY<{ddl_type(data_type.item_type)}>",
    odf.MapType: lambda data_type: f"MAP<{ddl_type(data_type.key_type)}, {ddl_type(data_type.value_type)}>",
    odf.StructType: _struct,
}
