"""Work beside work: what one thread makes, another takes in the same order, never far behind."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")

# Less than this is done faster than a thread is started.
_WORTH_A_THREAD_BYTES: Final = 256 << 10


class Lane(Generic[Item]):
    """Does one kind of work on items in the order they are put, in a thread of its own where that pays.

    Whoever puts an item waits while items of more than `limit_bytes` are waiting. For work that releases the GIL.
    """

    def __init__(self, name: str, work: Callable[[Item], None], *, limit_bytes: int) -> None:
        self._name = name
        self._work = work
        self._limit = limit_bytes
        self._waiting: deque[tuple[Item, int]] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ended = False
        self._error: BaseException | None = None

    def put(self, item: Item, size: int) -> None:
        """Hand over an item of so many bytes; raises what the work on an earlier one raised."""
        with self._changed:
            while self._waiting_bytes > self._limit and self._error is None:
                self._changed.wait()
            if self._error is not None:
                raise self._error
            self._waiting.append((item, size))
            self._waiting_bytes += size
            self._changed.notify_all()
        if self._thread is None and self._waiting_bytes > min(_WORTH_A_THREAD_BYTES, self._limit):
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """Return when everything is done; raises what the work raised."""
        self._end()
        if self._thread is None:
            self._run()
        if self._error is not None:
            raise self._error

    def abandon(self) -> None:
        """Forget what waits; return when nothing is being done any more."""
        with self._changed:
            self._waiting.clear()
        self._end()

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while (found := self._next()) is not None:
                self._work(found[0])
        except BaseException as error:  # noqa: BLE001 - raised again where the next item is put
            with self._changed:
                self._error = error
                self._waiting.clear()
                self._changed.notify_all()

    def _next(self) -> tuple[Item, int] | None:
        """The oldest item; None when there will be no more."""
        with self._changed:
            while not self._waiting and not self._ended:
                self._changed.wait()
            if not self._waiting:
                return None
            found = self._waiting.popleft()
            self._waiting_bytes -= found[1]
            self._changed.notify_all()
            return found
