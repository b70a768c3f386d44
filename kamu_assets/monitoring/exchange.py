"""How the API learns the metrics of the node's other processes: each answers at a socket in the node's folder.

The place of a process that ends goes to the next of its kind, and what it has counted with it, so that neither files
nor values of labels grow in number.
"""

import fcntl
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import structlog

from kamu_assets.monitoring.families import Family, decode, encode, own_families
from kamu_assets.monitoring.legacy import Legacy
from kamu_assets.monitoring.metric import LEDGER

log = structlog.get_logger(__name__)

_SUFFIX = ".metrics"
_PATIENCE_SECONDS = 2.0
_READ_BYTES = 1 << 16


@contextmanager
def offered(directory: Path, process: str, families: Callable[[], Sequence[Family]] = own_families) -> Iterator[None]:
    """Answer whoever asks for the metrics of this process, which are kept from now on."""
    LEDGER.open()
    directory.mkdir(parents=True, exist_ok=True)
    with _opened(directory) as folder:
        listener, path = _take_place(directory, folder, process)
        legacy = Legacy(path.with_suffix(".left"))
        told = (listener, lambda: legacy.with_own(families()))
        threading.Thread(target=_answer, args=told, name="metrics", daemon=True).start()
        try:
            yield
        finally:
            with _closing(listener, path):
                legacy.leave(families())


def collected(directory: Path, *, only: str = "*") -> Mapping[str, Sequence[Family] | None]:
    """The metrics of each process, or of one, by its name; None of those that have died or do not answer."""
    if not directory.is_dir():
        return {}
    with _opened(directory) as folder:
        return {path.stem: _ask(folder, path.name) for path in sorted(directory.glob(f"{only}{_SUFFIX}"))}


@contextmanager
def _closing(listener: socket.socket, path: Path) -> Iterator[None]:
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        # Wakes the thread, too.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _take_place(directory: Path, folder: int, process: str) -> tuple[socket.socket, Path]:
    """The first of `worker`, `worker-2` … that nobody has."""
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        names = (f"{process}{_SUFFIX}" if number == 1 else f"{process}-{number}{_SUFFIX}" for number in count(1))
        name = next(name for name in names if not _is_taken(folder, name))
        (directory / name).unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(_address(folder, name))
        listener.listen()
        return listener, directory / name
    finally:
        fcntl.flock(folder, fcntl.LOCK_UN)


def _is_taken(folder: int, name: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PATIENCE_SECONDS)
        try:
            probe.connect(_address(folder, name))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            # Too busy to answer, but there.
            return True
        return True


def _answer(listener: socket.socket, families: Callable[[], Sequence[Family]]) -> None:
    while True:
        try:
            caller, _ = listener.accept()
        except OSError:
            return
        with caller:
            _tell(caller, families)


def _tell(caller: socket.socket, families: Callable[[], Sequence[Family]]) -> None:
    caller.settimeout(_PATIENCE_SECONDS)
    try:
        caller.sendall(encode(families()))
    except OSError:
        # It does not listen any more.
        return
    except Exception:
        # The next caller should be answered again.
        log.exception("metrics_not_told")


def _ask(folder: int, name: str) -> Sequence[Family] | None:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(_PATIENCE_SECONDS)
        try:
            asking.connect(_address(folder, name))
            return decode(b"".join(iter(lambda: asking.recv(_READ_BYTES), b"")))
        except (OSError, ValueError):
            return None


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield folder
    finally:
        os.close(folder)


def _address(folder: int, name: str) -> str:
    """A path of at most 107 bytes (unix(7)), however long the folder's is."""
    return f"/proc/self/fd/{folder}/{name}"
