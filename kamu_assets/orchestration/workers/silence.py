"""Workers that live and do nothing: stopped, or hanging where no other thread of theirs gets a turn."""

import time
from collections.abc import Callable, Mapping, Sequence

from kamu_assets.odf.timestamp import Timestamp

SILENT_SECONDS = 60.0
# All that the time between two looks counts for: the database may have been away, or this process stopped. Not nothing:
# a worker that was stopped in a transaction may be what keeps us from looking.
LONGEST_BETWEEN = 15.0


class Silence:
    """Judges by heartbeats that did not change while we looked, whatever the clocks of others say."""

    def __init__(self, *, seconds: float = SILENT_SECONDS, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._monotonic = monotonic
        self._looked = float("-inf")
        # The last heartbeat of each worker, and for how long it has been the last.
        self._last: Mapping[str, tuple[Timestamp, float]] = {}

    def heard(self, heartbeats: Mapping[str, Timestamp]) -> Sequence[str]:
        """Those of the workers that have been silent for too long; to be called every few seconds."""
        now = self._monotonic()
        passed = min(now - self._looked, LONGEST_BETWEEN)
        self._looked = now
        self._last = {
            worker: (heartbeat, self._silence(worker, heartbeat, passed)) for worker, heartbeat in heartbeats.items()
        }
        return [worker for worker, (_, silence) in self._last.items() if silence >= self.seconds]

    def _silence(self, worker: str, heartbeat: Timestamp, passed: float) -> float:
        before, silence = self._last.get(worker, (None, 0.0))
        return silence + passed if before == heartbeat else 0.0
