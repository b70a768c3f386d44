"""Records what a process does to the files of a folder: contents, names and what it waited for to be on disk.

The tree is looked at before and after every call that changes or syncs something, so that native code which writes
files (Parquet, SQLite) is recorded as well. Folders and files are known by numbers of our own: inodes are used again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kamu_assets.storage import files as storage_files

# Rebuilt by whoever opens the database first.
IGNORED = ("-shm",)
_CALLS = ("mkdir", "rmdir", "replace", "rename", "unlink", "remove")


@dataclass(frozen=True)
class Write:
    """A file has this content now."""

    file: int
    content: bytes


@dataclass(frozen=True)
class Names:
    """Names of one folder change together; None: the name is gone."""

    folder: int
    changes: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True)
class Sync:
    """The content of a file, or the names in a folder, are on disk."""

    target: int


@dataclass(frozen=True)
class Acknowledged:
    """Somebody was told that a commit is done."""

    head: str


Event = Write | Names | Sync | Acknowledged


@dataclass
class Tree:
    """Folders and files by number; 0 is the root."""

    folders: dict[int, dict[str, int]] = field(default_factory=lambda: {0: {}})
    files: dict[int, bytes] = field(default_factory=dict)

    def copy(self) -> Tree:
        return Tree({number: dict(names) for number, names in self.folders.items()}, dict(self.files))


class Tape:
    """What happened below `root` since `start`, which counts as on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.events: list[Event] = []
        self._numbers: dict[int, int] = {root.stat().st_ino: 0}
        self._next = 1
        self._now = Tree()
        self._look()
        self.start = self._now.copy()
        self.events.clear()

    def record(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in _CALLS:
            monkeypatch.setattr(os, name, self._watched(getattr(os, name)))
        # No call of Python: names of two files change places at once.
        monkeypatch.setattr(storage_files, "_exchanged", self._watched(storage_files._exchanged))
        sync = os.fsync

        def fsync(descriptor: int) -> None:
            self._look()
            sync(descriptor)
            self.synced(os.fstat(descriptor).st_ino)

        monkeypatch.setattr(os, "fsync", fsync)

    def synced(self, inode: int) -> None:
        self._look()
        if inode in self._numbers:
            self.events.append(Sync(self._numbers[inode]))

    def name(self, number: int) -> str:
        """The last path of a file or folder."""
        parts = {0: ""}
        for tree in [event for event in self.events if isinstance(event, Names)]:
            for name, child in tree.changes:
                if child is not None:
                    parts[child] = f"{parts.get(tree.folder, self._start_name(tree.folder))}/{name}"
        return parts.get(number) or self._start_name(number)

    def _start_name(self, number: int) -> str:
        for folder, names in self.start.folders.items():
            for name, child in names.items():
                if child == number:
                    return f"{self._start_name(folder)}/{name}"
        return ""

    def acknowledge(self, head: object) -> None:
        self._look()
        self.events.append(Acknowledged(str(head)))

    def _watched(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            self._look()
            try:
                return call(*arguments, **options)
            finally:
                self._look()

        return watched

    def _look(self) -> None:
        """Append what has changed since the last look: new contents, then names."""
        seen = Tree()
        inodes: set[int] = set()
        self._scan(self.root, 0, seen, inodes)
        contents = [
            Write(number, content) for number, content in seen.files.items() if self._now.files.get(number) != content
        ]
        self.events += [*contents, *self._renamed(seen)]
        self._now = seen
        self._numbers = {inode: number for inode, number in self._numbers.items() if inode in inodes}

    def _renamed(self, seen: Tree) -> list[Event]:
        found: list[Event] = []
        for folder, names in seen.folders.items():
            before = self._now.folders.get(folder, {})
            gone = [(name, None) for name in before if name not in names]
            new = [(name, number) for name, number in names.items() if before.get(name) != number]
            if gone or new:
                found.append(Names(folder, (*gone, *new)))
        return found

    def _scan(self, folder: Path, number: int, seen: Tree, inodes: set[int]) -> None:
        inodes.add(folder.stat().st_ino)
        names = seen.folders.setdefault(number, {})
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda found: found.name):
                if entry.name.endswith(IGNORED):
                    continue
                inode = entry.inode()
                inodes.add(inode)
                child = self._numbers.setdefault(inode, self._next)
                self._next = max(self._next, child + 1)
                names[entry.name] = child
                if entry.is_dir():
                    self._scan(Path(entry.path), child, seen, inodes)
                else:
                    seen.files[child] = Path(entry.path).read_bytes()
