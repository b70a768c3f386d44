"""Schemas as Parquet describes them: as a tree, in the text of its message syntax and in Kamu's JSON."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from pydantic import JsonValue

from kamu_assets.odf.data import (
    BinaryType,
    BoolType,
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

_ROOT: Final = "arrow_schema"
_PLAIN: Final[dict[type, tuple[str, str | None]]] = {
    BoolType: ("BOOLEAN", None),
    DateType: ("INT32", "DATE"),
    DurationType: ("INT64", None),
    Float16Type: ("FIXED_LEN_BYTE_ARRAY (2)", "FLOAT16"),
    Float32Type: ("FLOAT", None),
    Float64Type: ("DOUBLE", None),
    Int8Type: ("INT32", "INTEGER(8,true)"),
    Int16Type: ("INT32", "INTEGER(16,true)"),
    Int32Type: ("INT32", None),
    Int64Type: ("INT64", None),
    NullType: ("INT32", "UNKNOWN"),
    StringType: ("BYTE_ARRAY", "STRING"),
    UInt8Type: ("INT32", "INTEGER(8,false)"),
    UInt16Type: ("INT32", "INTEGER(16,false)"),
    UInt32Type: ("INT32", "INTEGER(32,false)"),
    UInt64Type: ("INT64", "INTEGER(64,false)"),
}
_UNITS: Final = {TimeUnit.MILLISECOND: "MILLIS", TimeUnit.MICROSECOND: "MICROS", TimeUnit.NANOSECOND: "NANOS"}
# Digits that fit into 32 and into 64 bits.
_INT32_DIGITS: Final = 9
_INT64_DIGITS: Final = 18


@dataclass(frozen=True, slots=True)
class Node:
    """A column, or a group of columns when it has no physical type."""

    name: str
    repetition: str
    physical: str | None
    logical: str | None = None
    children: tuple["Node", ...] = ()


def parquet_text(schema: DataSchema) -> str:
    """The message syntax, two blanks per level."""
    lines = [line for node in _nodes(schema) for line in _lines(node, "  ")]
    return "\n".join([f"message {_ROOT} {{", *lines, "}", ""])


def parquet_json(schema: DataSchema) -> JsonValue:
    """The same as nested objects; a group has the type `struct`."""
    return {"name": _ROOT, "type": "struct", "fields": [_object(node) for node in _nodes(schema)]}


def _nodes(schema: DataSchema) -> list[Node]:
    return [_node(field.name, field.type) for field in schema.fields]


def _lines(node: Node, indent: str) -> Iterator[str]:
    logical = f" ({node.logical})" if node.logical else ""
    if node.physical is not None:
        yield f"{indent}{node.repetition} {node.physical} {node.name}{logical};"
        return
    yield f"{indent}{node.repetition} group {node.name}{logical} {{"
    for child in node.children:
        yield from _lines(child, f"{indent}  ")
    yield f"{indent}}}"


def _object(node: Node) -> JsonValue:
    about: dict[str, JsonValue] = {"name": node.name, "repetition": node.repetition, "type": node.physical or "struct"}
    if node.logical is not None:
        about["logicalType"] = node.logical
    if node.physical is None:
        about["fields"] = [_object(child) for child in node.children]
    return about


def _node(name: str, data_type: DataType) -> Node:
    if isinstance(data_type, OptionType):
        return replace(_node(name, data_type.inner), repetition="OPTIONAL")
    repetition = "OPTIONAL" if isinstance(data_type, NullType) else "REQUIRED"
    match data_type:
        case StructType():
            children = tuple(_node(field.name, field.type) for field in data_type.fields)
            return Node(name, repetition, None, None, children)
        case ListType():
            items = Node("list", "REPEATED", None, None, (_node("item", data_type.item_type),))
            return Node(name, repetition, None, "LIST", (items,))
        case MapType():
            pair = (_node("keys", data_type.key_type), _node("values", data_type.value_type))
            return Node(name, repetition, None, "MAP", (Node("entries", "REPEATED", None, None, pair),))
        case _:
            return Node(name, repetition, *_physical(data_type))


def _physical(data_type: DataType) -> tuple[str, str | None]:
    """Physical and logical type of a column."""
    match data_type:
        case BinaryType():
            length = data_type.fixed_length
            return "BYTE_ARRAY" if length is None else f"FIXED_LEN_BYTE_ARRAY ({length})", None
        case DecimalType():
            return _decimal_storage(data_type.precision), f"DECIMAL({data_type.precision},{data_type.scale})"
        case TimestampType():
            # Parquet has no word for seconds.
            unit = _UNITS.get(data_type.unit or TimeUnit.MILLISECOND)
            return "INT64", None if unit is None else f"TIMESTAMP({unit},true)"
        case TimeType():
            unit = _UNITS.get(data_type.unit or TimeUnit.MILLISECOND)
            storage = "INT32" if unit in (None, "MILLIS") else "INT64"
            return storage, None if unit is None else f"TIME({unit},false)"
        case _:
            return _PLAIN[type(data_type)]


def _decimal_storage(precision: int) -> str:
    if precision <= _INT32_DIGITS:
        return "INT32"
    if precision <= _INT64_DIGITS:
        return "INT64"
    # One bit more, for the sign.
    return f"FIXED_LEN_BYTE_ARRAY ({(10**precision).bit_length() // 8 + 1})"
