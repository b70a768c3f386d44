"""Objects in memory, for tests and throw-away nodes."""

import itertools
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from kamu_assets.storage.errors import ObjectNotFoundError, PreconditionFailedError
from kamu_assets.storage.keys import check_key, check_prefix
from kamu_assets.storage.object_store import DEFAULT_CHUNK_SIZE, Condition, IfMatch, ObjectInfo


class MemoryPendingObject:
    """Bytes that are not an object yet."""

    def __init__(self, store: "MemoryObjectStore") -> None:
        self._store = store
        self._data = bytearray()

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return len(self._data)

    def write(self, data: bytes) -> None:
        """Append."""
        self._data += data

    def commit(self, key: str) -> ObjectInfo:
        """Name it; an object of that key and size is kept."""
        return self._store.keep(key, bytes(self._data))

    def discard(self) -> None:
        """Forget it."""
        self._data.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


class MemoryObjectStore:
    """An object store that ends with the process."""

    def __init__(self) -> None:
        self._objects: dict[str, tuple[ObjectInfo, bytes]] = {}
        self._versions = itertools.count(1)
        self._lock = threading.RLock()
        self._files: Path | None = None

    def get(self, key: str) -> bytes:
        """All bytes."""
        return self._find(key)[1]

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """At most `length` bytes from `start`."""
        return self._find(key)[1][start : start + length]

    def stream(self, key: str, *, chunk_size: int = DEFAULT_CHUNK_SIZE) -> Iterator[bytes]:
        """The bytes in pieces."""
        data = self._find(key)[1]
        return (data[start : start + chunk_size] for start in range(0, len(data), chunk_size))

    def stat(self, key: str) -> ObjectInfo:
        """Size and etag."""
        return self._find(key)[0]

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        check_key(key)
        return key in self._objects

    def put(
        self,
        key: str,
        data: bytes,
        *,
        condition: Condition | None = None,
        lasting: bool = True,  # noqa: ARG002 - nothing here outlasts the process
    ) -> ObjectInfo:
        """Write atomically."""
        check_key(key)
        with self._lock:
            self._check(key, condition)
            info = ObjectInfo(key, len(data), str(next(self._versions)), time.time())
            self._objects[key] = (info, bytes(data))
            return info

    def keep(self, key: str, data: bytes) -> ObjectInfo:
        """Store an object named by its content unless it is there already."""
        with self._lock:
            if self.exists(key) and self.stat(key).size == len(data):
                return self.stat(key)
            return self.put(key, data)

    def writer(self, prefix: str) -> MemoryPendingObject:
        """Start an object."""
        if prefix:
            check_key(prefix)
        return MemoryPendingObject(self)

    def put_file(self, path: Path, key: str) -> ObjectInfo:
        """Take over a file: read and removed."""
        info = self.keep(key, path.read_bytes())
        path.unlink()
        return info

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix`, ordered by key."""
        check_prefix(prefix)
        with self._lock:
            return iter([self._objects[key][0] for key in sorted(self._objects) if key.startswith(prefix)])

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Parts that follow `prefix` in longer keys, ordered."""
        rests = (info.key.removeprefix(prefix).split("/") for info in self.list(prefix))
        return iter(sorted({parts[0] for parts in rests if len(parts) > 1}))

    def delete(self, key: str) -> None:
        """Remove it if it is there."""
        check_key(key)
        with self._lock:
            self._objects.pop(key, None)

    def location(self, key: str) -> str:
        """A file that holds the object as it is now."""
        info, data = self._find(key)
        path = self._folder() / f"{sha256(key.encode()).hexdigest()}-{info.etag}"
        if not path.exists():
            path.write_bytes(data)
        return str(path)

    def staging(self) -> Path:
        """A temporary folder."""
        folder = self._folder() / "staging"
        folder.mkdir(exist_ok=True)
        return folder

    def remove_leftovers(
        self,
        *,
        older_than: float,  # noqa: ARG002 - memory leaves nothing behind
        dry_run: bool = False,  # noqa: ARG002 - the same
    ) -> tuple[str, ...]:
        """Nothing: what died took its memory with it."""
        return ()

    def _find(self, key: str) -> tuple[ObjectInfo, bytes]:
        check_key(key)
        try:
            return self._objects[key]
        except KeyError:
            raise ObjectNotFoundError(key) from None

    def _check(self, key: str, condition: Condition | None) -> None:
        if condition is None:
            return
        etag = self._objects[key][0].etag if key in self._objects else None
        if etag != (condition.etag if isinstance(condition, IfMatch) else None):
            raise PreconditionFailedError(key)

    def _folder(self) -> Path:
        with self._lock:
            if self._files is None:
                self._files = Path(tempfile.mkdtemp(prefix="kamu-objects-"))
                weakref.finalize(self, shutil.rmtree, self._files, ignore_errors=True)
            return self._files
