"""When the next block of a dataset is made."""

from typing import Final

from kamu_assets.clock import Clock
from kamu_assets.errors import UnavailableError
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.timestamp import Timestamp

# Clocks are set back by moments when they are corrected.
_CORRECTION_NS: Final = 60_000_000_000


class ClockBehindError(UnavailableError):
    """The clock of this machine, or of the one that made the newest block, is wrong."""

    def __init__(self, now: Timestamp, newest: Timestamp) -> None:
        super().__init__(f"the clock says {now}, but the newest block is of {newest}: set the clock, then repeat")
        self.now = now
        self.newest = newest


def next_system_time(clock: Clock, chain: ChainState) -> Timestamp:
    """Now, or the time of the newest block where a corrected clock is a little behind it.

    A block is never older than the one before it (ODF: Metadata Chain). Ask after the chain was read.
    """
    now, newest = clock.now(), chain.system_time
    if newest is None or now >= newest:
        return now
    if newest.ns - now.ns > _CORRECTION_NS:
        raise ClockBehindError(now, newest)
    return newest
