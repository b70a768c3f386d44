"""Reads FlatBuffers that may come from an enemy.

Nothing is trusted: every position is checked, the depth is limited, and parts that are referred to many times
use up a budget, so that a small buffer cannot unfold into a huge document.
"""

import struct

from kamu_assets.errors import InvalidError

U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")
_U16_PAIR = struct.Struct("<HH")

MAX_DEPTH = 64
# An honest writer refers to everything once; a frugal one may share some strings.
_MAX_UNFOLDING = 4


class MalformedBlockError(InvalidError):
    """The bytes are not a metadata block."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"malformed metadata block: {reason}")
        self.reason = reason


class Reader:
    """One buffer under inspection."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._budget = _MAX_UNFOLDING * len(data)
        self._depth = 0
        self._vtables: dict[int, tuple[int, tuple[int, ...]]] = {}

    def root(self) -> int:
        """Position of the root table."""
        return self.follow(0)

    def follow(self, at: int) -> int:
        """The position that the reference at `at` points to; always further on."""
        return at + int(U32.unpack_from(self.data, at)[0])

    def enter_table(self, at: int) -> tuple[int, ...]:
        """Offsets of the table's fields, 0 for an absent one; pair with `leave_table`."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise MalformedBlockError(f"nested deeper than {MAX_DEPTH} tables")
        vtable = at - int(_I32.unpack_from(self.data, at)[0])
        if vtable not in self._vtables:
            self._vtables[vtable] = self._read_vtable(vtable)
        table_size, offsets = self._vtables[vtable]
        if at + table_size > len(self.data):
            raise MalformedBlockError("a table ends after the buffer")
        self._spend(4)
        return offsets

    def leave_table(self) -> None:
        """Done with the innermost table."""
        self._depth -= 1

    def byte_vector(self, at: int) -> bytes:
        """The bytes of the vector referred to at `at`."""
        start = self.follow(at)
        length = int(U32.unpack_from(self.data, start)[0])
        start += 4
        if start + length > len(self.data):
            raise MalformedBlockError("a vector ends after the buffer")
        self._spend(4 + length)
        return self.data[start : start + length]

    def string(self, at: int) -> str:
        """The text of the string referred to at `at`."""
        return self.byte_vector(at).decode("utf-8")

    def reference_vector(self, at: int) -> range:
        """Positions of the references in the vector referred to at `at`."""
        start = self.follow(at)
        count = int(U32.unpack_from(self.data, start)[0])
        start += 4
        if start + 4 * count > len(self.data):
            raise MalformedBlockError("a vector ends after the buffer")
        self._spend(4 + 4 * count)
        return range(start, start + 4 * count, 4)

    def _spend(self, size: int) -> None:
        self._budget -= size
        if self._budget < 0:
            raise MalformedBlockError("parts of the buffer are used over and over")

    def _read_vtable(self, at: int) -> tuple[int, tuple[int, ...]]:
        if at < 0:
            raise MalformedBlockError("a vtable lies before the buffer")
        size, table_size = _U16_PAIR.unpack_from(self.data, at)
        if size < _U16_PAIR.size or size % 2 or at + size > len(self.data):
            raise MalformedBlockError("a vtable has an impossible size")
        offsets = struct.unpack_from(f"<{size // 2 - 2}H", self.data, at + 4)
        if any(offset >= table_size for offset in offsets):
            raise MalformedBlockError("a field lies outside of its table")
        return table_size, offsets
