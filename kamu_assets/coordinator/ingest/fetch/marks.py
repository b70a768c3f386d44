"""Whether a file that is read where it is stays as it was found: somebody may write it anew in the meantime."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from kamu_assets.coordinator.ingest.errors import SourceChangedError
from kamu_assets.errors import KamuError


@dataclass(frozen=True, slots=True)
class FileMark:
    """A file as it was found."""

    path: Path
    shown: str
    size: int
    modified_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path, shown: str, found: os.stat_result) -> Self:
        """What tells this state of the file from others."""
        return cls(path, shown, found.st_size, found.st_mtime_ns, found.st_ino)

    def check(self) -> None:
        """Refuse the file when it is another one by now."""
        try:
            same = self == FileMark.of(self.path, self.shown, self.path.stat())
        except OSError:
            same = False
        if not same:
            raise SourceChangedError(f"{self.shown} changed while it was read; pull again")


@contextmanager
def blaming_change(mark: FileMark | None) -> Iterator[None]:
    """What is wrong with the data of a file that changed says nothing about the file."""
    try:
        yield
    except KamuError:
        if mark is not None:
            mark.check()
        raise
