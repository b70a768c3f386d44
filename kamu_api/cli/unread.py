"""Output that nobody reads any more, as in `kamu-node sql … | head`: no failure, but the end of the command."""

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

# As shells tell it of programs that SIGPIPE has ended.
EXIT_CODE: Final = 141
_STREAMS: Final = (1, 2)


@contextmanager
def quiet_when_unread() -> Iterator[None]:
    """Around all that a command does: it ends without a word when nobody is left who could read one."""
    before = _places()
    try:
        try:
            yield
        finally:
            # Here, where it can still be noticed: at exit Python would complain.
            sys.stdout.flush()
    except BaseException as error:
        # Libraries that print make an exit of it. There are other pipes.
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, BrokenPipeError) or (_places() == before and not any(map(is_unread, _STREAMS))):
            raise
    else:
        return
    _let_go()
    sys.exit(EXIT_CODE)


def is_unread(stream: int) -> bool:
    """Whether it is a pipe whose other end is closed."""
    poll = select.poll()
    poll.register(stream, 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


def _places() -> list[tuple[int, int]]:
    """Where streams lead: a library that prints sends the rest of what nobody reads to nowhere."""
    found = [os.fstat(stream) for stream in _STREAMS]
    return [(each.st_dev, each.st_ino) for each in found]


def _let_go() -> None:
    """What is still to be written goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in _STREAMS:
        if is_unread(stream):
            os.dup2(nowhere, stream)
    os.close(nowhere)
    with suppress(OSError, ValueError):
        sys.stdout.flush()
