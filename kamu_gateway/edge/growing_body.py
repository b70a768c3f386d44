"""A body that arrives piece by piece: in memory at first, in a file from the moment it is too large for that."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO

from kamu_gateway.edge.errors import MessageAnswerError
from kamu_gateway.edge.threads import in_thread


class GrowingBody:
    """Memory is accounted for with `hold` and `release`; `discard` it whatever happens."""

    def __init__(
        self, folder: Path, in_memory: int, *, hold: Callable[[int], None], release: Callable[[int], None]
    ) -> None:
        self._folder = folder
        self._in_memory = in_memory
        self._hold = hold
        self._release = release
        self._buffer = bytearray()
        self._path: Path | None = None
        self._file: IO[bytes] | None = None

    async def add(self, piece: bytes) -> None:
        """Append."""
        if self._file is None and len(self._buffer) + len(piece) <= self._in_memory:
            self._hold(len(piece))
            self._buffer += piece
            return
        try:
            await in_thread(self._spool, piece)
        except OSError as error:
            raise MessageAnswerError(
                503, f"The body cannot be kept on disk: {error.strerror}", retry_after=5
            ) from error
        self._forget_buffer()

    def content(self) -> bytes | Path:
        """All that was added."""
        return self._path or bytes(self._buffer)

    def discard(self) -> None:
        """Give memory and file back."""
        self._forget_buffer()
        if self._file is not None:
            self._file.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _spool(self, piece: bytes) -> None:
        if self._file is None:
            self._path = self._folder / secrets.token_hex(8)
            self._file = self._path.open("xb", buffering=0)
            _write(self._file, self._buffer)
        _write(self._file, piece)

    def _forget_buffer(self) -> None:
        self._release(len(self._buffer))
        self._buffer = bytearray()


def _write(file: IO[bytes], data: bytes | bytearray) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
