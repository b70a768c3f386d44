"""Objects as files of a folder: the layout other ODF software reads in place."""

import contextlib
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from kamu_assets.durability import Durability
from kamu_assets.storage import local_listing
from kamu_assets.storage.errors import (
    InvalidKeyError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StorageUnavailableError,
)
from kamu_assets.storage.files import (
    Folders,
    Place,
    locked_folder,
    pending_path,
    replace_unsynced,
    sync_file,
    sync_folder,
    told_plainly,
    write_pending,
)
from kamu_assets.storage.keys import check_key, check_prefix
from kamu_assets.storage.local_pending import LocalPendingObject
from kamu_assets.storage.object_store import DEFAULT_CHUNK_SIZE, Condition, IfMatch, ObjectInfo

STAGING = ".staging"
_ATTEMPTS = 20
_Result = TypeVar("_Result")


class LocalObjectStore:
    """An object store in a folder, safe for many threads and processes."""

    def __init__(self, root: Path, durability: Durability = Durability.FULL) -> None:
        self._root = root.absolute()
        self._prefix = f"{self._root}/"
        self._synced = durability is Durability.FULL
        self._folders = Folders(self._root, durability)

    def get(self, key: str) -> bytes:
        """All bytes."""
        with self._reading(key), open(self._path(key), "rb") as file:
            return file.read()

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """At most `length` bytes from `start`."""
        with self._reading(key), open(self._path(key), "rb") as file:
            file.seek(start)
            return file.read(length)

    def stream(self, key: str, *, chunk_size: int = DEFAULT_CHUNK_SIZE) -> Iterator[bytes]:
        """The bytes in pieces."""
        with self._reading(key), open(self._path(key), "rb") as file:
            while chunk := file.read(chunk_size):
                yield chunk

    def stat(self, key: str) -> ObjectInfo:
        """Size and etag."""
        with self._reading(key):
            status = os.stat(self._path(key))
        if stat.S_ISDIR(status.st_mode):
            raise ObjectNotFoundError(key)
        return local_listing.describe(key, status)

    def exists(self, key: str) -> bool:
        """Whether there is such a file."""
        return Path(self._path(key)).is_file()

    def put(self, key: str, data: bytes, *, condition: Condition | None = None, lasting: bool = True) -> ObjectInfo:
        """Write atomically."""
        target = self._path(key)
        folder, synced = os.path.dirname(target), self._synced and lasting
        pending = self._in_folder(
            folder, key, lambda: write_pending(folder, data, modified=time.time_ns(), synced=synced)
        )
        try:
            return self._rename_in_folder(pending, target, key, condition, synced=synced)
        except BaseException:
            # Whoever is told of a failure would think that nothing was stored.
            with contextlib.suppress(OSError):
                os.unlink(pending)
            raise

    def writer(self, prefix: str) -> LocalPendingObject:
        """Start an object in the folder `prefix`."""
        if prefix:
            check_key(prefix)
        folder = self._root / prefix
        return self._in_folder(folder, prefix, lambda: LocalPendingObject(pending_path(folder), self._adopt))

    def put_file(self, path: Path, key: str) -> ObjectInfo:
        """Take over a file: moved on the same file system, else copied."""
        staging = self.staging()
        if os.stat(path).st_dev == os.stat(staging).st_dev:
            return self._adopt(path, key)
        copy = pending_path(staging)
        try:
            with told_plainly(self._root):
                shutil.copyfile(path, copy)
            info = self._adopt(copy, key)
        finally:
            copy.unlink(missing_ok=True)
        path.unlink()
        return info

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix`, ordered by key."""
        check_prefix(prefix)
        return local_listing.objects(self._root, prefix)

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Names of the folders directly in `prefix`, ordered."""
        check_prefix(prefix)
        return local_listing.folders(self._root, prefix)

    def delete(self, key: str) -> None:
        """Remove it if it is there, and folders that become empty."""
        path = Path(self._path(key))
        if not path.is_file():
            return
        with told_plainly(path.parent), contextlib.suppress(FileNotFoundError), locked_folder(path.parent):
            path.unlink()
            if self._synced:
                sync_folder(path.parent)
            self._folders.prune(path.parent)

    def location(self, key: str) -> str:
        """The absolute path."""
        return self._path(key)

    def staging(self) -> Path:
        """A hidden folder on the same file system."""
        folder = self._root / STAGING
        return self._in_folder(folder, STAGING, lambda: folder)

    def remove_leftovers(self, *, older_than: float, dry_run: bool = False) -> tuple[str, ...]:
        """Remove pending and staged files untouched for so many seconds."""
        found = sorted(local_listing.leftovers(self._root, STAGING, older_than))
        for path in () if dry_run else found:
            path.unlink(missing_ok=True)
        return tuple(str(path.relative_to(self._root)) for path in found)

    def _path(self, key: str) -> str:
        check_key(key)
        return self._prefix + key

    @contextlib.contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        try:
            with told_plainly(self._root):
                yield
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise ObjectNotFoundError(key) from error

    def _adopt(self, file: Place, key: str) -> ObjectInfo:
        """Name a file by its content unless it has been named so before."""
        target = self._path(key)
        with told_plainly(os.path.dirname(target)), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if os.path.isfile(target) and os.path.getsize(target) == os.path.getsize(file):
                info = self._keep(target, key)
                os.unlink(file)
                return info
        return self._place(file, target, key)

    def _keep(self, target: str, key: str) -> ObjectInfo:
        """Make durable what somebody else has named and may not have come to syncing: that one may have died."""
        if self._synced:
            folder = os.path.dirname(target)
            self._folders.make(folder)
            sync_file(target)
            sync_folder(folder)
        return local_listing.describe(key, os.stat(target))

    def _place(self, file: Place, target: str, key: str) -> ObjectInfo:
        """Move a finished file to its name, content first."""
        with told_plainly(os.path.dirname(target)):
            # Makes the etag unique: two files never have both inode and this time in common.
            os.utime(file, ns=(time.time_ns(),) * 2)
            if self._synced:
                sync_file(file)
        return self._rename_in_folder(file, target, key, None, synced=self._synced)

    def _rename_in_folder(
        self, file: Place, target: str, key: str, condition: Condition | None, *, synced: bool
    ) -> ObjectInfo:
        folder = os.path.dirname(target)
        return self._in_folder(folder, key, lambda: self._rename(file, target, key, condition, synced=synced))

    def _rename(self, file: Place, target: str, key: str, condition: Condition | None, *, synced: bool) -> ObjectInfo:
        folder = os.path.dirname(target)
        with locked_folder(folder):
            self._check(target, key, condition)
            if synced:
                os.replace(file, target)
            else:
                replace_unsynced(file, target)
            info = local_listing.describe(key, os.stat(target))
        if synced:
            sync_folder(folder)
        return info

    def _check(self, target: str, key: str, condition: Condition | None) -> None:
        if condition is None:
            return
        etag = local_listing.describe(key, os.stat(target)).etag if os.path.isfile(target) else None
        if etag != (condition.etag if isinstance(condition, IfMatch) else None):
            raise PreconditionFailedError(key)

    def _is_below_a_file(self, place: Place) -> bool:
        folder = Path(place)
        inside = (part for part in (folder, *folder.parents) if part.is_relative_to(self._root))
        return any(part.is_file() for part in inside)

    def _in_folder(self, folder: Place, key: str, action: Callable[[], _Result]) -> _Result:
        """Do something in a folder, again if somebody removes the folder at that moment."""
        for _ in range(_ATTEMPTS):
            try:
                with told_plainly(folder):
                    self._folders.make(folder)
                    return action()
            except FileNotFoundError:
                continue
            except IsADirectoryError as error:
                raise InvalidKeyError(key, "it is a folder") from error
            except (NotADirectoryError, FileExistsError) as error:
                # A folder that vanishes while it is created looks like this too.
                if self._is_below_a_file(folder):
                    raise InvalidKeyError(key, "a part of it is an object") from error
        raise StorageUnavailableError(f"{folder} vanishes whenever it is created")
