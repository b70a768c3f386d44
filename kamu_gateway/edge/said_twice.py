"""JSON objects with a member that is said twice: readers differ in which of the two they take (RFC 8259, section 4)."""

import json
from collections.abc import Sequence
from typing import Final


class _SaidTwiceError(Exception):
    def __init__(self, name: str) -> None:
        self.name = name


def said_twice(document: bytes | str) -> str | None:
    """The first such member of a document that is known to be JSON, at whatever depth."""
    try:
        _READER.decode(document if isinstance(document, str) else document.decode())
    except _SaidTwiceError as found:
        return found.name
    return None


def _names(members: Sequence[tuple[str, object]]) -> None:
    if len(members) == len({name for name, _ in members}):
        return
    seen: set[str] = set()
    for name, _ in members:
        if name in seen:
            raise _SaidTwiceError(name)
        seen.add(name)


# Nobody looks at the numbers, however long they are.
_READER: Final = json.JSONDecoder(object_pairs_hook=_names, parse_int=len, parse_float=len)
