from pathlib import Path

import pytest

from kamu_assets.odf.identity import DatasetID, DatasetKind
from kamu_assets.odf.multihash import Multihash
from kamu_assets.storage import layout
from kamu_assets.storage.blocks import BlockStore
from kamu_assets.storage.errors import DamagedBlockError, ObjectNotFoundError
from kamu_assets.storage.local import LocalObjectStore
from kamu_assets.storage.memory import MemoryObjectStore
from kamu_assets.storage.object_store import ObjectStore
from kamu_assets.storage.volumes import Volumes

DATASET = DatasetID.seeded(b"foo")
OTHER = DatasetID.seeded(b"bar")


@pytest.fixture(params=["memory", "local"])
def volume(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return MemoryObjectStore() if request.param == "memory" else LocalObjectStore(tmp_path)


def test_keys_are_those_of_the_odf_layout() -> None:
    content = Multihash.sha3_256(b"")
    folder = DATASET.as_multibase

    assert folder.startswith("fed01")
    assert layout.block_key(DATASET, content) == f"{folder}/blocks/{content}"
    assert layout.data_key(DATASET, content) == f"{folder}/data/{content}"
    assert layout.checkpoint_key(DATASET, content) == f"{folder}/checkpoints/{content}"
    assert layout.head_key(DATASET) == f"{folder}/refs/head"
    assert layout.reference_key(DATASET, "tag") == f"{folder}/refs/tag"
    assert layout.alias_key(DATASET) == f"{folder}/info/alias"
    assert layout.config_key(DATASET) == f"{folder}/info/config"


def test_only_folders_with_a_head_are_datasets(volume: ObjectStore) -> None:
    volume.put(layout.head_key(DATASET), b"f1620")
    volume.put(layout.alias_key(OTHER), b"unfinished")
    volume.put("fed01not-an-id/refs/head", b"f1620")
    volume.put(f"{DATASET.as_multibase.upper()}/refs/head", b"another spelling")
    volume.put("other/refs/head", b"f1620")

    assert list(layout.stored_datasets(volume)) == [DATASET]


def test_a_block_is_named_by_its_hash(volume: ObjectStore) -> None:
    blocks = BlockStore(volume)

    block = blocks.put(DATASET, b"manifest")

    assert block == Multihash.sha3_256(b"manifest")
    assert blocks.get(DATASET, block) == b"manifest"
    assert blocks.exists(DATASET, block)
    assert not blocks.exists(OTHER, block)
    assert volume.get(layout.block_key(DATASET, block)) == b"manifest"


def test_a_missing_block_is_told(volume: ObjectStore) -> None:
    with pytest.raises(ObjectNotFoundError):
        BlockStore(volume).get(DATASET, Multihash.sha3_256(b"manifest"))


def test_a_damaged_block_is_not_served_and_heals_when_put_again(volume: ObjectStore) -> None:
    blocks = BlockStore(volume)
    block = blocks.put(DATASET, b"manifest")
    volume.put(layout.block_key(DATASET, block), b"manifold")

    with pytest.raises(DamagedBlockError) as damaged:
        blocks.get(DATASET, block)

    assert damaged.value.actual == Multihash.sha3_256(b"manifold")
    assert blocks.put(DATASET, b"manifest") == block
    assert blocks.get(DATASET, block) == b"manifest"


def test_stored_blocks_are_listed_without_foreign_files(volume: ObjectStore) -> None:
    blocks = BlockStore(volume)
    stored = {blocks.put(DATASET, bytes([number])) for number in range(3)}
    blocks.put(OTHER, b"other")
    volume.put(f"{layout.blocks_folder(DATASET)}/README", b"")

    assert set(blocks.list(DATASET)) == stored


def test_roots_and_derivatives_have_their_own_volumes() -> None:
    root, derivative = MemoryObjectStore(), MemoryObjectStore()
    volumes = Volumes(root, derivative)

    volumes.blocks(DatasetKind.DERIVATIVE).put(DATASET, b"manifest")

    assert volumes.for_kind(DatasetKind.ROOT) is root
    assert volumes.for_kind(DatasetKind.DERIVATIVE) is derivative
    assert list(root.list()) == []
    assert len(list(derivative.list())) == 1
    assert volumes.staging(DatasetKind.ROOT) == root.staging()
    assert volumes.distinct() == (root, derivative)
    assert Volumes(root, root).distinct() == (root,)
