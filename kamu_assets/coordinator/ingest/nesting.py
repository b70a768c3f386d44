"""How deep JSON may be nested: looked at before a parser does, at the speed of memory."""

import re

from kamu_assets.coordinator.ingest.errors import TooLargeError
from kamu_assets.coordinator.ingest.limits import IngestLimits

# Strings as a whole, so that brackets inside of them do not count; brackets; line breaks.
_STRUCTURE = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}\n]', re.DOTALL)
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))


def check_nesting(text: bytes, *, where: str, line: int, limits: IngestLimits) -> None:
    """Refuse text that starts at `line` of a file and opens too many brackets."""
    brackets = text.translate(None, _ALL_BUT_BRACKETS)
    # Each round takes away one or two levels from inside.
    for _ in range(limits.max_nesting // 2):
        if not brackets:
            return
        brackets, before = brackets.replace(b"{}", b"").replace(b"[]", b""), len(brackets)
        if len(brackets) == before:
            break
    # What is left does not pair up: brackets inside strings, broken JSON, or a deep pit.
    if brackets:
        _measure(text, where, line, limits)


def _measure(text: bytes, where: str, line: int, limits: IngestLimits) -> None:
    depth = 0
    for found in _STRUCTURE.finditer(text):
        match found[0]:
            case b"{" | b"[":
                depth += 1
            case b"}" | b"]":
                depth -= 1
            case b"\n":
                line += 1
        if depth > limits.max_nesting:
            raise TooLargeError(f"{where}, line {line}: nested deeper than {limits.max_nesting} levels")
