"""Which slices are put together, and what their block says."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.coordinator.compaction_plan import (
    CompactionLimits,
    Group,
    InvalidLimitError,
    merged_event,
    plan_groups,
)
from kamu_assets.datasets.model import IndexedBlock, IndexedData
from kamu_assets.odf.data import ExtraAttributes
from kamu_assets.odf.dataset import AddData
from kamu_assets.odf.serde.flatbuffers import EventKind
from kamu_assets.odf.source import SourceState
from tests.support.builders import START, a_hash, a_slice

LINKED = "opendatafabric.org/linkedObjects"
# Records of slices; 0: a watermark only; None: an event that is no data.
CHAINS = st.lists(st.none() | st.integers(0, 8), max_size=20)


def blocks_of(records: list[int | None]) -> list[IndexedBlock]:
    found, offset = [], 0
    for number, count in enumerate(records, 1):
        kind = EventKind.SET_INFO if count is None else EventKind.ADD_DATA
        data = None if count is None else IndexedData(a_slice(start=offset, records=count) if count else None)
        found.append(IndexedBlock(number, a_hash(str(number)), kind, None, START, 100, data))
        offset += count or 0
    return found


@given(CHAINS, st.integers(1, 12))
def test_groups_are_as_few_as_limits_and_other_events_allow(records: list[int | None], most: int) -> None:
    blocks = blocks_of(records)

    groups = plan_groups(blocks, CompactionLimits(max_slice_records=most))

    assert [block for group in groups for block in group.blocks] == blocks
    for group in groups:
        assert len(group.blocks) == 1 or all(block.data is not None for block in group.blocks)
        assert group.records <= most or len(group.slices) == 1
    for older, newer in pairwise(groups):
        if older.blocks[-1].data is not None and newer.blocks[0].data is not None:
            # Filled from the newest backwards: not even the next older slice fits.
            next_older = Group(older.blocks[-1:]).records
            assert newer.records + next_older > most


def test_the_oldest_group_is_the_small_one() -> None:
    groups = plan_groups(blocks_of([2, 2, 2, 2, 2]), CompactionLimits(max_slice_records=4))

    assert [group.records for group in groups] == [2, 4, 4]
    assert [group.is_merged for group in groups] == [False, True, True]


def test_a_slice_over_the_limit_stays_between_others() -> None:
    groups = plan_groups(blocks_of([1, 1, 6, 1, 1]), CompactionLimits(max_slice_records=3))

    assert [group.records for group in groups] == [2, 6, 2]


def test_sizes_count_as_well() -> None:
    size = a_slice().size
    groups = plan_groups(blocks_of([1, 1, 1]), CompactionLimits(max_slice_size=2 * size))

    assert [group.records for group in groups] == [1, 2]


@pytest.mark.parametrize("limits", [{"max_slice_size": 0}, {"max_slice_records": -1}])
def test_limits_are_positive(limits: dict[str, int]) -> None:
    with pytest.raises(InvalidLimitError, match="must be a positive number"):
        CompactionLimits(**limits)


def test_a_merged_block_begins_like_the_first_and_ends_like_the_last() -> None:
    state = SourceState(source_name="default", kind="odf/etag", value="a")
    events = [
        AddData(prev_offset=4, new_data=a_slice(start=5), new_source_state=state, new_watermark=START),
        AddData(prev_offset=14, new_data=a_slice(start=15), new_watermark=START),
    ]
    merged = merged_event(events, a_slice(start=5, records=20))

    assert merged == AddData(
        prev_offset=4, new_data=a_slice(start=5, records=20), new_source_state=state, new_watermark=START
    )


def test_linked_objects_are_summed_up() -> None:
    events = [
        AddData(extra=ExtraAttributes({LINKED: {"numObjectsNaive": 1, "sizeNaive": 10}, "mine": "old"})),
        AddData(),
        AddData(extra=ExtraAttributes({LINKED: {"numObjectsNaive": 2, "sizeNaive": 5}, "mine": "new"})),
    ]

    assert merged_event(events, None).extra == ExtraAttributes(
        {LINKED: {"numObjectsNaive": 3, "sizeNaive": 15}, "mine": "new"}
    )
