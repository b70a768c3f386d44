from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from kamu_assets.datasets.commit.committer import CommitStep
from kamu_assets.datasets.errors import (
    CyclicDependencyError,
    DanglingObjectError,
    DatasetNotFoundError,
    HeadMovedError,
    MissingInputsError,
    NameCollisionError,
)
from kamu_assets.datasets.files import DatasetFiles
from kamu_assets.datasets.messages import DatasetCreated, DatasetUpdated
from kamu_assets.durability import Durability
from kamu_assets.odf.chain_errors import NoOpEventError
from kamu_assets.odf.dataset import AddData, SetInfo
from kamu_assets.odf.identity import DatasetKind
from kamu_assets.odf.serde.flatbuffers import encode_block
from kamu_assets.storage.errors import StorageFullError
from kamu_assets.storage.layout import block_key
from kamu_assets.storage.local import LocalObjectStore
from kamu_assets.storage.object_store import Condition, ObjectInfo
from tests.support.builders import START, a_block, a_dataset_id, a_schema, a_transform, some_data
from tests.support.heart import ADMIN, Heart, an_entry, open_heart, that_adds

DATASET = an_entry().id
INFO = SetInfo(description="new")


def test_a_commit_moves_the_head_and_announces_it(heart: Heart) -> None:
    heart.dataset()
    old = heart.chains.head(DATASET)

    result = heart.committer.commit(DATASET, expected_head=old, events=[INFO, INFO], system_time=START, run_id="run-1")

    assert (result.old_head, result.new_head) == (old, heart.chains.head(DATASET))
    assert (result.blocks, result.records) == (2, 0)
    assert DatasetFiles(heart.volumes.root, DATASET).head() == result.new_head
    created, updated = [delivery.message for delivery in heart.outbox.read("test")]
    assert isinstance(created, DatasetCreated)
    assert isinstance(updated, DatasetUpdated)
    assert (updated.old_head, updated.new_head, updated.run_id) == (old, result.new_head, "run-1")
    assert updated.event_kinds == ("SetInfo", "SetInfo")


def test_a_commit_upon_an_older_head_changes_nothing(heart: Heart) -> None:
    heart.dataset()
    old = heart.chains.head(DATASET)
    head = heart.add_data(DATASET)

    with pytest.raises(HeadMovedError) as lost:
        heart.committer.commit(DATASET, expected_head=old, events=[INFO], system_time=START)

    assert (lost.value.expected, lost.value.actual) == (old, head)
    assert heart.chains.head(DATASET) == head


def test_a_loser_between_sealing_and_the_transaction_leaves_only_unreachable_files(tmp_path: Path) -> None:
    winner = open_heart(tmp_path)
    winner.dataset()
    rival = [lambda: winner.committer.commit(DATASET, expected_head=None, events=[INFO], system_time=START)]

    def let_the_rival_win(step: CommitStep) -> None:
        if step is CommitStep.BLOCK_STORED and rival:
            rival.pop()()

    loser = open_heart(tmp_path, on_step=let_the_rival_win)

    with pytest.raises(HeadMovedError):
        loser.add_data(DATASET)

    assert winner.datasets.summary(ADMIN, DATASET).statistics.records == 0
    assert [found.kind for found in winner.doctor.repair(dry_run=True)] == ["unreachable"]
    assert winner.chains.state(DATASET).info == INFO


def test_a_broken_rule_stores_nothing(heart: Heart, tmp_path: Path) -> None:
    heart.dataset()
    before = sorted(tmp_path.rglob("f1620*"))

    with pytest.raises(NoOpEventError):
        heart.committer.commit(DATASET, expected_head=None, events=[INFO, AddData()], system_time=START)

    assert sorted(tmp_path.rglob("f1620*")) == before
    assert heart.chains.state(DATASET).info is None


def test_a_block_may_not_name_a_slice_that_is_not_there(heart: Heart) -> None:
    heart.dataset()

    with pytest.raises(DanglingObjectError, match=r"data slice .* is not there"):
        heart.committer.commit(DATASET, expected_head=None, events=[some_data()], system_time=START)

    assert heart.chains.state(DATASET).last_data is None


def test_a_file_of_another_size_than_stated_is_refused(heart: Heart) -> None:
    heart.dataset()
    new = heart.a_slice(start=0)
    event = that_adds(new, heart.chains.state(DATASET))
    new.path.write_bytes(b"cut off")

    with pytest.raises(DanglingObjectError, match="has 7 bytes"):
        heart.committer.commit(DATASET, expected_head=None, events=[event], files=[new], system_time=START)


def test_received_blocks_are_kept_as_the_bytes_they_came_in(heart: Heart) -> None:
    heart.dataset()
    raw = encode_block(a_block(INFO, after=heart.chains.state(DATASET)), version=2)

    result = heart.committer.commit_received(DATASET, expected_head=None, raw_blocks=[raw])

    assert heart.volumes.root.get(block_key(DATASET, result.new_head)) == raw


