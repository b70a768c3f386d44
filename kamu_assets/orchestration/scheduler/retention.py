"""Forgets old history, now and then, on a thread of its own that leaves the databases to others most of the time."""

import time
from collections.abc import Callable, Iterator, Mapping

import structlog

from kamu_assets.database.terms import DeposedError
from kamu_assets.errors import UnavailableError

log = structlog.get_logger(__name__)

SECONDS_BETWEEN = 6 * 3600.0
# As long as a batch took, so that others have at least every second turn; within limits, so that the process can end.
LEAST_PAUSE, LONGEST_PAUSE = 0.05, 1.0

# Removes something at each step, and tells how much.
Batches = Callable[[], Iterator[int]]


class Retention:
    """Does a batch at each step (a `Follower`), and passes through all that is kept a few times a day."""

    def __init__(self, kinds: Mapping[str, Batches], *, first_after: float = 60.0) -> None:
        self._kinds = kinds
        # A node that starts has more urgent things to do.
        self._due = time.monotonic() + first_after
        self._left: Iterator[tuple[str, int]] | None = None
        self._removed: dict[str, int] = {}

    def step(self) -> bool:
        """Tells whether it pays to come back soon."""
        began = time.monotonic()
        if self._left is None:
            if began < self._due:
                return False
            self._left, self._removed = self._batches(), dict.fromkeys(self._kinds, 0)
            self._due = began + SECONDS_BETWEEN
        if self._forget_some():
            time.sleep(min(max(time.monotonic() - began, LEAST_PAUSE), LONGEST_PAUSE))
            return True
        self._left = None
        if any(self._removed.values()):
            log.info("history_pruned", **self._removed)
        return False

    def _forget_some(self) -> bool:
        left, self._left = self._left, None
        # Whatever goes wrong ends this pass; the next one begins anew.
        batch = next(left, None) if left is not None else None
        self._left = left
        if batch is None:
            return False
        kind, removed = batch
        self._removed[kind] += removed
        return True

    def _batches(self) -> Iterator[tuple[str, int]]:
        for kind, batches in self._kinds.items():
            try:
                for removed in batches():
                    yield kind, removed
            except (UnavailableError, DeposedError):
                raise
            except Exception:
                # The others would never have their turn.
                log.exception("history_not_pruned", kind=kind)
