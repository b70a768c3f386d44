"""Schemas as Parquet describes them: as a tree, in the text of its message syntax and in Kamu's JSON."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from pydantic import JsonValue

from kamu_assets.odf import data as odf

_ROOT: Final = "arrow_schema"
_PLAIN: Final[dict[type, tuple[str, str | None]]] = {
    odf.BoolType: ("BOOLEAN", None),
    odf.DateType: ("INT32", "DATE"),
    odf.DurationType: ("INT64", None),
    odf.Float16Type: ("FIXED_LEN_BYTE_ARRAY (2)", "FLOAT16"),
    odf.Float32Type: ("FLOAT", None),
    odf.Float64Type: ("DOUBLE", None),
    odf.Int8Type: ("INT32", "INTEGER(8,true)"),
    odf.Int16Type: ("INT32", "INTEGER(16,true)"),
    odf.Int32Type: ("INT32", None),
    odf.Int64Type: ("INT64", None),
    odf.NullType: ("INT32", "UNKNOWN"),
    odf.StringType: ("BYTE_ARRAY", "STRING"),
    odf.UInt8Type: ("INT32", "INTEGER(8,false)"),
    odf.UInt16Type: ("INT32", "INTEGER(16,false)"),
    odf.UInt32Type: ("INT32", "INTEGER(32,false)"),
    odf.UInt64Type: ("INT64", "INTEGER(64,false)"),
}
_UNITS: Final = {
    odf.TimeUnit.MILLISECOND: "MILLIS",
    odf.TimeUnit.MICROSECOND: "MICROS",
    odf.TimeUnit.NANOSECOND: "NANOS",
}
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


def parquet_text(schema: odf.DataSchema) -> str:
    """The message syntax, two blanks per level."""
    lines = [line for node in _nodes(schema) for line in _lines(node, "  ")]
    return "\n".join([f"message {_ROOT} {{", *lines, "}", ""])


def parquet_json(schema: odf.DataSchema) -> JsonValue:
    """The same as nested objects; a group has the type `struct`."""
    return {"name": _ROOT, "type": "struct", "fields": [_object(node) for node in _nodes(schema)]}


def _nodes(schema: odf.DataSchema) -> list[Node]:
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


def _node(name: str, data_type: odf.DataType) -> Node:
    if isinstance(data_type, odf.OptionType):
        return replace(_node(name, data_type.inner), repetition="OPTIONAL")
    repetition = "OPTIONAL" if isinstance(data_type, odf.NullType) else "REQUIRED"
    match data_type:
        case odf.StructType():
            children = tuple(_node(field.name, field.type) for field in data_type.fields)
            return Node(name, repetition, None, None, children)
        case odf.ListType():
            items = Node("list", "REPEATED", None, None, (_node("item", data_type.item_type),))
            return Node(name, repetition, None, "LIST", (items,))
        case odf.MapType():
            pair = (_node("keys", data_type.key_type), _node("values", data_type.value_type))
            return Node(name, repetition, None, "MAP", (Node("entries", "REPEATED", None, None, pair),))
        case _:
            return Node(name, repetition, *_physical(data_type))


def _physical(data_type: odf.DataType) -> tuple[str, str | None]:
    """Physical and logical type of a column."""
    match data_type:
        case odf.BinaryType():
            length = data_type.fixed_length
            return "BYTE_ARRAY" if length is None else f"FIXED_LEN_BYTE_ARRAY ({length})", None
        case odf.DecimalType():
            return _decimal_storage(data_type.precision), f"DECIMAL({data_type.precision},{data_type.scale})"
        case odf.TimestampType():
            # Parquet has no word for seconds.
            unit = _UNITS.get(data_type.unit or odf.TimeUnit.MILLISECOND)
            return "INT64", None if unit is None else f"TIMESTAMP({unit},true)"
        case odf.TimeType():
            unit = _UNITS.get(data_type.unit or odf.TimeUnit.MILLISECOND)
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
