"""The object store protocol: named, immutable-by-habit byte strings, written whole or not at all."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

DEFAULT_CHUNK_SIZE = 1 << 20


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a store knows of an object without reading it."""

    key: str
    size: int
    # Changes whenever the object is replaced; means nothing outside of its store.
    etag: str
    # When it was written, in seconds since the Unix epoch by the clock of the store.
    modified: float


@dataclass(frozen=True, slots=True)
class IfAbsent:
    """Write only where nothing is."""


@dataclass(frozen=True, slots=True)
class IfMatch:
    """Replace only the object that was seen."""

    etag: str


Condition = IfAbsent | IfMatch


class PendingObject(Protocol):
    """Bytes on their way into a store, seen by nobody before `commit`; leaving the `with` block discards."""

    @property
    def size(self) -> int:
        """Bytes written so far."""
        ...

    def write(self, data: bytes) -> None:
        """Append."""
        ...

    def commit(self, key: str) -> ObjectInfo:
        """Name it by its content: an object of that key and size is kept and this one discarded."""
        ...

    def discard(self) -> None:
        """Forget it; harmless after `commit`."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ObjectStore(Protocol):
    """Objects by key. Keys are `/`-separated parts, none empty or starting with a dot (see `keys.check_key`)."""

    def get(self, key: str) -> bytes:
        """All bytes; ObjectNotFoundError."""
        ...

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """At most `length` bytes from `start`; shorter, perhaps empty, at the end of the object."""
        ...

    def stream(self, key: str, *, chunk_size: int = DEFAULT_CHUNK_SIZE) -> Iterator[bytes]:
        """The bytes in pieces; a missing object is told with the first piece."""
        ...

    def stat(self, key: str) -> ObjectInfo:
        """Size and etag; ObjectNotFoundError."""
        ...

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        ...

    def put(self, key: str, data: bytes, *, condition: Condition | None = None, lasting: bool = True) -> ObjectInfo:
        """Write atomically, replacing what was there unless a condition forbids it: PreconditionFailedError.

        Not `lasting`: a power cut may undo or spoil it, so it is for what can be made again.
        """
        ...

    def writer(self, prefix: str) -> PendingObject:
        """Start an object that will most likely be named `<prefix>/…`."""
        ...

    def put_file(self, path: Path, key: str) -> ObjectInfo:
        """Take over a local file, best one from `staging`, as an object named by its content; see `commit`."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix`, ordered by key."""
        ...

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Parts that follow `prefix` (empty or ending with `/`) in keys that go on after them, ordered."""
        ...

    def delete(self, key: str) -> None:
        """Remove it if it is there."""
        ...

    def location(self, key: str) -> str:
        """Where an engine opens an existing object: an absolute path or a URL."""
        ...

    def staging(self) -> Path:
        """A local folder from which `put_file` is cheapest."""
        ...

    def remove_leftovers(self, *, older_than: float, dry_run: bool = False) -> tuple[str, ...]:
        """Remove what writers that died left behind, untouched for so many seconds; tells what it was (or would be)."""
        ...
