"""Walks folders for what matches a pattern, within bounds: a pattern may name the whole disk."""

import fnmatch
import glob
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from kamu_assets.coordinator.ingest.errors import SourceUnreachableError, TooLargeError
from kamu_assets.coordinator.ingest.limits import FetchLimits

# File systems that the kernel makes up. Whoever wants something of theirs names the folder.
_MADE_UP = ("/proc", "/sys", "/dev")
_Todo = tuple[str, tuple[str, ...]]


class FileWalk:
    """One look for matching files. `**` follows no links to folders, so that it ends."""

    def __init__(self, start: Path, shown: str, limits: FetchLimits) -> None:
        self._start = start
        self._shown = shown
        self._limits = limits
        self._deadline = time.monotonic() + limits.total_seconds
        self._visited = 0
        self._made_up = _made_up()

    def matching(self, parts: Sequence[str]) -> Iterator[Path]:
        """Whatever matches the parts of the pattern below the start, in no order."""
        todo: list[_Todo] = [(str(self._start), _collapsed(parts))]
        while todo:
            place, left = todo.pop()
            if left:
                todo.extend(self._step(place, left))
            elif os.path.lexists(place):
                yield Path(place)

    def _step(self, place: str, parts: tuple[str, ...]) -> Iterator[_Todo]:
        part, *rest = parts
        if part == "**":
            return self._below(place, parts)
        if glob.has_magic(part):
            return self._named_like(place, part, tuple(rest))
        return iter([(os.path.join(place, part), tuple(rest))])  # noqa: PTH118 - a million of them

    def _below(self, place: str, parts: tuple[str, ...]) -> Iterator[_Todo]:
        rest = parts[1:]
        if rest:
            yield place, rest
        for entry in self._entries(place):
            if entry.is_dir(follow_symlinks=False):
                if self._is_real(entry):
                    yield entry.path, parts
            elif not rest:
                yield entry.path, ()

    def _named_like(self, place: str, part: str, rest: tuple[str, ...]) -> Iterator[_Todo]:
        name = re.compile(fnmatch.translate(part))
        for entry in self._entries(place):
            if name.match(entry.name) and (not rest or (_is_folder(entry) and self._is_real(entry))):
                yield entry.path, rest

    def _entries(self, place: str) -> Iterator[os.DirEntry[str]]:
        """What is in a folder; nothing where we may not look."""
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    self._count()
                    yield entry
        except OSError:
            return

    def _count(self) -> None:
        self._visited += 1
        if self._visited > self._limits.max_entries:
            raise TooLargeError(
                f"pattern {self._shown!r} leads through more than {self._limits.max_entries:,} files and folders: "
                "name the folder that has them"
            )
        if time.monotonic() > self._deadline:
            raise SourceUnreachableError(
                f"pattern {self._shown!r}: files not found within {self._limits.total_seconds:g} seconds "
                "(setting ingest.fetch_deadline_seconds): name the folder that has them"
            )

    def _is_real(self, entry: os.DirEntry[str]) -> bool:
        try:
            found = entry.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) not in self._made_up


def _collapsed(parts: Sequence[str]) -> tuple[str, ...]:
    """`**` after `**` says nothing new, but would take much longer."""
    return tuple(part for part, before in zip(parts, ("", *parts), strict=False) if (part, before) != ("**", "**"))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _made_up() -> frozenset[tuple[int, int]]:
    """Roots of the file systems not to enter, wherever else they are mounted."""
    stats = [Path(root).stat() for root in _MADE_UP if Path(root).is_dir()]
    return frozenset((found.st_dev, found.st_ino) for found in stats)
