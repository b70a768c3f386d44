"""Attributes of a shapefile (dBASE III and its descendants), record by record, as JSON values."""

import json
import math
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

from kamu_assets.coordinator.ingest.errors import (
    BadInputError,
    DuplicateColumnError,
    IngestError,
    TooLargeError,
    TypeMismatchError,
    UnsupportedColumnTypeError,
)
from kamu_assets.coordinator.ingest.explain.guilty_record import shown
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.read.json_floats import json_float
from kamu_assets.coordinator.ingest.read.zipped_layer import Part

_HEADER = struct.Struct("<4xIHH17xB2x")
_COLUMN = struct.Struct("<11sc4xB15x")
_COLUMN_BYTES = _COLUMN.size
# Language drivers that are met in practice; without one the text is UTF-8.
_DRIVERS = {0x01: "cp437", 0x02: "cp850", 0x03: "cp1252", 0x57: "cp1252", 0x64: "cp852", 0x65: "cp866"}
_DRIVERS |= {0x4D: "cp936", 0x4E: "cp949", 0x4F: "cp950", 0xC8: "cp1250", 0xC9: "cp1251", 0xCA: "cp1254"}
_LAST = b"\r"
_EMPTY = " \0"
_MAGNITUDE = 80
# Julian day of the epoch.
_EPOCH_DAY = 2_440_588
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - dBASE knows no time zones
_DATE = re.compile(r"(\d{4})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    size: int
    read: Callable[[bytes], str]


class DbfRecords:
    """All records of a table. With `exact`, numbers keep the digits of the file; else they are floats, as in kamu."""

    def __init__(self, part: Part, *, encoding: str | None, exact: bool, limits: IngestLimits) -> None:
        self._part = part
        self._exact = exact
        self.count, header, self._size, driver = _HEADER.unpack(part.take(_HEADER.size, "the header"))
        self._encoding = encoding or _DRIVERS.get(driver, "utf-8")
        self._columns = self._read_columns(header - _HEADER.size, limits)

    @property
    def names(self) -> list[str]:
        """What the columns are called."""
        return [column.name for column in self._columns]

    def __iter__(self) -> Iterator[str | None]:
        """The members of a JSON object for each record, or None for one that is marked as deleted."""
        for number in range(1, self.count + 1):
            record = self._part.take(self._size, f"record {number} of {self.count}")
            yield None if record[:1] == b"*" else self._members(record, number)

    def _read_columns(self, size: int, limits: IngestLimits) -> list[_Column]:
        if size // _COLUMN_BYTES > limits.max_columns:
            raise TooLargeError(f"{self._part.label}: more than {limits.max_columns} columns")
        header = self._part.take(max(size, 0), "the header")
        columns = []
        for start in range(0, len(header) - _COLUMN_BYTES + 1, _COLUMN_BYTES):
            if header.startswith(_LAST, start):
                break
            columns.append(self._column(header[start : start + _COLUMN_BYTES]))
        self._check(columns)
        return columns

    def _check(self, columns: list[_Column]) -> None:
        names = [column.name for column in columns]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise DuplicateColumnError(f"{self._part.label}: two columns are named `{twice}`")
        if 1 + sum(column.size for column in columns) > self._size:
            raise BadInputError(f"{self._part.label}: the columns are longer than a record of {self._size} bytes")

    def _column(self, described: bytes) -> _Column:
        raw, kind, size = _COLUMN.unpack(described)
        name = self._text(raw.split(b"\0", 1)[0].strip(), f"{self._part.label}, name of a column")
        readers = {
            b"C": self._read_text,
            b"N": self._read_number,
            b"F": self._read_number,
            b"L": _read_logical,
            b"D": _read_date,
        }
        binary = {b"I": (4, _read_integer), b"B": (8, _read_double), b"O": (8, _read_double), b"@": (8, _read_moment)}
        read = readers.get(kind)
        if read is None and kind in binary and binary[kind][0] == size:
            read = binary[kind][1]
        if read is None:
            raise UnsupportedColumnTypeError(
                f"{self._part.label}, column `{name}`: dBASE type {kind.decode('latin-1')!r} is not supported"
            )
        return _Column(name, size, read)

    def _members(self, record: bytes, number: int) -> str:
        members, place = [], 1
        for column in self._columns:
            raw = record[place : place + column.size]
            place += column.size
            try:
                members.append(f"{json.dumps(column.name)}:{column.read(raw)}")
            except (ValueError, InvalidOperation) as error:
                raise self._bad_value(column, raw, number, error) from error
        return ",".join(members)

    def _bad_value(self, column: _Column, raw: bytes, number: int, error: Exception) -> IngestError:
        where = f"{self._part.label}, record {number}, column `{column.name}`"
        if isinstance(error, UnicodeDecodeError):
            return self._bad_text(raw, where, error)
        return TypeMismatchError(f"{where}: {shown(raw.decode('latin-1').strip(_EMPTY))} is not {error}")

    def _text(self, raw: bytes, where: str) -> str:
        try:
            return raw.decode(self._encoding)
        except UnicodeDecodeError as error:
            raise self._bad_text(raw, where, error) from error

    def _bad_text(self, raw: bytes, where: str, error: UnicodeDecodeError) -> IngestError:
        return BadInputError(
            f"{where}: byte 0x{raw[error.start]:02x} is not {self._encoding}; name the encoding in a .cpg file"
        )

    def _read_text(self, raw: bytes) -> str:
        text = raw.decode(self._encoding).strip(_EMPTY)
        return json.dumps(text) if text else "null"

    def _read_number(self, raw: bytes) -> str:
        text = raw.split(b"\0", 1)[0].decode("latin-1").strip()
        if not text.strip("*"):
            return "null"
        try:
            value = Decimal(text)
        except InvalidOperation as error:
            raise ValueError("a number") from error
        if self._exact and value.is_finite() and -_MAGNITUDE < value.adjusted() < _MAGNITUDE:
            return format(value, "f")
        return _float(float(value))


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError("a finite number")
    return json_float(value)


def _read_logical(raw: bytes) -> str:
    if raw[:1] in (b"T", b"t", b"Y", b"y"):
        return "true"
    if raw[:1] in (b"F", b"f", b"N", b"n"):
        return "false"
    if raw[:1] in (b"?", b" ", b"\0", b""):
        return "null"
    raise ValueError("a logical value")


def _read_date(raw: bytes) -> str:
    text = raw.decode("latin-1").strip(_EMPTY)
    if not text.strip("0"):
        return "null"
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError("a date")
    # Without padding, as in kamu.
    return f'"{int(found[1])}-{int(found[2])}-{int(found[3])}"'


def _read_integer(raw: bytes) -> str:
    return str(int.from_bytes(raw, "little", signed=True))


def _read_double(raw: bytes) -> str:
    return _float(struct.unpack("<d", raw)[0])


def _read_moment(raw: bytes) -> str:
    days, millis = struct.unpack("<ii", raw)
    if not days:
        return "null"
    try:
        moment = _EPOCH + timedelta(days=days - _EPOCH_DAY, milliseconds=millis)
    except OverflowError as error:
        raise ValueError("a moment") from error
    return f'"{moment.isoformat(timespec="milliseconds")}Z"'
