"""Runs checks side by side, a few at a time, until they are done or somebody stops them."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

from kamu_assets.engines.workers.limits import PoolBusyError
from kamu_assets.errors import UnavailableError

Res = TypeVar("Res")


class VerificationCancelledError(UnavailableError):
    """Whoever asked no longer wants to know."""

    def __init__(self) -> None:
        super().__init__("the verification was cancelled")


class StopSignal(threading.Event):
    """Set when a check fails unexpectedly, and when the caller cancels."""

    def __init__(self, cancel: threading.Event | None) -> None:
        super().__init__()
        self._cancel = cancel

    def is_set(self) -> bool:
        """Whether to stop."""
        return super().is_set() or (self._cancel is not None and self._cancel.is_set())

    def check(self) -> None:
        """Raise if so."""
        if self.is_set():
            raise VerificationCancelledError


def patiently(action: Callable[[], Res], stop: StopSignal) -> Res:
    """Wait for a worker as long as it takes: other verifications go on, too."""
    while True:
        try:
            return action()
        except PoolBusyError:
            stop.check()


class SideBySide:
    """Up to `width` tasks at a time; leaving the `with` block waits for all. The first exception stops the rest."""

    def __init__(self, width: int, stop: StopSignal) -> None:
        self._threads = ThreadPoolExecutor(width, thread_name_prefix="verify")
        # As many wait as run: a chain is read no faster than its data.
        self._room = threading.Semaphore(2 * width)
        self._stop = stop
        self._error: BaseException | None = None

    def start(self, task: Callable[..., None], *arguments: Any) -> None:
        """Run a task as soon as there is room; waits until it may at least wait."""
        self._room.acquire()
        if self._error is not None:
            raise self._error
        self._threads.submit(task, *arguments).add_done_callback(self._ended)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._stop.set()
        self._threads.shutdown(cancel_futures=error is not None)
        if error is None and self._error is not None:
            raise self._error

    def _ended(self, task: Future[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and self._error is None:
            self._error = error
            self._stop.set()
        self._room.release()
