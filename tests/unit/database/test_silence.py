"""Who is taken for hanging, and who is not."""

from __future__ import annotations

from kamu_assets.database.silence import LONGEST_BETWEEN, Silence
from kamu_assets.odf.timestamp import Timestamp

FIRST, SECOND = Timestamp(1), Timestamp(2)


class Looks:
    """Looks at heartbeats at moments that a test chooses."""

    def __init__(self, *, seconds: float) -> None:
        self._now = 1000.0
        self.silence = Silence(seconds=seconds, monotonic=lambda: self._now)

    def after(self, seconds: float, **heartbeats: Timestamp) -> list[str]:
        self._now += seconds
        return list(self.silence.heard(heartbeats))


def test_who_says_nothing_for_too_long_hangs() -> None:
    looks = Looks(seconds=20)

    assert looks.after(0, busy=FIRST, stopped=FIRST) == []
    assert looks.after(10, busy=SECOND, stopped=FIRST) == []
    assert looks.after(10, busy=SECOND, stopped=FIRST) == ["stopped"]


def test_a_sign_of_life_begins_the_time_anew() -> None:
    looks = Looks(seconds=20)
    looks.after(0, worker=FIRST)
    looks.after(15, worker=SECOND)

    assert looks.after(15, worker=SECOND) == []
    assert looks.after(5, worker=SECOND) == ["worker"]


def test_the_time_in_which_nobody_could_look_hardly_counts() -> None:
    looks = Looks(seconds=LONGEST_BETWEEN + 10)
    looks.after(0, worker=FIRST)

    assert looks.after(3600, worker=FIRST) == []
    assert looks.after(9, worker=FIRST) == []
    assert looks.after(1, worker=FIRST) == ["worker"]


def test_who_keeps_others_from_looking_is_found_in_the_end() -> None:
    looks = Looks(seconds=4 * LONGEST_BETWEEN)
    looks.after(0, worker=FIRST)

    assert [looks.after(31, worker=FIRST) for _ in range(4)] == [[], [], [], ["worker"]]


def test_who_has_left_is_forgotten() -> None:
    looks = Looks(seconds=20)
    looks.after(0, worker=FIRST)
    looks.after(10)

    assert looks.after(10, worker=FIRST) == []
