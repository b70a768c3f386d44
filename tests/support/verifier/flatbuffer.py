"""Just enough FlatBuffers to read tables without a schema compiler (flatbuffers.dev, "Internals")."""

from __future__ import annotations

import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table at a position of a buffer; absent slots read as None."""

    data: bytes
    position: int

    @classmethod
    def root(cls, data: bytes) -> Table:
        return cls(data, unpack("<I", data, 0))

    def slot(self, number: int) -> int | None:
        vtable = self.position - unpack("<i", self.data, self.position)
        entry = 4 + 2 * number
        if vtable < 0 or entry >= unpack("<H", self.data, vtable):
            return None
        offset = unpack("<H", self.data, vtable + entry)
        return self.position + offset if offset else None

    def number(self, slot: int, layout: str) -> int | None:
        at = self.slot(slot)
        return None if at is None else unpack(f"<{layout}", self.data, at)

    def struct_bytes(self, slot: int, size: int) -> bytes | None:
        at = self.slot(slot)
        return None if at is None else take(self.data, at, size)

    def table(self, slot: int) -> Table | None:
        at = self._target(slot)
        return None if at is None else Table(self.data, at)

    def bytes(self, slot: int) -> bytes | None:
        at = self._target(slot)
        return None if at is None else take(self.data, at + 4, unpack("<I", self.data, at))

    def string(self, slot: int) -> str | None:
        raw = self.bytes(slot)
        return None if raw is None else raw.decode()

    def tables(self, slot: int) -> list[Table] | None:
        at = self._target(slot)
        if at is None:
            return None
        places = [at + 4 + 4 * index for index in range(unpack("<I", self.data, at))]
        return [Table(self.data, place + unpack("<I", self.data, place)) for place in places]

    def _target(self, slot: int) -> int | None:
        at = self.slot(slot)
        return None if at is None else at + unpack("<I", self.data, at)


def take(data: bytes, at: int, size: int) -> bytes:
    if at < 0 or at + size > len(data):
        msg = f"{size} bytes at {at} lie outside a buffer of {len(data)}"
        raise ValueError(msg)
    return data[at : at + size]


def unpack(layout: str, data: bytes, at: int) -> int:
    return int(struct.unpack(layout, take(data, at, struct.calcsize(layout)))[0])
