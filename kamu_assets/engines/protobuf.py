"""Protocol Buffers by hand, as far as plans of DataFusion are edited: fields are kept or replaced, never understood."""

from collections.abc import Iterator
from typing import Final

LENGTH_DELIMITED: Final = 2
_FIXED_SIZES: Final = {1: 8, 5: 4}


def fields(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, wire type and content of each field."""
    for number, wire_type, raw in raw_fields(message):
        _, start = _varint(raw, 0)
        if wire_type == LENGTH_DELIMITED:
            _, start = _varint(raw, start)
        yield number, wire_type, raw[start:]


def raw_fields(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, wire type and all bytes of each field."""
    position = 0
    while position < len(message):
        tag, end = _varint(message, position)
        wire_type = tag & 7
        if wire_type == LENGTH_DELIMITED:
            length, end = _varint(message, end)
            end += length
        elif wire_type in _FIXED_SIZES:
            end += _FIXED_SIZES[wire_type]
        else:
            _, end = _varint(message, end)
        yield tag >> 3, wire_type, message[position:end]
        position = end


def length_delimited(number: int, content: bytes) -> bytes:
    """A field that holds a text, bytes or a message."""
    return _as_varint(number << 3 | LENGTH_DELIMITED) + _as_varint(len(content)) + content


def with_replaced(message: bytes, old: bytes, new: bytes) -> bytes:
    """The message with another one in place of each nested message that has these bytes."""
    if message == old:
        return new
    parts = []
    for (number, wire_type, raw), (_, _, content) in zip(raw_fields(message), fields(message), strict=True):
        if wire_type == LENGTH_DELIMITED and old in content:
            parts.append(length_delimited(number, with_replaced(content, old, new)))
        else:
            parts.append(raw)
    return b"".join(parts)


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return value, position
        shift += 7


def _as_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
