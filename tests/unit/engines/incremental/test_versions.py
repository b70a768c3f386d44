"""Versions of a table against a list of them that is searched from its end."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.engines.incremental.versions import NO_VERSION, Versions

Key = tuple[str | None, int | None, int | None]
keys = st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from([1, 2, None]), st.sampled_from([7, 8, 9]))
times = st.integers(-3, 9)


def columns(found: list[Key]) -> list[pa.ChunkedArray]:
    types = (pa.string(), pa.int64(), pa.int64())
    return [pa.chunked_array([pa.array([key[index] for key in found], kind)]) for index, kind in enumerate(types)]


def searched(versions: list[tuple[Key, int, int]], key: Key, time: int) -> int:
    """By hand: the newest record at or before the time, the later one of two at one time."""
    fitting = [(since, row) for row, (known, since, _) in enumerate(versions) if known == key and since <= time]
    if None in key or not fitting:
        return NO_VERSION
    row = max(fitting)[1]
    return row if versions[row][2] in (0, 3) else NO_VERSION


def known(versions: list[tuple[Key, int, int]]) -> Versions:
    numbers = [np.array([version[part] for version in versions], np.int64) for part in (1, 2)]
    return Versions(columns([version[0] for version in versions]), *numbers, since=numbers[0])


@given(st.lists(st.tuples(keys, times, st.integers(0, 3)), max_size=12), st.lists(st.tuples(keys, times), max_size=8))
def test_lookup_is_a_search_from_the_end(versions: list[tuple[Key, int, int]], wanted: list[tuple[Key, int]]) -> None:
    moments = np.array([time for _, time in wanted], np.int64)

    found = known(versions).valid_at(columns([key for key, _ in wanted]), moments)

    assert found.tolist() == [searched(versions, *one) for one in wanted]


@given(st.lists(st.tuples(keys, times, st.integers(0, 3)), max_size=12), times)
def test_what_is_left_out_is_not_missed(versions: list[tuple[Key, int, int]], moment: int) -> None:
    needed = known(versions).needed_from(moment)

    left = [version for version, is_needed in zip(versions, needed, strict=True) if is_needed]
    for key in {version[0] for version in versions}:
        for time in range(moment, 10):
            before, after = searched(versions, key, time), searched(left, key, time)
            assert (before == NO_VERSION) == (after == NO_VERSION)
            assert before == NO_VERSION or versions[before] == left[after]
    past = [version[0] for version in left if version[1] <= moment]
    assert len(past) == len(set(past))
