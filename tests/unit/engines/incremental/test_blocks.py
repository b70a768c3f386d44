"""Which watermark held before a slice."""

import pytest

from kamu_assets.engines.engine import Watermark
from kamu_assets.engines.incremental.blocks import NEVER, newest, watermarks_before
from kamu_assets.odf.timestamp import Timestamp

MS = 1_000_000


def marks(*pairs: tuple[float, int]) -> list[Watermark]:
    """System times in milliseconds with their fraction, event times in whole ones."""
    return [Watermark(Timestamp(round(at * MS)), Timestamp.from_millis(event)) for at, event in pairs]


@pytest.mark.parametrize(
    ("slices", "given", "carried", "expected"),
    [
        # Each block has data and a watermark.
        ([1, 2, 3], [(1, 10), (2, 20), (3, 30)], NEVER, [NEVER, 10, 20]),
        ([4], [(4, 40)], 30, [30]),
        # Watermarks of nanoseconds, rows of milliseconds.
        ([1, 2], [(1.9, 10), (2.1, 20)], 5, [5, 10]),
        # A watermark of its own between them.
        ([1, 3], [(1, 10), (2, 25), (3, 30)], NEVER, [NEVER, 25]),
        # One millisecond: matched in their order.
        ([7, 7, 7], [(7.1, 10), (7.2, 20), (7.3, 30)], NEVER, [NEVER, 10, 20]),
        # The first blocks had no watermark yet.
        ([7, 7, 7], [(7.3, 30)], NEVER, [NEVER, NEVER, NEVER]),
        ([7, 7, 8], [(7.3, 30), (8, 40)], NEVER, [NEVER, NEVER, 30]),
        # A watermark without data in the millisecond of data counts as the last of it.
        ([7], [(7.1, 10), (7.2, 20)], NEVER, [NEVER]),
        ([7, 8], [(7.1, 10), (7.2, 20), (8, 30)], NEVER, [NEVER, 20]),
        # What was read before always held before.
        ([7], [(7, 50)], 40, [40]),
        # Rows older than their block, as compaction leaves them.
        ([1, 2], [(9, 90)], NEVER, [NEVER, NEVER]),
        # A clock that went back within a chain that does not forbid it.
        ([5, 4], [(4, 10), (5, 20)], NEVER, [10, 10]),
        ([], [(1, 10)], NEVER, []),
    ],
)
def test_the_watermark_before(
    slices: list[int], given: list[tuple[float, int]], carried: int, expected: list[int]
) -> None:
    assert watermarks_before(slices, marks(*given), carried) == expected


def test_a_millisecond_shared_by_two_runs_gives_the_same() -> None:
    both = marks((7.1, 10), (7.2, 20))

    together = watermarks_before([7, 7], both, NEVER)
    apart = [*watermarks_before([7], both[:1], NEVER), *watermarks_before([7], both[1:], newest(both[:1], NEVER))]

    assert together == apart


def test_watermarks_never_fall() -> None:
    assert newest(marks((1, 10)), 30) == 30
    assert newest([], NEVER) == NEVER
