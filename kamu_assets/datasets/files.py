"""The files of one dataset in its volume."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Self

from kamu_assets.datasets.errors import DamagedDatasetError, DanglingObjectError
from kamu_assets.datasets.model import DatasetEntry, IndexedBlock, NewCheckpoint, NewObject, NewSlice
from kamu_assets.errors import InvalidError
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.odf.multihash import Multicodec, Multihash
from kamu_assets.storage.errors import ObjectNotFoundError
from kamu_assets.storage.layout import (
    alias_key,
    block_key,
    blocks_folder,
    checkpoint_key,
    checkpoints_folder,
    data_folder,
    data_key,
    dataset_folder,
    head_key,
)
from kamu_assets.storage.object_store import ObjectInfo, ObjectStore
from kamu_assets.storage.volumes import Volumes

_HASHES = {Multicodec.SHA3_256: hashlib.sha3_256, Multicodec.SHA2_256: hashlib.sha256}


class DatasetFiles:
    """Reads and writes by the ODF layout; knows nothing of SQL."""

    def __init__(self, volume: ObjectStore, dataset: DatasetID) -> None:
        self._volume = volume
        self._dataset = dataset

    @classmethod
    def of(cls, volumes: Volumes, entry: DatasetEntry) -> Self:
        """The files of a dataset in the volume of its kind."""
        return cls(volumes.for_kind(entry.kind), entry.id)

    def head(self) -> Multihash | None:
        """What `refs/head` says."""
        text = self._text(head_key(self._dataset))
        return None if text is None else parse_hash(text, f"{dataset_folder(self._dataset)}/refs/head")

    def write_head(self, head: Multihash) -> None:
        """Set `refs/head`, which makes the dataset exist for whoever looks at files.

        Without waiting for the disk: a start after a power cut sets it again from SQL.
        """
        self._volume.put(head_key(self._dataset), str(head).encode(), lasting=False)

    def remove_head(self) -> None:
        self._volume.delete(head_key(self._dataset))

    def alias(self) -> DatasetAlias | None:
        """What `info/alias` says."""
        text = self._text(alias_key(self._dataset))
        return None if text is None else parse_alias(text, f"{dataset_folder(self._dataset)}/info/alias")

    def write_alias(self, alias: DatasetAlias) -> None:
        self._volume.put(alias_key(self._dataset), str(alias).encode())

    def take_over(self, item: NewObject) -> None:
        """Move a finished file to where its hash says."""
        found = item.path.stat().st_size
        if found != item.size:
            raise DanglingObjectError(str(item.path), item.physical_hash, f"has {found} bytes, not {item.size}")
        self._volume.put_file(item.path, self._key_of(item))

    def check_objects(self, block: IndexedBlock) -> None:
        """Raise unless the objects that a block names are stored, with their size."""
        for what, key, name, size in self._objects(block):
            self._check_size(what, key, name, size)

    def check_contents(self, block: IndexedBlock, *, on_bytes: Callable[[int], None]) -> None:
        """The same, and their bytes hash to their names."""
        for what, key, name, size in self._objects(block):
            self._check_size(what, key, name, size)
            self._check_hash(what, key, name, on_bytes)

    def unreachable(self, blocks: Sequence[IndexedBlock]) -> Sequence[ObjectInfo]:
        """Blocks, slices and checkpoints that none of these blocks is or names."""
        named = self.named(blocks)
        folders = (blocks_folder(self._dataset), data_folder(self._dataset), checkpoints_folder(self._dataset))
        found = (item for folder in folders for item in self._volume.list(f"{folder}/"))
        return [item for item in found if item.key not in named]

    def named(self, blocks: Iterable[IndexedBlock]) -> set[str]:
        """The keys of these blocks and of the objects that they name."""
        found: set[str] = set()
        for block in blocks:
            found.add(block_key(self._dataset, block.block_hash))
            found.update(key for _, key, _, _ in self._objects(block))
        return found

    def remove_all(self) -> None:
        """Remove everything, the head first: without it the rest is no dataset."""
        self.remove_head()
        for found in list(self._volume.list(f"{dataset_folder(self._dataset)}/")):
            self._volume.delete(found.key)

    def _check_size(self, what: str, key: str, name: Multihash, size: int) -> None:
        try:
            found = self._volume.stat(key).size
        except ObjectNotFoundError as error:
            raise DanglingObjectError(what, name, "is not there") from error
        if found != size:
            raise DanglingObjectError(what, name, f"has {found} bytes, not {size}")

    def _check_hash(self, what: str, key: str, name: Multihash, on_bytes: Callable[[int], None]) -> None:
        if name.codec not in _HASHES:
            raise DanglingObjectError(what, name, f"is named by {name.codec.codec_name}, which names no files")
        digest = _HASHES[name.codec]()
        for chunk in self._volume.stream(key):
            digest.update(chunk)
            on_bytes(len(chunk))
        actual = Multihash(name.codec, digest.digest())
        if actual != name:
            raise DanglingObjectError(what, name, f"is damaged: its bytes hash to {actual}")

    def _objects(self, block: IndexedBlock) -> list[tuple[str, str, Multihash, int]]:
        where = f"(block {block.sequence_number}, {block.block_hash})"
        found = []
        if block.data is not None and block.data.data_slice is not None:
            part = block.data.data_slice
            name = part.physical_hash
            found.append((f"data slice {where}", data_key(self._dataset, name), name, part.size))
        if block.data is not None and block.data.checkpoint is not None:
            state = block.data.checkpoint
            name = state.physical_hash
            found.append((f"checkpoint {where}", checkpoint_key(self._dataset, name), name, state.size))
        return found

    def _key_of(self, item: NewObject) -> str:
        match item:
            case NewSlice():
                return data_key(self._dataset, item.physical_hash)
            case NewCheckpoint():
                return checkpoint_key(self._dataset, item.physical_hash)

    def _text(self, key: str) -> str | None:
        try:
            return self._volume.get(key).decode()
        except ObjectNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise DamagedDatasetError(key, "is not text") from error


def parse_hash(text: str, where: str) -> Multihash:
    """The hash that a file holds."""
    try:
        return Multihash.parse(text.strip())
    except InvalidError as error:
        raise DamagedDatasetError(where, f"{text[:80]!r} is not a hash") from error


def parse_alias(text: str, where: str) -> DatasetAlias:
    """The name that a file holds."""
    try:
        return DatasetAlias.parse(text.strip())
    except InvalidError as error:
        raise DamagedDatasetError(where, f"{text[:80]!r} is not a dataset alias") from error
