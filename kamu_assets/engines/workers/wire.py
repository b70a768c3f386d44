"""Frames between a worker and its parent: `[kind u8][length u64][pickle]`.

The parent treats a worker as hostile: it ran foreign SQL and files in native code. So frames are size-limited, never
block the parent, and only plain values and classes of known packages are unpickled.
"""

import io
import pickle
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from kamu_assets.errors import KamuError

_HEADER = struct.Struct("!BQ")
_SAFE_MODULES = frozenset({"pathlib", "datetime", "decimal", "uuid", "collections", "ipaddress"})
_SAFE_BUILTINS = frozenset({"set", "frozenset", "bytearray", "complex", "range", "slice"})


class FrameKind(IntEnum):
    JOB = 1
    ANSWER = 2
    ASK = 3
    PROGRESS = 4
    RESULT = 5
    FAILURE = 6
    BUG = 7
    NO_MEMORY = 8


class FrameTooLargeError(Exception):
    """The peer announced a frame over the limit."""


@dataclass(frozen=True)
class Failure:
    """An expected error on its way to the other process: class, arguments and facts, no traceback."""

    kind: type[KamuError]
    args: tuple[object, ...]
    facts: dict[str, object]

    @classmethod
    def of(cls, error: KamuError) -> "Failure":
        facts = {name: value for name, value in vars(error).items() if _travels(value)}
        return cls(type(error), tuple(arg if _travels(arg) else str(arg) for arg in error.args), facts)

    def restored(self) -> KamuError:
        # Error classes take facts, not messages, so `__init__` can't be called again.
        error = self.kind.__new__(self.kind)
        error.args = self.args
        vars(error).update(self.facts)
        return error


def encode_frame(kind: FrameKind, value: object) -> bytes:
    body = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return _HEADER.pack(kind, len(body)) + body


class FrameReader:
    """Cuts a byte stream into frames without ever waiting for more bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[FrameKind, bytes]]:
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            kind, length = _HEADER.unpack_from(self._buffer)
            if length > self._limit:
                raise FrameTooLargeError
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            body = bytes(memoryview(self._buffer)[_HEADER.size : end])
            del self._buffer[:end]
            yield FrameKind(kind), body


class _KnownClasses(pickle.Unpickler):
    def __init__(self, data: bytes, packages: frozenset[str]) -> None:
        super().__init__(io.BytesIO(data))
        self._packages = packages

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if not self._is_known(module_name, global_name):
            raise pickle.UnpicklingError(f"a worker may not send {module_name}.{global_name}")
        found = super().find_class(module_name, global_name)
        if not isinstance(found, type):
            raise pickle.UnpicklingError(f"{module_name}.{global_name} is no class")
        return found

    def _is_known(self, module: str, name: str) -> bool:
        if module == "builtins":
            return name in _SAFE_BUILTINS
        return module in _SAFE_MODULES or module.partition(".")[0] in self._packages


def decode_from_worker(data: bytes, *, packages: frozenset[str]) -> Any:
    """Unpickle what a worker sent: plain values and classes of `packages` only."""
    return _KnownClasses(data, packages).load()


def decode_from_parent(data: bytes) -> Any:
    return pickle.loads(data)  # noqa: S301 - the child trusts its own parent


def _travels(value: object) -> bool:
    try:
        pickle.dumps(value)
    except Exception:  # noqa: BLE001 - any object may refuse in its own way
        return False
    return True
