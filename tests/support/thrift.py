"""Thrift's compact protocol, as much of it as footers of Parquet files need: to write what no library would write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

_I32, _I64, _BINARY, _LIST, _STRUCT = 5, 6, 8, 9, 12


@dataclass(frozen=True)
class I32:
    """A small number."""

    value: int


Value: TypeAlias = "I32 | int | bytes | Listing | Mapping[int, Any]"


@dataclass(frozen=True)
class Listing:
    """A list of values of one kind, which may claim to be longer than it is."""

    items: "Sequence[Value]"
    kind: int = _STRUCT
    claims: int | None = None


def struct_of(fields: "Mapping[int, Value]") -> bytes:
    """A struct by the numbers of its fields."""
    out, last = b"", 0
    for number, value in fields.items():
        out += bytes([((number - last) << 4) | _kind(value)]) + encoded(value)
        last = number
    return out + b"\0"


def encoded(value: "Value") -> bytes:
    """A value without its field header."""
    match value:
        case I32(number):
            return varint(zigzag(number))
        case int():
            return varint(zigzag(value))
        case bytes():
            return varint(len(value)) + value
        case Listing(items, kind, claims):
            size = len(items) if claims is None else claims
            return bytes([0xF0 | kind]) + varint(size) + b"".join(map(encoded, items))
        case _:
            return struct_of(value)


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def zigzag(number: int) -> int:
    return number * 2 if number >= 0 else -number * 2 - 1


def _kind(value: "Value") -> int:
    match value:
        case I32():
            return _I32
        case int():
            return _I64
        case bytes():
            return _BINARY
        case Listing():
            return _LIST
        case _:
            return _STRUCT
