"""The parent's side of one worker: hand it a job, watch it, kill it when it breaks a limit."""

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from kamu_assets.engines.workers.limits import (
    AbortedError,
    JobBugError,
    JobCancelledError,
    MemoryLimitError,
    ResultLimitError,
    TimeLimitError,
    WorkerDiedError,
    WorkerLimits,
)
from kamu_assets.engines.workers.nursery import Nursery
from kamu_assets.engines.workers.output import WorkerOutput
from kamu_assets.engines.workers.places import JobEvictedError, Place
from kamu_assets.engines.workers.wire import (
    Failure,
    FrameKind,
    FrameReader,
    FrameTooLargeError,
    decode_from_worker,
    encode_frame,
)
from kamu_assets.errors import KamuError

WATCH_SECONDS = 0.1
_READ_BYTES = 1 << 20
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Job:
    """One call: what to run, under which limits, and who listens."""

    def __init__(
        self,
        function: Callable[[Any], Any],
        request: object,
        *,
        limits: WorkerLimits,
        on_progress: Callable[[Any], None] | None,
        on_ask: Callable[[Any], Any] | None,
        cancel: threading.Event | None,
        place: Place,
    ) -> None:
        self.frame = encode_frame(FrameKind.JOB, (function, request, limits.memory_bytes))
        self.packages = frozenset({"kamu_assets", function.__module__.partition(".")[0]})
        self.limits = limits
        self.on_progress = on_progress
        self.on_ask = on_ask
        self.cancel = cancel
        self.place = place


class Worker:
    """A child process that runs one job at a time. Any exception that is no outcome of the job leaves it unusable."""

    def __init__(self, pool: str, nursery: Nursery, *, network: bool) -> None:
        self._pool = pool
        self._nursery = nursery
        self._output = WorkerOutput()
        try:
            self.pid, self._connection = nursery.fork(network=network, output=self._output.written_by_worker)
        except BaseException:
            self._output.close()
            raise
        finally:
            self._output.handed_over()
        self._poll = select.poll()
        self._poll.register(self._connection, select.POLLIN)
        self._both = select.poll()
        self._both.register(self._connection, select.POLLIN)
        self._both.register(self._output, select.POLLIN)
        self._end: str | None = None
        self._memory_bytes = 0
        self._seen_bytes = 0
        self.usable = True
        # Until it has run a job: jobs touch memory that allocators rarely return.
        self.is_fresh = True

    def run(self, job: Job) -> Any:
        """Give the result, or raise what the job raised."""
        self.usable = self.is_fresh = False
        self._memory_bytes = job.limits.memory_bytes
        self._seen_bytes = 0
        deadline = time.monotonic() + job.limits.time_seconds
        reader = FrameReader(job.limits.result_bytes)
        self._send(job.frame, job, deadline)
        while True:
            self._wait(job, deadline)
            try:
                frames = list(reader.feed(self._read()))
            except FrameTooLargeError:
                raise ResultLimitError(self._pool, job.limits.result_bytes) from None
            for kind, body in frames:
                value = self._decode(body, job.packages)
                if kind in (FrameKind.PROGRESS, FrameKind.ASK):
                    self._serve(job, kind, value, deadline)
                    continue
                # Jobs may print: one that has closed its end of the pipe is of no use to the next.
                can_print = self._output.pass_on_rest()
                self.usable = can_print and kind in (FrameKind.RESULT, FrameKind.FAILURE)
                return self._outcome(job, kind, value)

    def is_alive(self) -> bool:
        """Whether an idle worker still holds its end. An idle worker never speaks, so any sign means the end."""
        return not self._poll.poll(0)

    def resident_bytes(self) -> int:
        """Private memory; pages of files and of the nursery's program text do not count."""
        try:
            fields = Path(f"/proc/{self.pid}/statm").read_bytes().split()
        except OSError:
            return 0
        return (int(fields[1]) - int(fields[2])) * _PAGE_BYTES

    def peak_bytes(self) -> int:
        """The most memory that was seen since the last job began, now included."""
        self._seen_bytes = max(self._seen_bytes, self.resident_bytes())
        return self._seen_bytes

    def end(self) -> str:
        """Kill it; say how it had ended if it was dead already."""
        if self._end is None:
            self._connection.close()
            self._end = self._nursery.bury(self.pid)
            self._output.pass_on_rest()
            self._output.close()
        return self._end

    def _decode(self, body: bytes, packages: frozenset[str]) -> Any:
        try:
            return decode_from_worker(body, packages=packages)
        except Exception as error:
            raise JobBugError(f"a {self._pool} worker sent something unreadable: {error}") from error

    def _send(self, frame: bytes, job: Job, deadline: float) -> None:
        """Hand it over piece by piece: a worker that hangs reads nothing, and must not hold up whoever limits it."""
        rest = memoryview(frame)
        self._both.modify(self._connection, select.POLLOUT)
        while rest:
            self._wait(job, deadline)
            rest = rest[self._sent(rest) :]
        self._both.modify(self._connection, select.POLLIN)

    def _sent(self, data: memoryview) -> int:
        try:
            return self._connection.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError:
            self._died()

    def _read(self) -> bytes:
        try:
            data = self._connection.recv(_READ_BYTES)
        except OSError:
            data = b""
        return data or self._died()

    def _died(self) -> NoReturn:
        cause = self.end()
        if cause == signal.SIGABRT.name:
            raise AbortedError(self._pool, self._memory_bytes)
        raise WorkerDiedError(self._pool, cause)

    def _wait(self, job: Job, deadline: float) -> None:
        """Until the worker speaks, or takes what is sent, passing on what it prints."""
        while True:
            if job.cancel is not None and job.cancel.is_set():
                raise JobCancelledError(self._pool)
            if job.place.is_evicted:
                raise JobEvictedError
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeLimitError(self._pool, job.limits.time_seconds)
            ready = {descriptor for descriptor, _ in self._both.poll(min(left, WATCH_SECONDS) * 1000)}
            if self._output.fileno() in ready and not self._output.pass_on():
                # It has closed its end, and need not be dead for that.
                self._both.unregister(self._output)
            if self._connection.fileno() in ready:
                return
            if self.peak_bytes() > job.limits.memory_bytes:
                raise MemoryLimitError(self._pool, job.limits.memory_bytes)

    def _serve(self, job: Job, kind: FrameKind, value: Any, deadline: float) -> None:
        if kind is FrameKind.PROGRESS:
            if job.on_progress is not None:
                job.on_progress(value)
            return
        if job.on_ask is None:
            raise JobBugError(f"a {self._pool} job asks, but nobody answers: {value!r}")
        try:
            answer = encode_frame(FrameKind.ANSWER, job.on_ask(value))
        except KamuError as error:
            answer = encode_frame(FrameKind.FAILURE, Failure.of(error))
        self._send(answer, job, deadline)

    def _outcome(self, job: Job, kind: FrameKind, value: Any) -> Any:
        if kind is FrameKind.FAILURE:
            raise value.restored()
        if kind is FrameKind.NO_MEMORY:
            raise MemoryLimitError(self._pool, job.limits.memory_bytes)
        if kind is FrameKind.BUG:
            raise JobBugError(f"a job of {self._pool} failed: {_raised(value)}\n{value}")
        return value


def _raised(trace: str) -> str:
    """Type and message of what was raised last: the first line after the last traceback's own, which are indented."""
    *_, last = trace.split("Traceback (most recent call last):\n")
    lines = last.strip("\n").splitlines()
    return next(
        (line for line in lines if not line.startswith((" ", "\t"))), lines[-1] if lines else "nothing was told"
    )
