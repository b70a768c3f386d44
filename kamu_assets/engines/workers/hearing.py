"""Who hears what workers print: whatever this process has its workers do, it does for one run at a time."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

# Said where nothing more is printed for now, so that it is kept before it is told how the job ended.
JOB_ENDED: Final = b""

Listener = Callable[[bytes], None]


class _Ear:
    listener: Listener | None = None


_changing = threading.Lock()


@contextmanager
def hearing(listener: Listener) -> Iterator[None]:
    """Hand what workers print to `listener`, on whichever thread they are waited for, until the end of the block."""
    with _changing:
        before, _Ear.listener = _Ear.listener, listener
    try:
        yield
    finally:
        with _changing:
            _Ear.listener = before


def hear(printed: bytes) -> None:
    """Tell whoever listens; nobody does where work is nobody's run."""
    if (listener := _Ear.listener) is not None:
        listener(printed)
