"""Processes that live and do nothing: stopped, hanging, or cut off from all that we can see of them."""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence

SILENT_SECONDS = 60.0
# All that the time between two looks counts for: the database may have been away, or this process stopped. Not nothing:
# a worker that was stopped in a transaction may be what keeps us from looking.
LONGEST_BETWEEN = 15.0


class Silence:
    """Judges by signs of life that did not change while we looked, whatever the clocks of others say."""

    def __init__(
        self,
        *,
        seconds: float = SILENT_SECONDS,
        longest_between: float = LONGEST_BETWEEN,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds = seconds
        self._longest_between = longest_between
        self._monotonic = monotonic
        self._looked = float("-inf")
        # The last sign of each process, and for how long it has been the last.
        self._last: Mapping[str, tuple[Hashable, float]] = {}

    def heard(self, signs: Mapping[str, Hashable]) -> Sequence[str]:
        """Those of the processes that have been silent for too long; to be called every few seconds."""
        now = self._monotonic()
        passed = min(now - self._looked, self._longest_between)
        self._looked = now
        self._last = {each: (sign, self._silence(each, sign, passed)) for each, sign in signs.items()}
        return [each for each, (_, silence) in self._last.items() if silence >= self.seconds]

    def _silence(self, process: str, sign: Hashable, passed: float) -> float:
        before, silence = self._last.get(process, (None, 0.0))
        return silence + passed if before == sign else 0.0
