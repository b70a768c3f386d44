"""How things lie that tables of a FlatBuffer only refer to: texts, bytes, lists, tables, unions."""

import struct
from collections.abc import Callable, Sequence
from typing import Any

from kamu_assets.odf.data import ExtraAttributes
from kamu_assets.odf.serde.reader import MAX_DEPTH, MalformedBlockError, Reader
from kamu_assets.odf.serde.wire import UnencodableError, Wire, Writer, field_offset
from kamu_assets.odf.typedef import OdfModel

_U8 = struct.Struct("<B")


class _Referred:
    """Anything that lies outside of the table."""

    slots = 1

    def place(self, writer: Writer, slot: int, prepared: int) -> None:
        writer.builder.reference(slot, prepared)

    def read(self, reader: Reader, table: int, offsets: Sequence[int]) -> Any:
        offset = field_offset(offsets)
        return self.read_at(reader, table + offset) if offset else None

    def read_at(self, reader: Reader, at: int) -> Any:
        """The value referred to at a position."""
        raise NotImplementedError


class Text(_Referred):
    """A string."""

    def prepare(self, writer: Writer, value: str) -> int:
        return writer.builder.string(value)

    def read_at(self, reader: Reader, at: int) -> str:
        return reader.string(at)


class Bytes(_Referred):
    """Bytes, and the value they stand for."""

    def __init__(self, to_bytes: Callable[[Any], bytes] = bytes, from_bytes: Callable[[bytes], Any] = bytes) -> None:
        self._to_bytes = to_bytes
        self._from_bytes = from_bytes

    def prepare(self, writer: Writer, value: Any) -> int:
        return writer.builder.byte_vector(self._to_bytes(value))

    def read_at(self, reader: Reader, at: int) -> Any:
        return self._from_bytes(reader.byte_vector(at))


class Vector(_Referred):
    """A list of strings or tables."""

    def __init__(self, item: "Text | Table | Wrapper") -> None:
        self._item = item

    def prepare(self, writer: Writer, value: Sequence[Any]) -> int:
        return writer.builder.reference_vector([self._item.prepare(writer, item) for item in value])

    def read_at(self, reader: Reader, at: int) -> tuple[Any, ...]:
        return tuple(self._item.read_at(reader, position) for position in reader.reference_vector(at))


class Table(_Referred):
    """A model; its fields in the order of the FlatBuffers schema."""

    def __init__(self, model: type[OdfModel], **fields: Wire) -> None:
        self.model = model
        self._fields: list[tuple[int, str, Wire]] = []
        slot = 0
        for name, wire in fields.items():
            self._fields.append((slot, name, wire))
            slot += wire.slots

    def prepare(self, writer: Writer, value: OdfModel) -> int:
        _enter(writer)
        prepared = [
            (slot, wire, wire.prepare(writer, field))
            for slot, name, wire in self._fields
            if (field := getattr(value, name)) is not None
        ]
        writer.builder.start_table()
        for slot, wire, part in prepared:
            wire.place(writer, slot, part)
        writer.depth -= 1
        return writer.builder.end_table()

    def read_at(self, reader: Reader, at: int) -> OdfModel:
        table = reader.follow(at)
        offsets = reader.enter_table(table)
        values = {name: wire.read(reader, table, offsets[slot:]) for slot, name, wire in self._fields}
        reader.leave_table()
        # The model knows which fields are required: absent ones must not be given at all.
        return self.model(**{name: value for name, value in values.items() if value is not None})


def _enter(writer: Writer) -> None:
    writer.depth += 1
    if writer.depth > MAX_DEPTH:
        raise UnencodableError(f"nested deeper than {MAX_DEPTH} tables")


class Union:
    """One of several tables, and the number that says which: two slots."""

    slots = 2

    def __init__(self, *members: Table) -> None:
        self.members = members

    def prepare(self, writer: Writer, value: OdfModel) -> tuple[int, int]:
        for index, member in enumerate(self.members, start=1):
            if isinstance(value, member.model):
                return index, member.prepare(writer, value)
        raise TypeError(type(value))

    def place(self, writer: Writer, slot: int, prepared: tuple[int, int]) -> None:
        index, reference = prepared
        writer.builder.inline(slot, _U8.pack(index), 1)
        writer.builder.reference(slot + 1, reference)

    def read(self, reader: Reader, table: int, offsets: Sequence[int]) -> OdfModel | None:
        index = reader.data[table + offsets[0]] if field_offset(offsets) else 0
        offset = field_offset(offsets[1:])
        if index == 0 and not offset:
            return None
        if not 1 <= index <= len(self.members) or not offset:
            raise MalformedBlockError(f"a union holds no value of number {index}")
        return self.members[index - 1].read_at(reader, table + offset)


class Wrapper(_Referred):
    """A table around a union: FlatBuffers has no lists of unions."""

    def __init__(self, union: Union) -> None:
        self._union = union

    def prepare(self, writer: Writer, value: OdfModel) -> int:
        prepared = self._union.prepare(writer, value)
        writer.builder.start_table()
        self._union.place(writer, 0, prepared)
        return writer.builder.end_table()

    def read_at(self, reader: Reader, at: int) -> OdfModel | None:
        table = reader.follow(at)
        value = self._union.read(reader, table, reader.enter_table(table))
        reader.leave_table()
        return value


class Extra(_Referred):
    """Attributes of others: a table around JSON text with sorted keys."""

    def prepare(self, writer: Writer, value: ExtraAttributes) -> int:
        text = writer.builder.string(value.text)
        writer.builder.start_table()
        writer.builder.reference(0, text)
        return writer.builder.end_table()

    def read_at(self, reader: Reader, at: int) -> ExtraAttributes:
        table = reader.follow(at)
        offset = field_offset(reader.enter_table(table))
        reader.leave_table()
        if not offset:
            raise MalformedBlockError("extra attributes without entries")
        return ExtraAttributes.parse(reader.string(table + offset))
