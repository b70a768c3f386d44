"""Which watermark held before the block that a row came with.

A request lists the slices of an input and the watermarks of its blocks, but not which belong together. Rows carry the
system time of their block in milliseconds, watermarks that of theirs. So a watermark held before a slice when its
block is of an earlier millisecond. Inside one millisecond slices are matched with watermarks in their order: once a
chain has a watermark, each of its data blocks carries one, so the n-th slice belongs to the n-th watermark, and the
watermarks before that one held before it (where slices outnumber watermarks, the first ones came before any). Blocks
that only set a watermark count as the last ones of their millisecond; that is the one thing nobody can tell from a
request, and it matters only if such a block and one with data share a millisecond.

Whatever an earlier run read held before everything that this one reads; the checkpoint carries it over.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from kamu_assets.engines.engine import Watermark

NEVER = -(1 << 63)


def watermarks_before(slices: Sequence[int], marks: Sequence[Watermark], carried: int) -> list[int]:
    """For each slice, by the milliseconds of its block: the watermark (in milliseconds) before it, `NEVER` if none."""
    slices = list(accumulate(slices, max))
    times = [mark.system_time.millis for mark in marks]
    highest = [carried, *accumulate((mark.event_time.millis for mark in marks), max)]
    total, seen = Counter(slices), Counter[int]()
    before = []
    for moment in slices:
        first, end = bisect_left(times, moment), bisect_right(times, moment)
        without_mark = max(0, total[moment] - (end - first))
        before.append(max(carried, highest[first + max(0, seen[moment] - without_mark)]))
        seen[moment] += 1
    return before


def newest(marks: Sequence[Watermark], carried: int) -> int:
    """The watermark after all these blocks."""
    return max([carried, *(mark.event_time.millis for mark in marks)])
