"""One supervisor for every process of an embedded node: start, watch, restart, merge the logs, stop.

It imports nothing heavy, so that it costs little while the node runs for months.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import IO

from kamu_assets.errors import ConflictError, UnavailableError

STOP_PATIENCE = 15.0
RESTART_DELAYS = (0.2, 1.0, 5.0, 15.0)
HEALTHY_AFTER = 60.0
_PR_SET_PDEATHSIG = 1


class NodeRunningError(ConflictError):
    def __init__(self, home: Path, pid: str) -> None:
        super().__init__(f"the node in {home} is already running (process {pid}); stop it with `kamu-node down`")


class ProcessFailedError(UnavailableError):
    """A process of the node ended while the node was starting."""


@dataclass(frozen=True)
class ProcessSpec:
    """What to start. Each process leads its own group, so that stopping it stops what it started."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)


class Supervisor:
    """Runs the given processes until `stop`; call `start` and `run` from the main thread only.

    The kernel ends the children with the thread that started them, so no kill of the supervisor leaves orphans.
    """

    def __init__(self, specs: Sequence[ProcessSpec], *, log: "NodeLog") -> None:
        self._log = log
        self._children = [_Child(spec, log) for spec in specs]
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ask `run` to end; safe in a signal handler."""
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        """Whether somebody has asked for the end."""
        return self._stopping.is_set()

    def start_first(self) -> None:
        """Start the first process only, which has the machine for itself until `start`."""
        self._children[0].start()

    def start(self) -> None:
        """Start every process that has not been started."""
        for child in self._children:
            if not child.is_started:
                child.start()

    def check(self) -> None:
        """Raise `ProcessFailedError` if a process has ended."""
        for child in self._children:
            code = child.exit_code()
            if code is not None:
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
        for child in reversed(self._children):
            child.terminate()
        deadline = time.monotonic() + STOP_PATIENCE
        for child in reversed(self._children):
            child.reap(deadline)


class _Child:
    def __init__(self, spec: ProcessSpec, log: "NodeLog") -> None:
        self.spec = spec
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._deaths = 0
        self._next_start = 0.0

    def start(self) -> None:
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            self.spec.argv,
            env={**os.environ, **self.spec.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_prepare_child,  # noqa: PLW1509 - two system calls, made before any thread of ours matters
        )
        threading.Thread(target=self._log.follow, args=(self.spec.name, self._process.stdout), daemon=True).start()

    @property
    def is_started(self) -> bool:
        return self._process is not None

    def exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    def revive(self) -> None:
        """Start the process again if it has ended, later each time it ends early."""
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            self._note_death(code)
        if time.monotonic() >= self._next_start:
            self.start()

    def _note_death(self, code: int) -> None:
        now = time.monotonic()
        self._deaths = 0 if now - self._started > HEALTHY_AFTER else self._deaths + 1
        delay = RESTART_DELAYS[min(self._deaths, len(RESTART_DELAYS) - 1)]
        self._log.say("supervisor", f"{self.spec.name} ended with code {code}; starting it again in {delay:g} s")
        self._kill_group()
        self._process = None
        self._next_start = now + delay

    def terminate(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def reap(self, deadline: float) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._log.say("supervisor", f"{self.spec.name} does not stop; killing it")
        self._kill_group()
        self._process.wait()

    def _kill_group(self) -> None:
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


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


def _prepare_child() -> None:
    """End with the parent. Hear interrupts even if the parent, started in the background, ignores them.

    Dagster's processes handle SIGTERM as they handle SIGINT: ignoring one they would ignore both.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
