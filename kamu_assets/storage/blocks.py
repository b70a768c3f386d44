"""Blocks as the bytes they came in, named by their hash (ODF: Metadata Chain)."""

from collections.abc import Iterator

from kamu_assets.errors import InvalidError
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.storage.errors import DamagedBlockError
from kamu_assets.storage.layout import block_key, blocks_folder
from kamu_assets.storage.object_store import ObjectStore


class BlockStore:
    """The blocks of the datasets of one volume."""

    def __init__(self, volume: ObjectStore) -> None:
        self._volume = volume

    def get(self, dataset: DatasetID, block: Multihash) -> bytes:
        """The bytes of a block, checked against its hash; ObjectNotFoundError, DamagedBlockError."""
        data = self._volume.get(block_key(dataset, block))
        actual = Multihash.sha3_256(data)
        if actual != block:
            raise DamagedBlockError(dataset, block, actual)
        return data

    def exists(self, dataset: DatasetID, block: Multihash) -> bool:
        """Whether the block is there."""
        return self._volume.exists(block_key(dataset, block))

    def put(self, dataset: DatasetID, data: bytes) -> Multihash:
        """Store a block durably and tell its hash; doing so again is harmless and heals a damaged one."""
        block = Multihash.sha3_256(data)
        self._volume.put(block_key(dataset, block), data)
        return block

    def list(self, dataset: DatasetID) -> Iterator[Multihash]:
        """The hashes of all stored blocks, in or out of the chain, in no useful order."""
        folder = f"{blocks_folder(dataset)}/"
        for found in self._volume.list(folder):
            block = _block_of(found.key.removeprefix(folder))
            if block is not None:
                yield block


def _block_of(name: str) -> Multihash | None:
    try:
        return Multihash.parse(name)
    except InvalidError:
        return None
