"""SQLite keeps the room of removed rows in its file. Here it is given back to the disk, a little at a time.

That takes a file that was made for it (auto_vacuum in SQLite's manual), or was written anew once, while it is small
enough that nobody has to wait for long.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger(__name__)

PAGES_AT_ONCE: Final = 500
# Nobody misses what is smaller.
SMALL_BYTES: Final = 2**20
# Writers wait while a file is written anew.
LARGE_BYTES: Final = 2**28
# Of all pages: what will be filled again soon need not be given back.
_SPARE: Final = 0.1
_PATIENCE_SECONDS: Final = 5.0
_INCREMENTAL: Final = 2


class Shrinking:
    """Shrinks those of some files that are large enough for it (one of the kinds of `Retention`)."""

    def __init__(self, files: Callable[[], Iterator[Path]]) -> None:
        self._files = files

    def batches(self) -> Iterator[int]:
        """Each step gives some pages back and tells how many; others write between two."""
        for path in self._files():
            # Whoever has it now, or removes it, wins; there is another time. A damaged one keeps no others.
            with suppress(sqlite3.DatabaseError, FileNotFoundError):
                if path.stat().st_size > SMALL_BYTES:
                    yield from shrink(path)


def shrink(path: Path) -> Iterator[int]:
    """Give back what is free in a file, but for a reserve."""
    with closing(_opened(path)) as file:
        if _told(file, "auto_vacuum") != _INCREMENTAL:
            if _is_large(file, path):
                return
            yield _written_anew(file)
        while (free := _free(file)) > 0:
            # As a script: it has to be stepped through, and the driver does that to no other statement without rows.
            file.executescript(f"PRAGMA incremental_vacuum({min(free, PAGES_AT_ONCE)})")
            yield free - _free(file)
        # Until then the disk has them still.
        file.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def empty_log(path: Path) -> None:
    """Have what was committed in the file itself, and nothing in the log beside it, unless others use both just now."""
    with suppress(sqlite3.OperationalError), closing(_opened(path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _is_large(file: sqlite3.Connection, path: Path) -> bool:
    size = _told(file, "page_count") * _told(file, "page_size")
    if size > LARGE_BYTES:
        log.info("database_too_large_to_shrink", file=path.name, megabytes=size // 2**20)
    return size > LARGE_BYTES


def _written_anew(file: sqlite3.Connection) -> int:
    before = _told(file, "page_count")
    file.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
    file.execute("VACUUM")
    return before - _told(file, "page_count")


def _free(file: sqlite3.Connection) -> int:
    return _told(file, "freelist_count") - round(_SPARE * _told(file, "page_count"))


def _told(file: sqlite3.Connection, pragma: str) -> int:
    return int(file.execute(f"PRAGMA {pragma}").fetchone()[0])


def _opened(path: Path) -> sqlite3.Connection:
    # It is not made where somebody has just removed it.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_PATIENCE_SECONDS, isolation_level=None
    )
