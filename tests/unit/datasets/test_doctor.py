from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from kamu_assets.auth.store import accounts
from kamu_assets.datasets.chains.block_index import blocks
from kamu_assets.datasets.chains.references import references
from kamu_assets.datasets.chains.statistics import statistics
from kamu_assets.datasets.doctor.findings import FindingKind
from kamu_assets.datasets.files import DatasetFiles
from kamu_assets.datasets.lifecycle.removal import Removal
from kamu_assets.datasets.lineage.store import inputs
from kamu_assets.datasets.messages import DatasetCreated
from kamu_assets.datasets.store import datasets
from kamu_assets.odf.dataset import DatasetKind
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.storage.layout import block_key, head_key
from tests.support.builders import START, a_hash, a_transform
from tests.support.heart import ADMIN, Heart, account, an_entry, open_heart

DATASET = an_entry().id


@pytest.fixture
def heart(tmp_path: Path) -> Heart:
    """A root with data and a derivative of it."""
    heart = open_heart(tmp_path)
    heart.dataset()
    heart.add_data(DATASET)
    heart.add_data(DATASET)
    heart.dataset("derived", a_transform(DATASET), kind=DatasetKind.DERIVATIVE)
    return heart


def kinds(heart: Heart, *, dry_run: bool = False) -> list[FindingKind]:
    return [found.kind for found in heart.doctor.repair(dry_run=dry_run)]


def test_a_sound_node_has_nothing_to_repair(heart: Heart) -> None:
    told: list[tuple[int, int]] = []

    assert heart.doctor.repair(on_progress=lambda done, total: told.append((done, total))) == []
    assert told == [(1, 2), (2, 2)]


@pytest.mark.parametrize("written", ["f1620" + "00" * 32, "", "rubbish", None])
def test_the_reference_file_follows_sql(heart: Heart, written: str | None) -> None:
    store = heart.volumes.root
    if written is None:
        store.delete(head_key(DATASET))
    else:
        store.put(head_key(DATASET), written.encode())

    assert kinds(heart, dry_run=True) == [FindingKind.HEAD]
    [found] = heart.doctor.repair()

    assert found.repaired
    assert store.get(head_key(DATASET)) == str(heart.chains.head(DATASET)).encode()
    assert kinds(heart) == []


def test_a_head_that_cannot_be_written_stops_no_other_repair(heart: Heart) -> None:
    head = Path(heart.volumes.root.location(head_key(DATASET)))
    head.unlink()
    head.mkdir()
    with heart.database.transaction() as tx:
        tx.execute(delete(statistics))

    assert heart.datasets.repair_heads() == []
    found = heart.doctor.repair()

    assert [(finding.kind, finding.repaired) for finding in found if finding.dataset == DATASET] == [
        (FindingKind.HEAD, False),
        (FindingKind.ROWS, True),
    ]
    assert "it is a folder" in found[0].message


def test_a_folder_that_is_a_loop_stops_no_other_repair(heart: Heart) -> None:
    folder = Path(heart.volumes.root.location(head_key(DATASET))).parent.parent / "data"
    folder.rename(folder.with_name("moved"))
    folder.symlink_to(folder.name)

    found = heart.doctor.repair()

    assert {(finding.kind, finding.dataset, finding.repaired) for finding in found} == {
        (FindingKind.DAMAGED, DATASET, False)
    }


def test_index_sums_and_inputs_are_rebuilt_from_the_blocks(heart: Heart) -> None:
    sound = [heart.datasets.summaries(ADMIN), heart.datasets.dependents(ADMIN, DATASET)]
    with heart.database.transaction() as tx:
        tx.execute(delete(blocks).where(blocks.c.sequence_number == 1))
        tx.execute(update(statistics).values(records=7))
        tx.execute(delete(inputs))

    assert kinds(heart, dry_run=True) == [FindingKind.ROWS, FindingKind.ROWS]
    found = heart.doctor.repair()

    assert [(finding.kind, finding.repaired) for finding in found] == [(FindingKind.ROWS, True)] * 2
    assert any("block index, statistics, inputs" in finding.message for finding in found)
    assert [heart.datasets.summaries(ADMIN), heart.datasets.dependents(ADMIN, DATASET)] == sound
    assert kinds(heart) == []


def test_a_head_that_sql_lost_is_taken_from_the_file(heart: Heart) -> None:
    head = heart.chains.head(DATASET)
    with heart.database.transaction() as tx:
        tx.execute(delete(references))

    found = kinds(heart)

    assert found == [FindingKind.HEAD] * 2
    assert heart.chains.head(DATASET) == head


def test_a_registry_that_was_lost_comes_back_from_the_store(tmp_path: Path, heart: Heart) -> None:
    sound = heart.datasets.summaries(ADMIN)
    heart.database.close()
    for file in tmp_path.glob("node.db*"):
        file.unlink()
    heart = open_heart(tmp_path)

    looked = heart.doctor.repair(dry_run=True)
    assert heart.datasets.list(ADMIN) == []
    found = heart.doctor.repair()

    assert [(finding.kind, finding.repaired) for finding in looked] == [(FindingKind.UNREGISTERED, False)] * 2
    assert [(finding.kind, finding.repaired) for finding in found] == [(FindingKind.UNREGISTERED, True)] * 2
    assert "registered as 'kamu/" in found[0].message
    assert heart.datasets.summaries(ADMIN) == sound
    assert {type(delivery.message) for delivery in heart.outbox.read("test")} == {DatasetCreated}
    assert heart.add_data(DATASET) == heart.chains.head(DATASET)


