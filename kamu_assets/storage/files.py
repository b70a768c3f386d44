"""Files that are whole, named and durable, or not there at all."""

import contextlib
import errno
import fcntl
import functools
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from kamu_assets.durability import Durability
from kamu_assets.storage.errors import StorageFullError, StorageUnavailableError

# Where every read and write passes, texts: making and joining paths takes as long as what the system does there.
Place: TypeAlias = str | Path

PENDING_PREFIX = ".pending-"
_RANDOM_BYTES = 8  # 16 characters
_AT_FDCWD = -100
_EXCHANGE = 2
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ELOOP, errno.ESTALE}


@contextlib.contextmanager
def told_plainly(folder: Place) -> Iterator[None]:
    """Turn what the disk refuses into errors that name the folder."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFullError(folder) from error
        if error.errno in _REFUSED:
            raise StorageUnavailableError(f"{folder} cannot be used: {error.strerror}") from error
        raise


def pending_path(folder: Path) -> Path:
    """A new name for a file that is not finished."""
    return Path(_pending(folder))


def _pending(folder: Place) -> str:
    return f"{folder}/{PENDING_PREFIX}{secrets.token_hex(_RANDOM_BYTES)}"


def write_pending(folder: Place, content: bytes, *, modified: int, synced: bool) -> str:
    """A new file that is whole, last modified at that many nanoseconds, and on disk if that is wanted; or none."""
    path = _pending(folder)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        _write_all(descriptor, content)
        os.utime(descriptor, ns=(modified, modified))
        if synced:
            sync_content(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise
    finally:
        os.close(descriptor)
    return path


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def sync_folder(folder: Place) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Place) -> None:
    """Make the content of a file durable, whoever wrote it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync_content(descriptor)
    finally:
        os.close(descriptor)


def sync_content(descriptor: int) -> None:
    """The same for a file that is open."""
    os.fsync(descriptor)


def replace_unsynced(file: Place, target: Place) -> None:
    """Replace at once, as `os.replace` does, what need not outlast a power cut.

    Some file systems (ext4) write a file out when it is renamed over another one, which takes longer than all the rest
    of a small commit. They do not when the two change places.
    """
    if os.path.isfile(target) and _exchanged(file, target):
        os.unlink(file)
    else:
        os.replace(file, target)


def _exchanged(one: Place, other: Place) -> bool:
    """Let two names change places; False where the system or the file system cannot."""
    rename = _renameat2()
    return rename is not None and rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE) == 0


@functools.cache
def _renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    import ctypes

    return getattr(ctypes.CDLL(None), "renameat2", None)


@contextlib.contextmanager
def locked_folder(folder: Place) -> Iterator[None]:
    """Be alone among all processes and threads that use this lock, without leaving a lock file."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class Folders:
    """Makes folders below a root so that they survive whatever their files survive."""

    def __init__(self, root: Path, durability: Durability) -> None:
        self._root = root
        self._synced = durability is Durability.FULL
        # Folders whose own name is known to be on disk: texts, for every write asks.
        self._durable: set[str] = set()

    def make(self, place: Place) -> None:
        """Create a folder and its parents."""
        known = str(place)
        if known in self._durable and os.path.isdir(known):
            return
        folder = Path(known)
        folder.mkdir(parents=True, exist_ok=True)
        if self._synced:
            # Also when somebody else created it: that somebody may not have come to syncing yet.
            for parent in self._between(folder):
                sync_folder(parent)
        self._durable.add(known)

    def prune(self, folder: Path) -> None:
        """Remove a folder and its parents while they are empty."""
        while folder not in {self._root, self._root.parent}:
            try:
                folder.rmdir()
            except OSError:
                return
            self._durable.discard(str(folder))
            folder = folder.parent

    def _between(self, folder: Path) -> Iterator[Path]:
        while folder != self._root:
            folder = folder.parent
            yield folder
        yield self._root.parent
