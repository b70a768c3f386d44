"""Roles among the processes of one machine: a locked file beside a SQLite database, or in a folder that they share."""

import fcntl
import os
from pathlib import Path

from kamu_assets.database.leadership import Leadership, Sign


class FileLeadership(Leadership):
    """For processes of one machine. The time of the file's last change is a sign of life."""

    def __init__(self, database: Path, name: str, *, lasting: bool = False) -> None:
        super().__init__(name, lasting=lasting)
        self._path = database.with_name(f"{database.name}.{name}.lock")
        self._descriptor: int | None = None

    def holds(self) -> bool:
        if self._descriptor is None:
            return False
        if _is_at(self._path, self._descriptor):
            if self._is_lasting:
                os.utime(self._descriptor)
            return True
        # Others find another file there, or none, and lock that.
        self.resign()
        return False

    def is_vacant(self) -> bool:
        if self._descriptor is not None:
            return False
        if not self._path.exists():
            return True
        descriptor = _locked(self._path, fcntl.LOCK_SH)
        if descriptor is not None:
            os.close(descriptor)
        return descriptor is not None

    def resign(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _try(self) -> bool:
        if self._descriptor is None:
            self._descriptor = _locked(self._path, fcntl.LOCK_EX)
        return self.holds()

    def _sign(self) -> Sign | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns

    def _depose(self, sign: Sign) -> bool:
        # Should another one lead since this look, it finds no file and others lead after it: that does no harm.
        if self._sign() != sign:
            return False
        self._path.unlink(missing_ok=True)
        return True

    # The lock lasts until the last copy is closed.
    _forked = resign


def _locked(path: Path, kind: int) -> int | None:
    """The file, opened and locked; None while others have it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
