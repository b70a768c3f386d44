"""The file of a SQLite database is its owner's: it holds secrets of webhooks and what people asked."""

import contextlib
import os
import stat
from pathlib import Path

_OWNERS = 0o600
_OTHERS = 0o007


def close_to_others(path: Path) -> None:
    """Make the file if it is new, and let strangers no longer read it; SQLite makes those beside it alike.

    A group keeps what somebody gave it. What cannot be done here, SQLite will tell better.
    """
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNERS))
        for each in (path, *(path.with_name(path.name + ending) for ending in ("-wal", "-shm"))):
            with contextlib.suppress(FileNotFoundError):
                mode = stat.S_IMODE(each.stat().st_mode)
                if mode & _OTHERS:
                    each.chmod(mode & ~_OTHERS)