def test_an_unknown_dataset_is_told(heart: Heart) -> None:
    with pytest.raises(DatasetNotFoundError):
        heart.committer.commit(a_dataset_id("nobody"), expected_head=None, events=[INFO], system_time=START)


def test_a_creation_that_fails_leaves_no_folder(heart: Heart) -> None:
    entry = an_entry("derived", kind=DatasetKind.DERIVATIVE)

    with pytest.raises(MissingInputsError, match=str(a_dataset_id("nobody"))):
        heart.committer.create(entry, [a_transform(a_dataset_id("nobody"))], system_time=START)

    assert list(heart.volumes.root.list()) == []
    assert heart.datasets.list(ADMIN) == []


def test_a_creation_does_not_touch_the_dataset_whose_name_it_wants(heart: Heart) -> None:
    heart.dataset("weather")
    before = list(heart.volumes.root.list())

    with pytest.raises(NameCollisionError):
        heart.committer.create(an_entry("WEATHER"), [a_schema()], system_time=START)

    assert list(heart.volumes.root.list()) == before


def test_a_transform_may_not_close_a_loop(heart: Heart) -> None:
    root = heart.dataset("root")
    first = heart.dataset("first", a_transform(root.id), kind=DatasetKind.DERIVATIVE)
    second = heart.dataset("second", a_transform(first.id), kind=DatasetKind.DERIVATIVE)

    with pytest.raises(CyclicDependencyError, match="kamu/first → kamu/second → kamu/first"):
        heart.committer.commit(first.id, expected_head=None, events=[a_transform(second.id)], system_time=START)

    assert [entry.id for entry in heart.datasets.inputs(ADMIN, first.id)] == [root.id]
    assert [entry.id for entry in heart.datasets.dependents(ADMIN, first.id)] == [second.id]


class FullDisk(LocalObjectStore):
    """Has room for so many more writes."""

    room = 10**6

    def put(self, key: str, data: bytes, *, condition: Condition | None = None, lasting: bool = True) -> ObjectInfo:
        self._take()
        return super().put(key, data, condition=condition, lasting=lasting)

    def put_file(self, path: Path, key: str) -> ObjectInfo:
        self._take()
        return super().put_file(path, key)

    def _take(self) -> None:
        self.room -= 1
        if self.room < 0:
            raise StorageFullError(self._root)


@pytest.mark.parametrize("room", [0, 1])
def test_a_full_disk_leaves_the_dataset_as_it_was(tmp_path: Path, room: int) -> None:
    heart = open_heart(tmp_path, store_class=FullDisk)
    heart.dataset()
    head = heart.chains.head(DATASET)
    disk = heart.volumes.root
    assert isinstance(disk, FullDisk)
    disk.room = room

    with pytest.raises(StorageFullError, match="no space left"):
        heart.add_data(DATASET)

    disk.room = 100
    assert heart.chains.head(DATASET) == head
    assert heart.add_data(DATASET) == heart.chains.head(DATASET)


def test_a_head_that_cannot_be_written_as_a_file_is_repaired_later(tmp_path: Path) -> None:
    heart = open_heart(tmp_path, store_class=FullDisk)
    heart.dataset()
    disk = heart.volumes.root
    assert isinstance(disk, FullDisk)
    disk.room = 2

    head = heart.add_data(DATASET)

    disk.room = 100
    assert heart.chains.head(DATASET) == head
    assert [entry.id for entry in heart.datasets.repair_heads()] == [DATASET]
    assert DatasetFiles(disk, DATASET).head() == head


def test_everything_is_synced_before_the_head_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = Syncs(monkeypatch)
    unsynced: list[Path] = []
    seen: set[str] = set()

    def look(step: CommitStep) -> None:
        if step is CommitStep.HEAD_MOVED:
            folder = Path(heart.volumes.root.location(DATASET.as_multibase))
            there = [folder, *folder.rglob("*")]
            unsynced.extend(path for path in there if path.name != "head" and not syncs.survive(path))
            seen.update(path.parent.name for path in there if path.is_file())

    heart = open_heart(tmp_path, durability=Durability.FULL, on_step=look)
    heart.dataset()
    heart.add_data(DATASET)

    assert seen >= {"blocks", "data", "info"}
    assert unsynced == []


class Syncs:
    """Which contents and which names of files have been synced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._contents: set[int] = set()
        self._names: set[tuple[int, str]] = set()
        self._sync: Callable[[int], None] = os.fsync
        monkeypatch.setattr(os, "fsync", self._watch)

    def survive(self, path: Path) -> bool:
        """Whether a power cut would leave this file or folder where it is."""
        named = (path.parent.stat().st_ino, path.name) in self._names
        return named and (path.is_dir() or path.stat().st_ino in self._contents)

    def _watch(self, descriptor: int) -> None:
        self._sync(descriptor)
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            self._names.update((status.st_ino, name) for name in os.listdir(descriptor))
        else:
            self._contents.add(status.st_ino)
