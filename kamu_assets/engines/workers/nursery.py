"""Parent's side of the process that forks warm workers (see `nursery_main`)."""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator

from kamu_assets.errors import UnavailableError

_PID = struct.Struct("!q")
_ANSWER_SECONDS = 120.0
# Native libraries start their thread pools on import unless told not to; a process with threads must not fork.
_ENVIRONMENT = {
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    # A worker is young and touches most of its memory once: finding and clearing huge pages for that takes the system
    # longer than the work they save.
    "MIMALLOC_ALLOW_THP": "0",
    # What an allocator sets aside and never touches must not count against what a worker may have.
    "MIMALLOC_ARENA_EAGER_COMMIT": "0",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
}
_INHERITED = ("PATH", "TMPDIR", "LD_LIBRARY_PATH")


class NurseryError(UnavailableError):
    """The process that starts workers does not answer."""


class Nursery:
    """Forks workers and buries them. One per set of preloaded modules and process; safe to share between threads."""

    def __init__(self, preload: tuple[str, ...]) -> None:
        self.preload = preload
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._answers = False
        self.threads = 0
        self.leases = 0

    def begin(self) -> None:
        """Let it load its modules while we do something else; what goes wrong is told by the first `fork`."""
        with self._lock, contextlib.suppress(OSError):
            if self._control is None:
                self._start()

    def fork(self, *, network: bool, output: int | None = None) -> tuple[int, socket.socket]:
        """A new worker: its pid and the connection to it. A dead nursery is replaced once.

        What it prints goes to the descriptor `output`, or nowhere.
        """
        with self._exchange():
            try:
                return self._fork(network=network, output=output)
            except OSError:
                self._stop()
            try:
                return self._fork(network=network, output=output)
            except OSError as error:
                self._stop()
                raise NurseryError(f"cannot start a worker: {error}") from error

    def bury(self, pid: int) -> str:
        """Make sure that the worker is gone; say in words how it ended."""
        with self._exchange():
            if self._control is None:
                return "its parent process ended"
            try:
                self._control.send(_PID.pack(pid))
                return _in_words(self._reply())
            except OSError:
                self._stop()
                return "its parent process ended"

    def close(self) -> None:
        with self._lock:
            self._stop()

    @contextlib.contextmanager
    def _exchange(self) -> Iterator[None]:
        """One question and its answer at a time."""
        with self._lock:
            try:
                yield
            except BaseException:
                # Interrupted half way: the next one would take the answer for its own, and a status for a pid.
                self._stop()
                raise

    def _fork(self, *, network: bool, output: int | None) -> tuple[int, socket.socket]:
        control = self._control or self._start()
        if not self._answers:
            self.threads = self._reply()
            self._answers = True
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                descriptors = [theirs.fileno()] if output is None else [theirs.fileno(), output]
                socket.send_fds(control, [b"N" if network else b"-"], descriptors)
                return self._reply(), ours
            except OSError:
                ours.close()
                raise

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = _ENVIRONMENT | {name: os.environ[name] for name in _INHERITED if name in os.environ}
        ours.settimeout(_ANSWER_SECONDS)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kamu_assets.engines.workers.nursery_main", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._control = ours
        ours.send(json.dumps({"path": sys.path, "preload": self.preload}).encode())
        return ours

    def _reply(self) -> int:
        answer = self._control.recv(_PID.size) if self._control else b""
        if not answer:
            raise NurseryEndedError
        return int(_PID.unpack(answer)[0])

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._control = self._process = None
        self._answers = False


class NurseryEndedError(OSError):
    """The nursery closed its end: it was killed, or could not import what to preload."""

    def __init__(self) -> None:
        super().__init__("the process that starts workers ended")


_SHARED: dict[tuple[str, ...], Nursery] = {}
_SHARED_LOCK = threading.Lock()


def lease_nursery(preload: tuple[str, ...]) -> Nursery:
    """The nursery of this process for these modules. Give it back with `return_nursery`."""
    with _SHARED_LOCK:
        nursery = _SHARED.setdefault(preload, Nursery(preload))
        nursery.leases += 1
        return nursery


def return_nursery(nursery: Nursery) -> None:
    """The last one out turns off the lights."""
    with _SHARED_LOCK:
        nursery.leases -= 1
        if nursery.leases == 0:
            _SHARED.pop(nursery.preload, None)
            nursery.close()


def _in_words(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
