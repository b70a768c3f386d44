"""Locks between processes of one machine that end with their process, however it ends."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from kamu_assets.storage.files import told_plainly

_SECONDS_BETWEEN = 0.01


@contextlib.contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold a lock together with others who share it."""
    descriptor = _opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        _let_go(descriptor)


@contextlib.contextmanager
def alone(path: Path, *, patience: float) -> Iterator[bool]:
    """Hold it without others; False when they did not let go of it for so many seconds."""
    descriptor = _opened(path)
    try:
        yield _taken(descriptor, time.monotonic() + patience)
    finally:
        _let_go(descriptor)


def _let_go(descriptor: int) -> None:
    """A child that was forked meanwhile has the descriptor, too: closing ours alone would leave the lock to it."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _opened(path: Path) -> int:
    with told_plainly(path.parent):
        try:
            return os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)


def _taken(descriptor: int, deadline: float) -> bool:
    """Others who come meanwhile do not wait for us, so a moment without any has to be met."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_SECONDS_BETWEEN)
        else:
            return True
