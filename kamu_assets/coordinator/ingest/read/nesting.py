"""How deep JSON may be nested: looked at before a parser does, at the speed of memory."""

import re
from typing import Final

import numpy as np

from kamu_assets.coordinator.ingest.errors import TooLargeError
from kamu_assets.coordinator.ingest.limits import IngestLimits

# Strings as a whole, so that brackets inside of them do not count; brackets; line breaks.
_STRUCTURE = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}\n]', re.DOTALL)
_STRING = re.compile(rb'"[^"]*+"?')
_ALL_BUT_MARKS: Final = bytes(set(range(256)) - set(b'"{}[]'))
# What `[` and `{` have in common that `]` and `}` have not.
_CASE: Final = 0x20
_OPENING: Final = ord("{")


class Nesting:
    """Follows brackets through a text that comes in parts, cut anywhere."""

    def __init__(self) -> None:
        self._level = 0
        self._in_string = False
        self._is_escaped = False
        # Whether the part that was added last is outside of all brackets somewhere.
        self.was_outside = True

    def add(self, text: bytes) -> int:
        """The deepest level that this part reaches."""
        self.was_outside = self._level == 0
        if not text:
            return self._level
        marks = self._unescaped(text).translate(None, _ALL_BUT_MARKS)
        if self._in_string:
            marks = b'"' + marks
        # Two quotes in a row change nothing for what follows: what is left are strings with brackets inside.
        marks = marks.replace(b'""', b"")
        self._in_string = marks.count(b'"') % 2 == 1
        return self._follow(_STRING.sub(b"", marks) if b'"' in marks else marks)

    def _unescaped(self, text: bytes) -> bytes:
        """The text without escaped quotes."""
        if self._is_escaped and text[:1] in (b'"', b"\\"):
            text = text[1:]
        if b"\\" not in text:
            self._is_escaped = False
            return text
        self._is_escaped = (len(text) - len(text.rstrip(b"\\"))) % 2 == 1
        return text.replace(rb"\\", b"").replace(rb"\"", b"")

    def _follow(self, brackets: bytes) -> int:
        if not brackets:
            return self._level
        opening = (np.frombuffer(brackets, np.uint8) | _CASE) == _OPENING
        levels = self._level + np.cumsum(opening.view(np.int8) * np.int8(2) - np.int8(1), dtype=np.int64)
        # Closing what was never opened does not make room for more.
        levels -= np.minimum(np.minimum.accumulate(levels), 0)
        self._level = int(levels[-1])
        self.was_outside |= bool(levels.min() == 0)
        return int(levels.max())


def check_nesting(text: bytes, *, where: str, line: int, limits: IngestLimits) -> None:
    """Refuse text that starts at `line` of a file and opens too many brackets."""
    if Nesting().add(text) > limits.max_nesting:
        raise too_deep(where, line + _lines_before_limit(text, limits), limits)


def too_deep(where: str, line: int, limits: IngestLimits) -> TooLargeError:
    return TooLargeError(f"{where}, line {line}: nested deeper than {limits.max_nesting} levels")


def _lines_before_limit(text: bytes, limits: IngestLimits) -> int:
    """How many lines end before the text is nested too deep."""
    depth = lines = 0
    for found in _STRUCTURE.finditer(text):
        match found[0]:
            case b"{" | b"[":
                depth += 1
            case b"}" | b"]":
                depth = max(depth - 1, 0)
            case b"\n":
                lines += 1
            case string:
                lines += string.count(b"\n")
        if depth > limits.max_nesting:
            break
    return lines