def test_datasets_of_a_lost_account_go_to_the_admin(heart: Heart) -> None:
    entry = replace(an_entry("theirs", owner=account("alice")))
    heart.committer.create(entry, [], system_time=START)
    _forget(heart, entry.id)
    with heart.database.transaction() as tx:
        tx.execute(delete(accounts).where(accounts.c.folded_name == "alice"))

    [found] = heart.doctor.repair()

    assert "registered as 'kamu/theirs'" in found.message
    assert "account alice does not exist" in found.message
    assert DatasetFiles.of(heart.volumes, entry).alias() == DatasetAlias.parse("kamu/theirs")


def test_a_dataset_without_a_readable_name_gets_one(heart: Heart) -> None:
    _forget(heart, DATASET)
    heart.volumes.root.put(f"{DATASET.as_multibase}/info/alias", b"../../x")

    [found] = [finding for finding in heart.doctor.repair() if finding.kind is FindingKind.UNREGISTERED]

    assert found.repaired
    assert "registered as 'kamu/recovered-" in found.message


def test_a_lost_dataset_whose_name_is_taken_is_reported(heart: Heart) -> None:
    _forget(heart, DATASET)
    heart.committer.create(replace(an_entry("other"), name=an_entry().name), [], system_time=START)

    [found] = [finding for finding in heart.doctor.repair() if finding.kind is FindingKind.UNREGISTERED]

    assert not found.repaired
    assert "already exists" in found.message


def test_a_folder_without_a_head_is_no_dataset(heart: Heart) -> None:
    unfinished = an_entry("unfinished")
    heart.volumes.root.put(block_key(unfinished.id, a_hash()), b"block")

    assert kinds(heart) == []
    assert len(heart.datasets.list(ADMIN)) == 2


def test_an_interrupted_deletion_is_finished_not_undone(heart: Heart, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(self: Removal, dataset: DatasetID) -> None:
        raise KeyboardInterrupt

    derived = an_entry("derived").id
    with monkeypatch.context() as patch:
        patch.setattr(Removal, "finish", die)
        with pytest.raises(KeyboardInterrupt):
            heart.datasets.delete(ADMIN, derived)
    assert DatasetFiles(heart.volumes.root, derived).head() is not None

    found = kinds(heart)

    assert found == [FindingKind.UNFINISHED_REMOVAL]
    assert list(heart.volumes.root.list(f"{derived.as_multibase}/")) == []
    assert [entry.id for entry in heart.datasets.list(ADMIN)] == [DATASET]
    assert kinds(heart) == []


def test_damage_is_reported_with_the_block_and_left_alone(heart: Heart) -> None:
    head = heart.chains.head(DATASET)
    heart.volumes.root.put(block_key(DATASET, head), b"not a block")

    [found] = heart.doctor.repair()

    assert (found.kind, found.repaired) == (FindingKind.DAMAGED, False)
    assert str(head) in found.message
    assert heart.chains.head(DATASET) == head


def test_a_store_that_lost_its_newest_block_keeps_the_head_it_can_serve(heart: Heart) -> None:
    store = heart.volumes.root
    written = str(heart.chains.state(DATASET).head).encode()
    lost = heart.add_data(DATASET)
    store.delete(block_key(DATASET, lost))
    store.put(head_key(DATASET), written)

    heart.datasets.repair_heads()
    [found] = heart.doctor.repair()

    assert (found.kind, found.repaired) == (FindingKind.DAMAGED, False)
    assert str(lost) in found.message
    assert store.get(head_key(DATASET)) == written


def test_a_slice_that_is_gone_is_reported(heart: Heart) -> None:
    folder = Path(heart.datasets.storage_location(an_entry()))
    gone = min((folder / "data").iterdir())
    gone.unlink()

    [found] = heart.doctor.repair()

    assert found.kind is FindingKind.DAMAGED
    assert gone.name in found.message


def test_files_nobody_needs_are_counted_and_kept(heart: Heart) -> None:
    heart.volumes.root.put(block_key(DATASET, a_hash()), b"a loser's block")

    [found] = heart.doctor.repair()

    assert found.kind is FindingKind.UNREACHABLE
    assert "1 files (15 bytes)" in found.message
    assert heart.volumes.root.exists(block_key(DATASET, a_hash()))


def test_old_files_of_dead_writers_are_removed(tmp_path: Path, heart: Heart) -> None:
    folder = Path(heart.datasets.storage_location(an_entry())) / "data"
    old, fresh = folder / ".pending-0123456789abcdef", folder / ".pending-fedcba9876543210"
    for path in (old, fresh):
        path.write_bytes(b"half")
    yesterday = time.time() - 86_400
    os.utime(old, (yesterday, yesterday))

    found = kinds(heart)

    assert found == [FindingKind.LEFTOVERS]
    assert not old.exists()
    assert fresh.exists()


def _forget(heart: Heart, dataset: DatasetID) -> None:
    """What is left of a dataset when its rows are lost."""
    with heart.database.transaction() as tx:
        for table in (blocks, statistics, references):
            tx.execute(delete(table).where(table.c.dataset_id == dataset))
        tx.execute(delete(datasets).where(datasets.c.id == dataset))
