"""Where time comes from: services are given a clock and never ask the system."""

import time
from typing import Protocol

from kamu_assets.odf.timestamp import Timestamp


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> Timestamp:
        """The present moment."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> Timestamp:
        """The present moment."""
        return Timestamp(time.time_ns())


class ManualClock:
    """Stands still until it is moved: for tests and replays."""

    def __init__(self, start: Timestamp) -> None:
        self._now = start

    def now(self) -> Timestamp:
        """The moment it was set to."""
        return self._now

    def set(self, moment: Timestamp) -> None:
        """Jump, also back."""
        self._now = moment

    def advance(self, seconds: float) -> Timestamp:
        """Move by some seconds and tell the new time."""
        self._now = Timestamp(self._now.ns + round(seconds * 1_000_000_000))
        return self._now
