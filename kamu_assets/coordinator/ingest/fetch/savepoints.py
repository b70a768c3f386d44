"""Downloads that could not be ingested, kept so that the next attempt need not fetch them again.

A dataset has at most one. It belongs to a fetch step and a source state (its key), and it is never used without
asking the server whether it is still current. It is removed when it has been ingested.
"""

import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from kamu_assets.coordinator.ingest.fetch.validators import Validators
from kamu_assets.odf.timestamp import Timestamp

_NOTE = "answer.json"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NANOS = 1_000_000_000
_ABANDONED_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class SavepointLimits:
    """How much is kept, and how long."""

    max_bytes: int = 16 << 30
    max_seconds: float = 86_400


@dataclass(frozen=True, slots=True)
class Savepoint:
    """A whole answer of a server, and what the server said of it."""

    content: Path
    validators: Validators


@dataclass(frozen=True, slots=True)
class _Note:
    key: str
    content: str
    size: int
    etag: str | None
    last_modified: str | None
    kept_at: int
    # Files survive this process without being synced, but not the machine.
    boot: str


class DatasetSavepoint:
    """The savepoint of one dataset, in a folder of its own beside those of others."""

    def __init__(self, folder: Path, *, now: Timestamp, limits: SavepointLimits) -> None:
        self._folder = folder
        self._now = now
        self._limits = limits

    def find(self, key: str) -> Savepoint | None:
        """What was kept for this key, if it is whole and not too old."""
        note = _read(self._folder)
        if note is None or note.key != key or not self._is_good(self._folder, note):
            return None
        modified = None if note.last_modified is None else Timestamp.parse(note.last_modified)
        return Savepoint(self._folder / note.content, Validators(note.etag, modified))

    def keep(self, key: str, answer: Savepoint) -> None:
        """Keep an answer, whole or not at all; its file stays the caller's, too. What is too large is not kept."""
        size = answer.content.stat().st_size
        self.drop()
        if size > self._limits.max_bytes - self._tidy(size):
            return
        name = f"content-{secrets.token_hex(8)}"
        etag, modified = answer.validators.etag, answer.validators.last_modified
        note = _Note(key, name, size, etag, None if modified is None else str(modified), self._now.ns, _boot())
        # A disk that is full, or one without links, has no room for what is only convenient.
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            os.link(answer.content, self._folder / name)
            pending = self._folder / f"{name}.json"
            pending.write_text(json.dumps(asdict(note)))
            pending.replace(self._folder / _NOTE)

    def drop(self) -> None:
        """Forget it."""
        _remove(self._folder)

    def _is_good(self, folder: Path, note: _Note) -> bool:
        age = (self._now.ns - note.kept_at) / _NANOS
        with suppress(OSError):
            return (
                note.boot == _boot()
                and age <= self._limits.max_seconds
                and (folder / note.content).stat().st_size == note.size
            )
        return False

    def _tidy(self, wanted: int) -> int:
        """Remove what is useless, then the oldest until there is room; tell how much is left."""
        kept: list[tuple[int, int, Path]] = []
        for folder in self._others():
            note = _read(folder)
            if note is not None and self._is_good(folder, note):
                kept.append((note.kept_at, note.size, folder))
            elif note is not None or _is_abandoned(folder):
                _remove(folder)
        kept.sort(reverse=True)
        while kept and sum(size for _, size, _ in kept) + wanted > self._limits.max_bytes:
            _remove(kept.pop()[-1])
        return sum(size for _, size, _ in kept)

    def _others(self) -> Iterator[Path]:
        with suppress(FileNotFoundError):
            yield from self._folder.parent.iterdir()


def _read(folder: Path) -> _Note | None:
    try:
        return _Note(**json.loads((folder / _NOTE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _remove(folder: Path) -> None:
    # The note first: content without a note is nothing.
    with suppress(OSError):
        (folder / _NOTE).unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    """Whether nobody is about to finish what stands there without a note."""
    with suppress(OSError):
        return time.time() - folder.stat().st_mtime > _ABANDONED_SECONDS
    return False


def _boot() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
