"""Walks of a folder that may change meanwhile, in the order of object keys."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from kamu_assets.storage.files import PENDING_PREFIX, told_plainly
from kamu_assets.storage.object_store import ObjectInfo

_GONE = (FileNotFoundError, NotADirectoryError)


def describe(key: str, status: os.stat_result) -> ObjectInfo:
    """A file as an object; every write makes a new file with its own time, so the etag is never used again."""
    etag = f"{status.st_mtime_ns:x}-{status.st_ino:x}-{status.st_size:x}"
    return ObjectInfo(key, status.st_size, etag, status.st_mtime)


def objects(root: Path, prefix: str) -> Iterator[ObjectInfo]:
    """Files whose key starts with `prefix`, ordered by key."""
    folder, slash, start = prefix.rpartition("/")
    return _walk(root / folder, f"{folder}{slash}", start)


def folders(root: Path, prefix: str) -> Iterator[str]:
    """Names of the folders directly in `prefix`, ordered."""
    return (entry.name for _, entry in _entries(root / prefix, "") if entry.is_dir())


def leftovers(root: Path, staging: str, older_than: float) -> Iterator[Path]:
    """Files of writers that died: hidden pending ones and all in the staging folder; workplaces have an own rule."""
    latest = time.time() - older_than
    for folder, below, names in os.walk(root):
        staged = Path(folder) == root / staging
        if staged:
            below.clear()
        for name in names:
            path = Path(folder, name)
            if (staged or name.startswith(PENDING_PREFIX)) and _modified(path) <= latest:
                yield path


def _walk(folder: Path, key: str, start: str) -> Iterator[ObjectInfo]:
    for _, entry in _entries(folder, start):
        if entry.is_dir():
            yield from _walk(Path(entry.path), f"{key}{entry.name}/", "")
            continue
        with contextlib.suppress(*_GONE):
            yield describe(f"{key}{entry.name}", entry.stat())


def _entries(folder: Path, start: str) -> list[tuple[str, "os.DirEntry[str]"]]:
    try:
        with told_plainly(folder), os.scandir(folder) as scan:
            seen = [entry for entry in scan if entry.name.startswith(start) and not entry.name.startswith(".")]
    except _GONE:
        return []
    # `a-b` comes before `a/c`: a folder sorts with its slash.
    named = [(f"{entry.name}/" if entry.is_dir() else entry.name, entry) for entry in seen]
    return sorted(named, key=lambda pair: pair[0])


def _modified(path: Path) -> float:
    try:
        return path.stat(follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return float("inf")
