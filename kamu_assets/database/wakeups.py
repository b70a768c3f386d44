"""Taps on the shoulder between the processes of one machine: "look again", never what there is to see.

A listener is a datagram socket in a folder; whoever has news sends a byte to each. Taps may be lost (a process that is
just starting, a full buffer), so listeners also look by themselves now and then.
"""

import contextlib
import os
import re
import secrets
import select
import socket
import stat
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from kamu_assets.errors import UnavailableError

# A socket's path has at most 107 bytes (unix(7)); topics and names are kept short enough to tell before.
MAX_PATH_BYTES = 107
MAX_NAME_BYTES = 48
_TOPIC = re.compile(r"[a-z][a-z_]{0,23}")
_SUFFIX = ".sock"
_TAP = b"!"


class Source(Protocol):
    """What can be waited for."""

    def fileno(self) -> int: ...


def readable(sources: Sequence[Source], timeout: float | None = None) -> Sequence[Source]:
    """Those that have something to read, waiting up to so many seconds for one.

    Unlike `select` it takes the descriptors of processes that have more than a thousand open.
    """
    poll = select.poll()
    for each in sources:
        poll.register(each, select.POLLIN)
    ready = dict(poll.poll(None if timeout is None else timeout * 1000))
    return [each for each in sources if each.fileno() in ready]


class Listener:
    """Is tapped on the shoulder until it is closed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._owner = os.getpid()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.bind(str(path))
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """For `select`, to wait for several things at once."""
        return self._socket.fileno()

    def wait(self, timeout: float) -> bool:
        """Whether there was a tap since the last time, waiting up to so many seconds for one."""
        ready = readable([self], max(timeout, 0))
        if ready:
            self.drain()
        return bool(ready)

    def drain(self) -> None:
        """Forget the taps so far: many are no more than one."""
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(1):
                pass

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
        # A forked child closes its copy only.
        if self._owner == os.getpid():
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Wakeups:
    """Sends and receives taps by topic, for all processes that name the same folder."""

    def __init__(self, directory: Path) -> None:
        self._directory = _short(directory.absolute())

    @property
    def folder(self) -> Path:
        """Where the listeners of this machine are."""
        return self._directory

    def listen(self, topic: str) -> Listener:
        """Be tapped from now on. Look for news once more after this, then wait."""
        _check(topic)
        _make(self._directory)
        # Random too: process numbers repeat between containers that share the folder.
        return Listener(self._directory / f"{topic}-{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}")

    def notify(self, topic: str, *, besides: Listener | None = None) -> None:
        """Tap everybody who listens, but for one; never waits, never fails because of a listener."""
        _check(topic)
        if listeners := [path for path in self._listeners(topic) if besides is None or path != besides.path]:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                for path in listeners:
                    _tap(sender, path)

    def _listeners(self, topic: str) -> list[Path]:
        try:
            names = os.listdir(self._directory)  # noqa: PTH208 - a glob takes longer than the rest of most commits' news
        except FileNotFoundError:
            return []
        return [self._directory / name for name in names if name.startswith(f"{topic}-") and name.endswith(_SUFFIX)]


def _tap(sender: socket.socket, path: Path) -> None:
    try:
        sender.sendto(_TAP, str(path))
    except ConnectionRefusedError:
        # Nobody has it open: the process died.
        path.unlink(missing_ok=True)
    except OSError:
        # Tapped often enough already, closed at this moment, or somebody's whom we may not tap.
        return


def _check(topic: str) -> None:
    if not _TOPIC.fullmatch(topic):
        raise ValueError(f"{topic!r} is not a topic: lower case letters and underscores, at most 24")


def _short(directory: Path) -> Path:
    """The folder itself, or one with a short name that every process derives from it."""
    if len(os.fsencode(directory)) + 1 + MAX_NAME_BYTES <= MAX_PATH_BYTES:
        return directory
    digest = sha256(os.fsencode(directory)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"kamu-{os.getuid()}-{digest}"


def _make(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.lstat()
    # In a shared temporary folder somebody else may have taken the name.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise UnavailableError(f"{directory} is not a folder of ours: remove it")
    if stat.S_IMODE(found.st_mode) & 0o022:
        directory.chmod(0o700)
