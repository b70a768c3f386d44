"""Garbage goes when its time has come, and nothing else does."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from kamu_assets.auth.model import Caller
from kamu_assets.coordinator import garbage
from kamu_assets.coordinator.garbage import Collected, CollectOptions, GarbageCollection
from kamu_assets.coordinator.garbage_reach import reach_of
from kamu_assets.coordinator.resetting import ResetOptions
from kamu_assets.datasets.chains.former_heads import FormerHeads
from kamu_assets.datasets.commit.committer import CommitStep
from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.errors import DeniedError
from kamu_assets.odf.data import DataField, ExtraAttributes, OptionType, StringType
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp
from tests.support.builders import a_schema
from tests.support.coordination import a_reorganization
from tests.support.heart import ADMIN, Heart, account, an_entry, open_heart
from tests.support.verifier.dataset import verify

NOW = CollectOptions(grace_seconds=0)
HOUR = 3_600


def collection(heart: Heart) -> GarbageCollection:
    return GarbageCollection(heart.datasets, heart.database, heart.volumes, heart.clock)


def folder_of(heart: Heart, entry: DatasetEntry) -> Path:
    return Path(heart.datasets.storage_location(entry))


def files_of(heart: Heart, entry: DatasetEntry) -> set[str]:
    folder = folder_of(heart, entry)
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def make_old(heart: Heart, entry: DatasetEntry) -> None:
    for name in files_of(heart, entry):
        os.utime(folder_of(heart, entry) / name, (time.time() - 100 * HOUR,) * 2)


def later(heart: Heart, seconds: int) -> None:
    heart.clock.set(Timestamp(heart.clock.now().ns + seconds * 1_000_000_000))


def is_sound(heart: Heart, entry: DatasetEntry) -> bool:
    verify(folder_of(heart, entry))
    return heart.doctor.repair(dry_run=True) == []


@pytest.fixture
def entry(heart: Heart) -> DatasetEntry:
    """With two slices, and as many that a reset left."""
    entry = heart.dataset()
    heads = [heart.add_data(entry.id) for _ in range(4)]
    a_reorganization(heart).reset(ADMIN, entry.id, ResetOptions(new_head=heads[1]))
    return entry


def test_what_a_reset_left_goes(heart: Heart, entry: DatasetEntry) -> None:
    summary, before = heart.datasets.summary(ADMIN, entry.id), files_of(heart, entry)
    told: list[tuple[int, int]] = []

    found = collection(heart).collect(
        ADMIN, entry.id, CollectOptions(grace_seconds=0, on_files=lambda done, all_: told.append((done, all_)))
    )

    gone = before - files_of(heart, entry)
    assert (found.removed, len(gone), found.kept, found.is_busy) == (4, 4, 0, False)
    assert {name.partition("/")[0] for name in gone} == {"blocks", "data"}
    assert told == [(4, 4)]
    assert heart.datasets.summary(ADMIN, entry.id) == summary
    assert is_sound(heart, entry)
    assert collection(heart).collect(ADMIN, entry.id, NOW) == Collected()


def test_a_dry_run_tells_the_same_and_does_nothing(heart: Heart, entry: DatasetEntry) -> None:
    before = files_of(heart, entry)

    told = collection(heart).collect(ADMIN, entry.id, CollectOptions(grace_seconds=0, dry_run=True))

    assert files_of(heart, entry) == before
    assert collection(heart).collect(ADMIN, entry.id, NOW) == told
    assert told.removed_bytes > 0


def test_what_was_replaced_a_short_while_ago_is_kept_however_old_it_is(heart: Heart, entry: DatasetEntry) -> None:
    make_old(heart, entry)
    later(heart, HOUR - 1)

    found = collection(heart).collect(ADMIN, entry.id, CollectOptions(grace_seconds=HOUR))
    assert (found.removed, found.kept) == (0, 4)

    later(heart, 2)
    found = collection(heart).collect(ADMIN, entry.id, CollectOptions(grace_seconds=HOUR))
    assert (found.removed, found.kept) == (4, 0)
    with heart.database.reading() as tx:
        assert FormerHeads().all(tx, entry.id) == []


def test_what_was_written_a_short_while_ago_is_kept(heart: Heart) -> None:
    entry = heart.dataset()
    lost = heart.volumes.blocks(entry.kind).put(entry.id, b"of a commit that was refused")

    found = collection(heart).collect(ADMIN, entry.id, CollectOptions(grace_seconds=HOUR))
    assert (found.removed, found.kept) == (0, 1)

    make_old(heart, entry)
    found = collection(heart).collect(ADMIN, entry.id, CollectOptions(grace_seconds=HOUR))
    assert (found.removed, found.kept) == (1, 0)
    assert not heart.volumes.blocks(entry.kind).exists(entry.id, lost)


def test_what_is_not_ours_is_named_and_left(heart: Heart, entry: DatasetEntry) -> None:
    folder = folder_of(heart, entry)
    foreign = ("data/notes.txt", "blocks/f1620", "extra/file", "README")
    for name in foreign:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"mine")

    found = collection(heart).collect(ADMIN, entry.id, NOW)

    assert {key.partition("/")[2] for key in found.foreign} == {
        "data/notes.txt",
        "blocks/f1620",
        "extra/file",
        "README",
    }
    assert found.removed == 4
    assert (folder / "data/notes.txt").exists()


def test_what_rows_link_is_kept(heart: Heart) -> None:
    """Whose it is only rows could tell; slices and blocks go all the same."""
    link = ExtraAttributes({"opendatafabric.org/type": {"kind": "ObjectLink", "linkType": {"kind": "Multihash"}}})
    entry = heart.dataset("files", a_schema(DataField(name="file", type=OptionType(inner=StringType()), extra=link)))
    head = heart.add_data(entry.id)
    heart.add_data(entry.id)
    a_reorganization(heart).reset(ADMIN, entry.id, ResetOptions(new_head=head))
    linked = folder_of(heart, entry) / "data" / str(Multihash.sha3_256(b"a photo"))
    linked.write_bytes(b"a photo")

    found = collection(heart).collect(ADMIN, entry.id, NOW)

    assert (found.removed, found.kept) == (2, 1)
    assert linked.exists()


@pytest.mark.parametrize("step", [CommitStep.FILE_STORED, CommitStep.BLOCK_STORED, CommitStep.ROWS_WRITTEN])
def test_what_a_commit_under_way_has_stored_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: CommitStep
) -> None:
    monkeypatch.setattr(garbage, "_PATIENCE_SECONDS", 0.05)
    found: list[Collected] = []

    def meanwhile(at: CommitStep) -> None:
        if at is step and watching:
            watching.clear()
            other = threading.Thread(
                target=lambda: found.append(collection(looking).collect(ADMIN, an_entry().id, NOW))
            )
            other.start()
            other.join()

    watching: list[bool] = []
    heart, looking = open_heart(tmp_path, on_step=meanwhile), open_heart(tmp_path)
    entry = heart.dataset()
    watching.append(True)

    heart.add_data(entry.id)

    assert [each.is_busy for each in found] == [True]
    assert is_sound(heart, entry)
    heart.database.close()
    looking.database.close()


def test_a_file_that_is_named_again_meanwhile_is_kept(
    heart: Heart, entry: DatasetEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same data comes once more: the store has its files already and writes none anew."""
    look = reach_of

    def look_and_wait(*arguments: object, **options: object) -> object:
        reach = look(*arguments, **options)  # type: ignore[arg-type] # handed on
        again.append(heart.add_data(entry.id))
        return reach

    again: list[Multihash] = []
    monkeypatch.setattr("kamu_assets.coordinator.garbage.reach_of", look_and_wait)

    found = collection(heart).collect(ADMIN, entry.id, NOW)

    assert heart.chains.head(entry.id) == again[0]
    # The third slice and its block are a part of the chain again.
    assert found.removed == 2
    assert is_sound(heart, entry)


def test_a_dataset_that_is_deleted_meanwhile_is_gone(
    heart: Heart, entry: DatasetEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = reach_of

    def look_and_delete(*arguments: object, **options: object) -> object:
        reach = look(*arguments, **options)  # type: ignore[arg-type] # handed on
        heart.datasets.delete(ADMIN, entry.id)
        return reach

    monkeypatch.setattr("kamu_assets.coordinator.garbage.reach_of", look_and_delete)

    with pytest.raises(DatasetNotFoundError):
        collection(heart).collect(ADMIN, entry.id, NOW)
    assert not folder_of(heart, entry).exists()


def test_only_maintainers_collect(heart: Heart, entry: DatasetEntry) -> None:
    with pytest.raises(DeniedError, match="maintain dataset"):
        collection(heart).collect(Caller(account("alice")), entry.id, NOW)
