"""The child's side: closes itself in, then runs one job after another until its parent hangs up.

Jobs call `ask` and `report`; everything else in here is for `nursery_main` only.
"""

import contextlib
import ctypes
import os
import resource
import signal
import socket
import threading
import traceback
from typing import Any

from kamu_assets.engines.workers.wire import Failure, FrameKind, FrameReader, decode_from_parent, encode_frame
from kamu_assets.errors import KamuError

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG = 1
_READ_BYTES = 1 << 20
# Only the excess is a backstop. DataFusion may open up to 512 files at once on as many threads, whose stacks count in
# whole.
_DATA_SLACK = 4 << 30
_MAX_REQUEST_BYTES = 1 << 40


class ParentGoneError(Exception):
    """The parent closed the connection: nobody needs this process any more."""


class _Line:
    """The connection to the parent. Engines may call back from other threads, hence the lock."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = FrameReader(_MAX_REQUEST_BYTES)
        self._pending: list[tuple[FrameKind, bytes]] = []
        self._lock = threading.Lock()

    def send(self, kind: FrameKind, value: object) -> None:
        self._connection.sendall(encode_frame(kind, value))

    def receive(self) -> tuple[FrameKind, Any]:
        while not self._pending:
            data = self._connection.recv(_READ_BYTES)
            if not data:
                raise ParentGoneError
            self._pending.extend(self._reader.feed(data))
        kind, body = self._pending.pop(0)
        return kind, decode_from_parent(body)

    def ask(self, question: object) -> Any:
        with self._lock:
            self.send(FrameKind.ASK, question)
            kind, answer = self.receive()
        if kind is FrameKind.FAILURE:
            raise answer.restored()
        return answer

    def report(self, progress: object) -> None:
        with self._lock:
            self.send(FrameKind.PROGRESS, progress)


class _CurrentLine:
    line: _Line | None = None


def ask(question: object) -> Any:
    """Ask the parent of the running job, and wait for its answer."""
    if _CurrentLine.line is None:
        raise RuntimeError("ask() works inside a worker only")
    return _CurrentLine.line.ask(question)


def report(progress: object) -> None:
    """Tell the parent how far the job is. Outside of a worker nobody listens."""
    if _CurrentLine.line is not None:
        _CurrentLine.line.report(progress)


def serve(connection: socket.socket, output: int | None, *, parent: int, network: bool) -> None:
    """Run jobs until the parent hangs up; never returns."""
    _close_in(output, parent=parent, network=network)
    line = _CurrentLine.line = _Line(connection)
    with contextlib.suppress(ParentGoneError, ConnectionError):
        while True:
            connection.sendall(_next_outcome(line))
    os._exit(0)


def _next_outcome(line: _Line) -> bytes:
    try:
        _, (job, request, memory_bytes) = line.receive()
        _limit_data(memory_bytes)
        return encode_frame(FrameKind.RESULT, job(request))
    except (ParentGoneError, ConnectionError):
        raise
    except KamuError as error:
        return encode_frame(FrameKind.FAILURE, Failure.of(error))
    except MemoryError:
        return encode_frame(FrameKind.NO_MEMORY, None)
    except BaseException:  # noqa: BLE001 - a panic of a native library is a BaseException
        return encode_frame(FrameKind.BUG, traceback.format_exc())


def _close_in(output: int | None, *, parent: int, network: bool) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:  # noqa: PTH123 - procfs, no path arithmetic
        score.write("1000")
    libc = ctypes.CDLL(None, use_errno=True)
    if not network:
        _leave_network(libc)
    # After unshare: a change of credentials resets the signal.
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
    quiet = os.open(os.devnull, os.O_RDWR)
    # Panics quote SQL and records: what is printed is for the log of the run alone, never for the node's.
    printed = quiet if output is None else output
    for stream, target in enumerate((quiet, printed, printed)):
        os.dup2(target, stream)
    for spare in {quiet, printed} - {0, 1, 2}:
        os.close(spare)


def _leave_network(libc: ctypes.CDLL) -> None:
    """Move into an empty network namespace, where the system lets us."""
    if libc.unshare(_CLONE_NEWNET) != 0:
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def _limit_data(memory_bytes: int) -> None:
    """Refuse memory far beyond the budget at once; the parent's watch would notice it only later."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = memory_bytes + _DATA_SLACK
    resource.setrlimit(resource.RLIMIT_DATA, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
