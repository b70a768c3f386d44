"""Workers that live and do nothing: stopped, or hanging where no other thread of theirs gets a turn."""

import time
from collections.abc import Callable, Mapping, Sequence

from kamu_assets.odf.timestamp import Timestamp

SILENT_SECONDS = 60.0
# Looks that are further apart say nothing: the database may have been away, or this process may have been stopped.
LONGEST_BETWEEN = 15.0


class Silence:
    """Judges by heartbeats that did not change while we looked, whatever the clocks of others say."""

    def __init__(self, *, seconds: float = SILENT_SECONDS, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._monotonic = monotonic
        self._looked = float("-inf")
        # The last heartbeat of each worker, and since when it is the last.
        self._last: Mapping[str, tuple[Timestamp, float]] = {}

    def heard(self, heartbeats: Mapping[str, Timestamp]) -> Sequence[str]:
        """Those of the workers that have been silent for too long; to be called every few seconds."""
        now = self._monotonic()
        before = self._last if now - self._looked <= LONGEST_BETWEEN else {}
        self._looked = now
        self._last = {
            worker: before[worker] if worker in before and before[worker][0] == heartbeat else (heartbeat, now)
            for worker, heartbeat in heartbeats.items()
        }
        return [worker for worker, (_, since) in self._last.items() if now - since >= self.seconds]
