"""How values lie in the tables of a FlatBuffer: numbers, words of an enum, moments.

A value is written in two steps, the order of kamu's writer: first what lies elsewhere and is only referred to
(`prepare`), then what lies in the table itself (`place`).
"""

import struct
from collections.abc import Sequence
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

from kamu_assets.errors import InvalidError
from kamu_assets.odf.serde.builder import Builder
from kamu_assets.odf.serde.reader import MalformedBlockError, Reader
from kamu_assets.odf.timestamp import (
    NANOS_PER_SECOND,
    SECONDS_PER_DAY,
    Timestamp,
    days_before_year,
    is_leap_year,
    year_of_day,
)

TIMESTAMP = struct.Struct("<iHxxII")
_MAX_YEAR = 2**31 - 1


class UnencodableError(InvalidError):
    """The document is fine, but the binary form has no room for it."""


class Writer:
    """A builder, and how this version of the format aligns moments."""

    def __init__(self, *, timestamp_alignment: int) -> None:
        self.builder = Builder()
        self.timestamp_alignment = timestamp_alignment
        self.depth = 0


class Wire(Protocol):
    """How one sort of field is written and read."""

    slots: int

    def prepare(self, writer: Writer, value: Any) -> Any:
        """Write what the table only refers to; gives what `place` needs."""

    def place(self, writer: Writer, slot: int, prepared: Any) -> None:
        """Write what lies in the table."""

    def read(self, reader: Reader, table: int, offsets: Sequence[int]) -> Any:
        """The value; `offsets` are those from its own slot on. None when absent."""


def field_offset(offsets: Sequence[int]) -> int:
    """Where in its table the first of these fields lies, 0 when absent."""
    return offsets[0] if offsets else 0


class Scalar:
    """A number; one equal to its default is left out, without default it is optional."""

    slots = 1

    def __init__(self, code: str, default: int | None = None) -> None:
        self._struct = struct.Struct(f"<{code}")
        self._default = default

    def prepare(self, _writer: Writer, value: int) -> int:
        return value

    def place(self, writer: Writer, slot: int, prepared: int) -> None:
        if prepared != self._default:
            writer.builder.inline(slot, self._struct.pack(prepared), self._struct.size)

    def read(self, reader: Reader, table: int, offsets: Sequence[int]) -> int | bool | None:
        offset = field_offset(offsets)
        if not offset:
            return self._default
        value: int | bool = self._struct.unpack_from(reader.data, table + offset)[0]
        return value


_Word = TypeVar("_Word", bound=Enum)


class Word(Generic[_Word]):
    """A value of an enum, numbered in its order of declaration."""

    slots = 1

    def __init__(self, words: type[_Word], code: str, *, optional: bool = False) -> None:
        self._words = tuple(words)
        self._codes = {word: code for code, word in enumerate(self._words)}
        self._scalar = Scalar(code, None if optional else 0)

    def prepare(self, _writer: Writer, value: _Word) -> int:
        return self._codes[value]

    def place(self, writer: Writer, slot: int, prepared: int) -> None:
        self._scalar.place(writer, slot, prepared)

    def read(self, reader: Reader, table: int, offsets: Sequence[int]) -> _Word | None:
        code = self._scalar.read(reader, table, offsets)
        if code is None:
            return None
        if not 0 <= code < len(self._words):
            raise MalformedBlockError(f"{code} is no {type(self._words[0]).__name__}")
        return self._words[code]


class Moment:
    """A UTC moment: year, day of the year, second of the day, nanosecond."""

    slots = 1

    def prepare(self, _writer: Writer, value: Timestamp) -> bytes:
        seconds, nanos = divmod(value.ns, NANOS_PER_SECOND)
        day, second = divmod(seconds, SECONDS_PER_DAY)
        year = year_of_day(day)
        if abs(year) > _MAX_YEAR:
            raise UnencodableError(f"the year {year} does not fit into a block")
        return TIMESTAMP.pack(year, day - days_before_year(year) + 1, second, nanos)

    def place(self, writer: Writer, slot: int, prepared: bytes) -> None:
        writer.builder.inline(slot, prepared, writer.timestamp_alignment)

    def read(self, reader: Reader, table: int, offsets: Sequence[int]) -> Timestamp | None:
        offset = field_offset(offsets)
        return read_moment(reader.data, table + offset) if offset else None


def read_moment(data: bytes, at: int) -> Timestamp:
    """The moment at a position, whatever its alignment."""
    year, day, second, nanos = TIMESTAMP.unpack_from(data, at)
    if not 1 <= day <= 365 + is_leap_year(year) or second >= SECONDS_PER_DAY or nanos >= NANOS_PER_SECOND:
        raise MalformedBlockError("a moment that does not exist")
    return Timestamp(((days_before_year(year) + day - 1) * SECONDS_PER_DAY + second) * NANOS_PER_SECOND + nanos)
