"""Folders in which one job builds its files, each held by a lock that ends with its process, however it ends."""

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from kamu_assets.storage.files import told_plainly

_RANDOM_BYTES = 8


@contextlib.contextmanager
def workplace(parent: Path, job: str) -> Iterator[Path]:
    """A folder of one's own until the block ends; what the disk then refuses to remove is a leftover."""
    with told_plainly(parent):
        folder, lock = _claim(parent, job)
    try:
        yield folder
    finally:
        _remove(folder)
        os.close(lock)


def abandoned(parent: Path, *, remove: bool) -> tuple[str, ...]:
    """Names of workplaces whose process is dead, removed if so wished."""
    with told_plainly(parent):
        return tuple(folder.name for folder in sorted(parent.glob("*/")) if is_abandoned(folder, remove=remove))


def is_abandoned(folder: Path, *, remove: bool) -> bool:
    """Whether this was a workplace whose process is dead; removed if so wished."""
    try:
        lock = _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return False
    if remove:
        shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)
    return True


def _remove(folder: Path) -> None:
    """Nothing is left in it, as a rule."""
    try:
        folder.rmdir()
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)


def _claim(parent: Path, job: str) -> tuple[Path, int]:
    """A new folder and its lock: again, if somebody takes it for abandoned before it is locked."""
    while True:
        folder = parent / f"{job}-{secrets.token_hex(_RANDOM_BYTES)}"
        folder.mkdir()
        with contextlib.suppress(FileNotFoundError):
            return folder, _lock(folder, fcntl.LOCK_EX)


def _lock(folder: Path, how: int) -> int:
    """Held until the descriptor is closed or the process ends; FileNotFoundError if the folder is gone by then."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, how)
        is_there = os.fstat(descriptor).st_ino == folder.stat().st_ino
    except BaseException:
        os.close(descriptor)
        raise
    if is_there:
        return descriptor
    os.close(descriptor)
    raise FileNotFoundError(folder)
