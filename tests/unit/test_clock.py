import time

from kamu_assets.clock import ManualClock, SystemClock
from kamu_assets.odf.timestamp import Timestamp


def test_the_system_clock_tells_the_time() -> None:
    before = time.time_ns()

    now = SystemClock().now()

    assert before <= now.ns <= time.time_ns()


def test_a_manual_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(Timestamp(5))

    assert clock.now() == clock.now() == Timestamp(5)
    assert clock.advance(1.5) == clock.now() == Timestamp(1_500_000_005)
    clock.set(Timestamp(1))
    assert clock.now() == Timestamp(1)
