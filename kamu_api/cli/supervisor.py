"""One supervisor for every process of an embedded node: start, watch, restart, merge the logs, stop.

It imports nothing heavy, so that it costs little while the node runs for months.
"""

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import IO

from kamu_api.cli.child import Child, ProcessSpec
from kamu_assets.errors import ConflictError, UnavailableError

STOP_PATIENCE = 15.0


class NodeRunningError(ConflictError):
    def __init__(self, home: Path, pid: str) -> None:
        super().__init__(f"the node in {home} is already running (process {pid}); stop it with `kamu-node down`")


class ProcessFailedError(UnavailableError):
    """A process of the node ended while the node was starting."""


class Supervisor:
    """Runs the given processes until `stop`; call `start` and `run` from the main thread only.

    The kernel ends the children with the thread that started them, so no kill of the supervisor leaves orphans.
    """

    def __init__(self, specs: Sequence[ProcessSpec], *, log: "NodeLog", preparation: ProcessSpec | None = None) -> None:
        self._log = log
        self._children = [Child(spec, log) for spec in specs]
        # Runs once, before all but the first.
        self._preparation = Child(preparation, log) if preparation else None
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ask `run` to end; safe in a signal handler."""
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        """Whether somebody has asked for the end."""
        return self._stopping.is_set()

    @property
    def is_prepared(self) -> bool:
        """Whether the others may be started."""
        return self._preparation is None or self._preparation.exit_code() == 0

    def start_first(self) -> None:
        """Start the first process, and beside it what prepares the others: they wait for `start`."""
        self._children[0].start()
        if self._preparation is not None:
            self._preparation.start()

    def start(self) -> None:
        """Start every process that has not been started, once `is_prepared`."""
        # It is over; in months its number may be another process's.
        self._preparation = None
        for child in self._children:
            if not child.is_started:
                child.start()

    def check(self) -> None:
        """Raise `ProcessFailedError` if a process has ended that should go on, or if the preparation has failed."""
        for child in self._all():
            code = child.exit_code()
            if code is not None and not (child is self._preparation and code == 0):
                raise ProcessFailedError(
                    f"{child.spec.name} ended with code {code}; its last words are in {self._log.path}"
                )

    def run(self) -> None:
        """Watch until `stop`, then end everything, last started first."""
        try:
            while not self._stopping.wait(0.5):
                for child in self._children:
                    child.revive()
        finally:
            self.end()

    def end(self) -> None:
        for child in reversed(self._all()):
            child.terminate()
        deadline = time.monotonic() + STOP_PATIENCE
        for child in reversed(self._all()):
            child.reap(deadline)

    def _all(self) -> list[Child]:
        return [self._preparation, *self._children] if self._preparation is not None else self._children


class NodeLog:
    """One readable log of all processes: `<time> <process> | <line>`, in the file and on a console if there is one."""

    def __init__(self, path: Path, *, console: Callable[[str], None] | None = None, max_bytes: int = 64 << 20) -> None:
        self.path = path
        self._console = console
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._lost = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._opened()

    def say(self, name: str, line: str) -> None:
        with self._lock:
            self._write(_stamped(name, line))

    def follow(self, name: str, stream: IO[bytes]) -> None:
        """Copy a process's output until it ends."""
        with stream:
            for line in stream:
                self.say(name, line.decode("utf-8", "replace").rstrip())

    def _write(self, text: str) -> None:
        """A full disk costs lines of the log, not the node: processes block when nobody reads what they say."""
        if self._console:
            with contextlib.suppress(OSError):
                self._console(text)
        try:
            self._rotate()
            if self._lost:
                self._append("\n" + _stamped("supervisor", f"{self._lost} lines are lost: the disk took none"))
                self._lost = 0
            self._append(text)
        except OSError:
            self._lost += 1

    def _append(self, text: str) -> None:
        line = f"{text}\n".encode()
        if self._file.write(line) < len(line):
            raise OSError(errno.ENOSPC, "only a part of a line was written")

    def _rotate(self) -> None:
        if self._file.tell() < self._max_bytes:
            return
        with contextlib.suppress(FileNotFoundError):
            self.path.replace(self.path.with_suffix(".log.1"))
        full, self._file = self._file, self._opened()
        full.close()

    def _opened(self) -> FileIO:
        return self.path.open("ab", buffering=0)


def _stamped(name: str, line: str) -> str:
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    return f"{moment}Z {name:<10} | {line}"


class HomeLock:
    """One running node per home. Released by the kernel when the process ends, however it ends."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._path = home / "run" / "node.pid"

    def acquire(self) -> None:
        """Raise `NodeRunningError` if another process holds the home."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise NodeRunningError(self._home, os.read(descriptor, 20).decode()) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor

    def owner(self) -> int | None:
        """The process that runs the node, or None."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return int(os.pread(descriptor, 20, 0) or b"0") or None
        else:
            return None
        finally:
            os.close(descriptor)
