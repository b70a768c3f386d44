"""Writes FlatBuffers from the end to the start, byte by byte as kamu's writer does.

Only what ODF needs: no file identifier, no shared strings, equal vtables written once.
"""

import struct

_U16_PAIR = struct.Struct("<HH")
_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")
_OFFSET = 4


class Builder:
    """One buffer in the making; references are distances from its end."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._max_alignment = 1
        self._vtables: dict[bytes, int] = {}
        self._slots: dict[int, int] = {}
        self._table_end = 0

    def string(self, text: str) -> int:
        """Write a string and its terminating zero."""
        data = text.encode()
        self._align(_OFFSET, len(data) + 1)
        self._put(data + b"\0")
        self._put(_U32.pack(len(data)))
        return self._size

    def byte_vector(self, data: bytes) -> int:
        """Write bytes and their number."""
        self._align(_OFFSET, len(data))
        self._put(data)
        self._put(_U32.pack(len(data)))
        return self._size

    def reference_vector(self, references: list[int]) -> int:
        """Write references to things already written."""
        self._align(_OFFSET, _OFFSET * len(references))
        for reference in reversed(references):
            self._put_reference(reference)
        self._put(_U32.pack(len(references)))
        return self._size

    def start_table(self) -> None:
        """Begin a table; everything it refers to has to be written before."""
        self._slots = {}
        self._table_end = self._size

    def inline(self, slot: int, data: bytes, alignment: int) -> None:
        """Put a value into the open table."""
        self._align(alignment, len(data))
        self._put(data)
        self._slots[slot] = self._size

    def reference(self, slot: int, reference: int) -> None:
        """Refer to something written before from the open table."""
        self._align(_OFFSET)
        self._put_reference(reference)
        self._slots[slot] = self._size

    def end_table(self) -> int:
        """Close the table: link it to its vtable, a known one if possible."""
        self._align(_OFFSET)
        table = self._size + _OFFSET
        vtable = self._vtable(table)
        known = self._vtables.get(vtable)
        if known is not None:
            self._put(_I32.pack(known - table))
            return table
        self._put(_I32.pack(len(vtable)))
        self._put(vtable)
        self._vtables[vtable] = self._size
        return table

    def finish(self, root: int) -> bytes:
        """The whole buffer, which starts with a reference to its root table."""
        self._align(self._max_alignment, _OFFSET)
        self._put_reference(root)
        return b"".join(reversed(self._chunks))

    def _vtable(self, table: int) -> bytes:
        count = max(self._slots, default=-1) + 1
        offsets = [table - self._slots[slot] if slot in self._slots else 0 for slot in range(count)]
        head = _U16_PAIR.pack(4 + 2 * count, table - self._table_end)
        return head + struct.pack(f"<{count}H", *offsets)

    def _put(self, data: bytes) -> None:
        self._chunks.append(data)
        self._size += len(data)

    def _put_reference(self, reference: int) -> None:
        self._put(_U32.pack(self._size + _OFFSET - reference))

    def _align(self, alignment: int, upcoming: int = 0) -> None:
        self._max_alignment = max(self._max_alignment, alignment)
        padding = -(self._size + upcoming) % alignment
        if padding:
            self._put(bytes(padding))
