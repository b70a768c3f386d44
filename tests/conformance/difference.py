"""Saying in one line what differs from what was recorded elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kamu_assets.errors import InvalidError

SHOWN = 60
ABSENT = "nothing"


class DifferenceError(AssertionError):
    """We and the reference disagree."""


def expect(what: str, *, ours: object, theirs: object) -> None:
    """Raise unless both are equal, also in type: 1, 1.0 and True are three things."""
    found = next(_differences(what, ours, theirs), None)
    if found:
        raise DifferenceError(found)


def expect_refused(what: str, action: Callable[[], object]) -> InvalidError:
    """Raise unless `action` refuses its input; any other exception is a bug and passes through."""
    try:
        result = action()
    except InvalidError as refusal:
        return refusal
    raise DifferenceError(f"{what}: accepted as {_shown(result)}, the reference refuses it")


def _differences(where: str, ours: object, theirs: object) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        yield from _in_objects(where, ours, theirs)
    elif isinstance(ours, (list, tuple)) and isinstance(theirs, (list, tuple)):
        yield from _in_lists(where, list(ours), list(theirs))
    elif isinstance(ours, (str, bytes)) and type(ours) is type(theirs):
        if ours != theirs:
            yield _in_texts(where, ours, theirs)
    elif type(ours) is not type(theirs) or repr(ours) != repr(theirs):
        yield f"{where}: ours {_shown(ours)}, theirs {_shown(theirs)}"


def _in_objects(where: str, ours: dict[Any, Any], theirs: dict[Any, Any]) -> Iterator[str]:
    for key in [*theirs, *(key for key in ours if key not in theirs)]:
        if key not in ours or key not in theirs:
            yield f"{where}.{key}: ours {_entry(ours, key)}, theirs {_entry(theirs, key)}"
        else:
            yield from _differences(f"{where}.{key}", ours[key], theirs[key])


def _entry(values: dict[Any, Any], key: Any) -> str:
    return _shown(values[key]) if key in values else ABSENT


def _in_lists(where: str, ours: list[Any], theirs: list[Any]) -> Iterator[str]:
    for index, (mine, other) in enumerate(zip(ours, theirs, strict=False)):
        yield from _differences(f"{where}[{index}]", mine, other)
    if len(ours) != len(theirs):
        yield f"{where}: ours has {len(ours)} items, theirs {len(theirs)}"


def _in_texts(where: str, ours: Any, theirs: Any) -> str:
    if max(len(ours), len(theirs)) <= SHOWN:
        return f"{where}: ours {_shown(ours)}, theirs {_shown(theirs)}"
    pairs = enumerate(zip(ours, theirs, strict=False))
    at = next((index for index, (one, other) in pairs if one != other), min(len(ours), len(theirs)))
    start = max(0, at - SHOWN // 4)
    lengths = f"{len(ours)} and {len(theirs)} long, "
    return f"{where}: {lengths}from {start}: ours {_shown(ours[start:])}, theirs {_shown(theirs[start:])}"


def _shown(value: object) -> str:
    text = f"0x{value[:SHOWN].hex()}" if isinstance(value, bytes) else repr(value)
    return text if len(text) <= 2 * SHOWN else f"{text[: 2 * SHOWN]}…"
