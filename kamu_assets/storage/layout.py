"""Where the parts of a dataset lie, relative to its volume (ODF: Dataset Layout).

A folder without `refs/head` is an unfinished dataset and is ignored.
"""

from collections.abc import Iterator
from pathlib import Path

from kamu_assets.errors import InvalidError
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.storage.object_store import ObjectStore

HEAD = "head"
SIDECARS = ".sidecars"
WRITERS = ".writers"


def dataset_folder(dataset: DatasetID) -> str:
    """The folder that holds all of a dataset."""
    return dataset.as_multibase


def blocks_folder(dataset: DatasetID) -> str:
    """Where the blocks are."""
    return f"{dataset_folder(dataset)}/blocks"


def data_folder(dataset: DatasetID) -> str:
    """Where slices and linked objects are."""
    return f"{dataset_folder(dataset)}/data"


def checkpoints_folder(dataset: DatasetID) -> str:
    """Where checkpoints are."""
    return f"{dataset_folder(dataset)}/checkpoints"


def savepoint_folder(volume: ObjectStore, dataset: DatasetID) -> Path:
    """Where a download waits for its ingestion: no part of the dataset, but on its disk."""
    return volume.staging().parent / ".savepoints" / dataset_folder(dataset)


def writers_lock(volume: ObjectStore, dataset: DatasetID) -> Path:
    """What writers of a dataset hold together, and whoever collects its garbage alone."""
    return volume.staging().parent / WRITERS / dataset_folder(dataset)


def sidecar_folder(volume: ObjectStore, dataset: DatasetID) -> Path:
    """Where merges keep what they know of history: derived from slices, no part of the dataset, but on its disk."""
    return volume.staging().parent / SIDECARS / dataset_folder(dataset)


def sidecar_folders(volume: ObjectStore) -> Iterator[Path]:
    """Those of all datasets, also of such that are gone."""
    place = volume.staging().parent / SIDECARS
    return place.iterdir() if place.is_dir() else iter(())


def block_key(dataset: DatasetID, block: Multihash) -> str:
    """A block: manifest bytes."""
    return f"{blocks_folder(dataset)}/{block}"


def data_key(dataset: DatasetID, content: Multihash) -> str:
    """A slice (Parquet) or a linked object, by its physical hash."""
    return f"{data_folder(dataset)}/{content}"


def checkpoint_key(dataset: DatasetID, content: Multihash) -> str:
    """A checkpoint, by its physical hash."""
    return f"{checkpoints_folder(dataset)}/{content}"


def reference_key(dataset: DatasetID, name: str = HEAD) -> str:
    """A reference: the hash as text, no newline."""
    return f"{dataset_folder(dataset)}/refs/{name}"


def head_key(dataset: DatasetID) -> str:
    """The reference that makes a dataset exist."""
    return reference_key(dataset, HEAD)


def alias_key(dataset: DatasetID) -> str:
    """The alias as text, no newline."""
    return f"{dataset_folder(dataset)}/info/alias"


def config_key(dataset: DatasetID) -> str:
    """The `DatasetConfig` manifest (pull and push aliases)."""
    return f"{dataset_folder(dataset)}/info/config"


def stored_datasets(volume: ObjectStore) -> Iterator[DatasetID]:
    """The datasets of a volume that have a head; other folders are skipped."""
    for folder in volume.folders():
        dataset = _dataset_of(folder)
        if dataset is not None and volume.exists(head_key(dataset)):
            yield dataset


def _dataset_of(folder: str) -> DatasetID | None:
    try:
        dataset = DatasetID.from_multibase(folder)
    except InvalidError:
        return None
    return dataset if dataset.as_multibase == folder else None


def is_part_key(key: str) -> bool:
    """Whether the key is one that a dataset may have."""
    _, _, below = key.partition("/")
    return is_object_key(key) or below in {"info/alias", "info/config"} or below.startswith("refs/")


def is_object_key(key: str) -> bool:
    """Whether it is that of a block, a slice, a linked object or a checkpoint."""
    folder, _, name = key.partition("/")[2].partition("/")
    if folder not in {"blocks", "data", "checkpoints"}:
        return False
    try:
        return str(Multihash.parse(name)) == name
    except InvalidError:
        return False
