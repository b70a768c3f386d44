"""Hard compaction and reset to metadata: the same rows behind other blocks, or none; whatever happens meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kamu_assets.auth.model import Caller
from kamu_assets.coordinator.compacting import CompactOptions
from kamu_assets.coordinator.compaction_plan import CompactionLimits
from kamu_assets.coordinator.errors import (
    CompactionCancelledError,
    CompactionOfDerivativeError,
    InvalidInputIntervalError,
)
from kamu_assets.coordinator.reorganization import Reorganization
from kamu_assets.coordinator.resetting import ResetOptions
from kamu_assets.coordinator.results import NothingToDo, Reorganized, Updated
from kamu_assets.coordinator.slice_merging import ChangedSliceError
from kamu_assets.datasets.errors import DatasetNotFoundError, HeadMovedError
from kamu_assets.datasets.messages import DatasetRewritten
from kamu_assets.datasets.model import DatasetEntry, RewriteKind
from kamu_assets.engines.workers.limits import PoolBusyError
from kamu_assets.errors import DeniedError
from kamu_assets.odf.dataset import SetInfo
from kamu_assets.odf.multihash import Multihash
from tests.support.coordination import InThisProcess, a_reorganization
from tests.support.heart import ADMIN, account
from tests.support.merging_roots import rows_of
from tests.support.verified import VerifiedStory, a_story, flip, reading
from tests.support.verifier.dataset import verify

DAYS = 4


@pytest.fixture
def story(tmp_path: Path) -> Iterator[VerifiedStory]:
    with a_story(tmp_path) as story:
        yield story


@pytest.fixture
def root(story: VerifiedStory) -> DatasetEntry:
    """Of several slices."""
    entry = story.root()
    for day in range(1, DAYS + 1):
        story.push(entry, [reading(day, "Oslo"), reading(day, "Bergen")])
    return entry


class Meanwhile(InThisProcess):
    """Something happens after a slice was written and before it is committed."""

    def __init__(self, action: Callable[[], object]) -> None:
        self._action = action

    def run(self, *arguments: Any, **options: Any) -> Any:
        result = super().run(*arguments, **options)
        self._action()
        return result


def is_sound(story: VerifiedStory, entry: DatasetEntry) -> bool:
    """By our verification, the independent one, and the doctor."""
    verify(story.folder(entry))
    findings = [found for found in story.heart.doctor.repair(dry_run=True) if found.kind != "unreachable"]
    return story.verify(entry).is_valid and not findings


def reorganization_of(story: VerifiedStory, meanwhile: Callable[[], object] = lambda: None) -> Reorganization:
    return a_reorganization(story.heart, pool=Meanwhile(meanwhile))


def test_rows_are_the_same_in_one_slice(story: VerifiedStory, root: DatasetEntry) -> None:
    before, rows = story.heart.datasets.summary(ADMIN, root.id), rows_of(story.heart, root)
    progress: list[tuple[int, int]] = []

    done = reorganization_of(story).compact(
        ADMIN, root.id, CompactOptions(on_rows=lambda rows, total: progress.append((rows, total)))
    )

    after = story.heart.datasets.summary(ADMIN, root.id)
    assert done == Reorganized(before.head, after.head, 7, 4)
    assert rows_of(story.heart, root) == rows
    assert (after.statistics.slices, after.statistics.records) == (1, 2 * DAYS)
    assert after.statistics.watermark == before.statistics.watermark
    assert progress[-1] == (2 * DAYS, 2 * DAYS)
    assert is_sound(story, root)


def test_what_is_compact_already_stays(story: VerifiedStory, root: DatasetEntry) -> None:
    reorganization = reorganization_of(story)
    reorganization.compact(ADMIN, root.id)
    head = story.heart.chains.head(root.id)

    assert reorganization.compact(ADMIN, root.id) == NothingToDo()
    assert (
        reorganization.compact(ADMIN, root.id, CompactOptions(CompactionLimits(max_slice_records=2))) == NothingToDo()
    )
    assert story.heart.chains.head(root.id) == head


def test_a_slice_alone_keeps_its_file(story: VerifiedStory, root: DatasetEntry) -> None:
    story.push(root, [reading(9, "Oslo")])
    first = story.files(root)[0]

    reorganization_of(story).compact(ADMIN, root.id, CompactOptions(CompactionLimits(max_slice_records=7)))

    assert story.files(root)[0] == first
    assert len(story.files(root)) == 2
    assert is_sound(story, root)


@pytest.mark.parametrize(
    "merge", ["{kind: Ledger, primaryKey: [city, degrees]}", "{kind: Snapshot, primaryKey: [city]}"]
)
def test_merges_go_on_as_if_nothing_had_happened(story: VerifiedStory, merge: str) -> None:
    entry, twin = story.root(merge=merge), story.root("twin", merge=merge)
    for each in (entry, twin):
        story.push(each, [reading(1, "Oslo", 1), reading(1, "Bergen", 2)])
        story.push(each, [reading(2, "Oslo", 3), reading(1, "Bergen", 2)])
    reorganization_of(story).compact(ADMIN, entry.id)

    for each in (entry, twin):
        story.push(each, [reading(3, "Oslo", 3), reading(3, "Bergen", 4), reading(3, "Voss", 4)])

    said = [[(row["op"], row["city"], row["degrees"]) for row in rows_of(story.heart, each)] for each in (entry, twin)]
    assert said[0] == said[1]
    assert is_sound(story, entry)


def test_what_is_pushed_meanwhile_is_kept(story: VerifiedStory, root: DatasetEntry) -> None:
    def push() -> None:
        story.push(root, [reading(9, "Voss")])
        story.coordinator.commit_event(ADMIN, root.id, SetInfo(description="late"))

    done = reorganization_of(story, push).compact(ADMIN, root.id)

    assert isinstance(done, Reorganized)
    assert [row["city"] for row in rows_of(story.heart, root)] == ["Oslo", "Bergen"] * DAYS + ["Voss"]
    assert story.heart.chains.state(root.id).info == SetInfo(description="late")
    assert (done.original_blocks, done.resulting_blocks) == (9, 6)
    assert is_sound(story, root)


def test_a_chain_that_is_rewritten_meanwhile_wins(story: VerifiedStory, root: DatasetEntry) -> None:
    blocks = [found.block_hash for found in story.heart.chains.blocks(root.id, newest_first=False)]

    def reset() -> None:
        a_reorganization(story.heart).reset(ADMIN, root.id, ResetOptions(new_head=blocks[3]))

    with pytest.raises(HeadMovedError):
        reorganization_of(story, reset).compact(ADMIN, root.id)
    assert story.heart.chains.head(root.id) == blocks[3]
    assert is_sound(story, root)


def test_a_dataset_that_is_deleted_meanwhile_stays_deleted(story: VerifiedStory, root: DatasetEntry) -> None:
    def delete() -> None:
        story.heart.datasets.delete(ADMIN, root.id)

    with pytest.raises(DatasetNotFoundError):
        reorganization_of(story, delete).compact(ADMIN, root.id)
    assert not story.folder(root).exists()
    assert story.heart.doctor.repair(dry_run=True) == []


def test_of_two_compactions_at_once_one_is_done(story: VerifiedStory, root: DatasetEntry) -> None:
    def compact() -> None:
        a_reorganization(story.heart).compact(ADMIN, root.id)

    with pytest.raises(HeadMovedError):
        reorganization_of(story, compact).compact(ADMIN, root.id)
    assert len(story.files(root)) == 1
    assert is_sound(story, root)


def test_damage_is_not_covered_up(story: VerifiedStory, root: DatasetEntry) -> None:
    head = story.heart.chains.head(root.id)
    story.forge(
        root, logical_hash=story.heart.chains.slices(root.id, after=None, until=head)[0].data_slice.logical_hash
    )
    forged = story.heart.chains.head(root.id)
    story.heart.doctor.repair()

    with pytest.raises(ChangedSliceError, match="does not hold the rows of which its block tells the hash"):
        reorganization_of(story).compact(ADMIN, root.id)
    assert story.heart.chains.head(root.id) == forged
    assert list(story.heart.volumes.staging(root.kind).iterdir()) == []


def test_a_file_that_cannot_be_read_ends_it(story: VerifiedStory, root: DatasetEntry) -> None:
    head = story.heart.chains.head(root.id)
    flip(story.files(root)[1], at=-1)

    with pytest.raises(ChangedSliceError, match="cannot be read"):
        reorganization_of(story).compact(ADMIN, root.id)
    assert story.heart.chains.head(root.id) == head


class Busy(InThisProcess):
    """A pool that others use, until they end or somebody cancels."""

    def __init__(self, refusals: int, cancel: threading.Event | None = None) -> None:
        self._left = refusals
        self._cancel = cancel

    def run(self, *arguments: Any, **options: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            return super().run(*arguments, **options)
        if self._left == 0 and self._cancel is not None:
            self._cancel.set()
        raise PoolBusyError("engine", 1)


def test_it_waits_for_a_worker_until_it_is_cancelled(story: VerifiedStory, root: DatasetEntry) -> None:
    cancel = threading.Event()
    head = story.heart.chains.head(root.id)

    with pytest.raises(CompactionCancelledError):
        a_reorganization(story.heart, pool=Busy(3, cancel)).compact(ADMIN, root.id, CompactOptions(cancel=cancel))
    assert story.heart.chains.head(root.id) == head

    assert isinstance(a_reorganization(story.heart, pool=Busy(3)).compact(ADMIN, root.id), Reorganized)


def test_who_may_and_what_may_be_compacted(story: VerifiedStory, root: DatasetEntry) -> None:
    copy = story.derivative("copy", "select event_time, city from readings", "readings")
    reorganization = reorganization_of(story)

    with pytest.raises(DeniedError, match="maintain dataset"):
        reorganization.compact(Caller(account("alice")), root.id)
    with pytest.raises(DeniedError, match="maintain dataset"):
        reorganization.reset_to_metadata(Caller(account("alice")), root.id)
    with pytest.raises(CompactionOfDerivativeError, match="only roots are compacted"):
        reorganization.compact(ADMIN, copy.id)


def test_derivatives_refuse_until_they_are_computed_anew(story: VerifiedStory, root: DatasetEntry) -> None:
    copy = story.derivative("copy", "select event_time, city from readings", "readings")
    story.pull(copy)
    reorganization_of(story).compact(ADMIN, root.id)

    with pytest.raises(InvalidInputIntervalError):
        story.pull(copy)
    done = story.coordinator.pull(ADMIN, copy.id, reset_on_diverged_input=True)

    assert isinstance(done, Updated)
    assert [row["city"] for row in rows_of(story.heart, copy)] == ["Oslo", "Bergen"] * DAYS
    assert is_sound(story, copy)


def test_metadata_is_kept_without_rows(story: VerifiedStory, root: DatasetEntry) -> None:
    story.coordinator.commit_event(ADMIN, root.id, SetInfo(description="kept"))
    reorganization = reorganization_of(story)

    done = reorganization.reset_to_metadata(ADMIN, root.id, run_id="run")

    state = story.heart.chains.state(root.id)
    assert isinstance(done, Reorganized)
    assert (done.original_blocks, done.resulting_blocks) == (8, 4)
    assert (state.next_offset, state.watermark, state.info) == (0, None, SetInfo(description="kept"))
    assert state.schema is not None
    assert is_sound(story, root)
    assert reorganization.reset_to_metadata(ADMIN, root.id) == NothingToDo()
    assert announced(story)[-1:] == [(RewriteKind.METADATA_ONLY, done.old_head, done.new_head)]
    story.push(root, [reading(1, "Voss")])
    assert [row["city"] for row in rows_of(story.heart, root)] == ["Voss"]


def announced(story: VerifiedStory) -> list[tuple[RewriteKind, Multihash, Multihash]]:
    told = [found.message for found in story.heart.outbox.read("test", limit=99)]
    return [(each.how, each.old_head, each.new_head) for each in told if isinstance(each, DatasetRewritten)]
