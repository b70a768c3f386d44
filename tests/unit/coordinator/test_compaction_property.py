"""Whatever a dataset went through: compaction leaves its rows what they are, and so does all that comes after."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kamu_assets.coordinator.compacting import CompactOptions
from kamu_assets.coordinator.compaction_plan import CompactionLimits
from kamu_assets.coordinator.resetting import ResetOptions
from kamu_assets.coordinator.results import NothingToDo, Reorganized
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.dataset import SetInfo
from kamu_assets.odf.timestamp import Timestamp
from tests.support import manifests
from tests.support.coordination import a_reorganization
from tests.support.heart import ADMIN
from tests.support.merging_roots import rows_of
from tests.support.verified import VerifiedStory, a_story, reading
from tests.support.verifier.dataset import verify

MERGES = (
    manifests.APPEND,
    "{kind: Ledger, primaryKey: [city, degrees]}",
    "{kind: Snapshot, primaryKey: [city]}",
    "{kind: UpsertStream, primaryKey: [city]}",
)
ROWS = st.lists(st.tuples(st.integers(1, 9), st.sampled_from("abc")), min_size=1, max_size=4)
PUSH = st.tuples(st.just("push"), ROWS)
STEPS = st.lists(
    st.one_of(
        PUSH,
        PUSH,
        st.tuples(st.just("watermark"), st.integers(1, 28)),
        st.tuples(st.just("info"), st.text("xyz", max_size=3)),
        st.tuples(st.just("compact"), st.integers(1, 12)),
        st.tuples(st.just("reset"), st.integers(0, 20)),
    ),
    min_size=2,
    max_size=9,
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(MERGES), STEPS)
def test_rows_before_are_rows_after(merge: str, steps: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as home, a_story(Path(home)) as story:
        entry = story.root(merge=merge)
        twin = story.root("twin", merge=merge)
        for what, how in [*steps, ("compact", 10_000)]:
            if what == "compact":
                _compact(story, entry, how)
            elif what == "reset":
                _reset(story, (entry, twin), how)
            else:
                for each in (entry, twin):
                    _do(story, each, what, how)
        _compare(story, entry, twin)


def _do(story: VerifiedStory, entry: DatasetEntry, what: str, how: Any) -> None:
    if what == "push":
        story.push(entry, [reading(day, city, float(day)) for day, city in how])
    elif what == "watermark":
        story.coordinator.set_watermark(ADMIN, entry.id, Timestamp.parse(f"2024-04-{how:02}T00:00:00Z"))
    else:
        story.coordinator.commit_event(ADMIN, entry.id, SetInfo(description=how))


def _compact(story: VerifiedStory, entry: DatasetEntry, most: int) -> None:
    before, rows = story.heart.datasets.summary(ADMIN, entry.id), rows_of(story.heart, entry)
    state = story.heart.chains.state(entry.id)

    done = a_reorganization(story.heart).compact(
        ADMIN, entry.id, CompactOptions(CompactionLimits(max_slice_records=most))
    )

    after = story.heart.datasets.summary(ADMIN, entry.id)
    assert rows_of(story.heart, entry) == rows
    assert (after.statistics.records, after.statistics.watermark) == (len(rows), before.statistics.watermark)
    new = story.heart.chains.state(entry.id)
    assert (new.schema, new.info, new.push_sources) == (state.schema, state.info, state.push_sources)
    if isinstance(done, NothingToDo):
        assert after == before
    else:
        assert isinstance(done, Reorganized)
        assert done.resulting_blocks == after.statistics.blocks < before.statistics.blocks == done.original_blocks
    verify(story.folder(entry))
    assert story.verify(entry).is_valid
    assert {found.kind for found in story.heart.doctor.repair(dry_run=True)} <= {"unreachable"}


def _reset(story: VerifiedStory, entries: tuple[DatasetEntry, ...], back: int) -> None:
    """Both to the end of some slice that both have: compacted chains have fewer."""
    chains = [_ends(story, entry) for entry in entries]
    offsets = sorted(chains[0].keys() & chains[1].keys())
    if not offsets:
        return
    offset = offsets[-1 - back % len(offsets)]
    for entry, ends in zip(entries, chains, strict=True):
        a_reorganization(story.heart).reset(ADMIN, entry.id, ResetOptions(new_head=ends[offset]))


def _ends(story: VerifiedStory, entry: DatasetEntry) -> dict[int, Any]:
    """The first block that has a slice which ends there."""
    head = story.heart.chains.head(entry.id)
    slices = story.heart.chains.slices(entry.id, after=None, until=head)
    return {each.offset_interval.end: each.block_hash for each in slices}


def _compare(story: VerifiedStory, entry: DatasetEntry, twin: DatasetEntry) -> None:
    """A dataset that was never compacted took the same way."""
    said = [[_plain(row) for row in rows_of(story.heart, each)] for each in (entry, twin)]
    assert said[0] == said[1]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Each push to one and to the other has its own time."""
    return {name: value for name, value in row.items() if name != "system_time"}
