"""A file that becomes an object of the local store when it is complete."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from kamu_assets.storage.files import told_plainly
from kamu_assets.storage.object_store import ObjectInfo


class LocalPendingObject:
    """Writes to a hidden file that `adopt` moves to its name."""

    def __init__(self, path: Path, adopt: Callable[[Path, str], ObjectInfo]) -> None:
        self.path = path
        self._adopt = adopt
        self._size = 0
        self._file = path.open("xb")

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._size

    def write(self, data: bytes) -> None:
        """Append."""
        with self._or_nothing():
            self._file.write(data)
        self._size += len(data)

    def close(self) -> None:
        """Finish writing."""
        with self._or_nothing():
            self._file.close()

    def commit(self, key: str) -> ObjectInfo:
        """Name it; an object of that key and size is kept and this one discarded."""
        self.close()
        with self:
            return self._adopt(self.path, key)

    def discard(self) -> None:
        """Forget it; harmless after `commit`."""
        try:
            self._file.close()
        except OSError:
            # What could not be flushed is not wanted any more; closing again closes.
            self._file.close()
        # What cannot be removed now is a leftover; whoever is told of a failure would think that nothing was stored.
        with contextlib.suppress(OSError):
            self.path.unlink()

    @contextlib.contextmanager
    def _or_nothing(self) -> Iterator[None]:
        try:
            with told_plainly(self.path.parent):
                yield
        except BaseException:
            self.discard()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()
