"""Reads the chain of a dataset from its files alone and judges it as if it were appended block by block."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kamu_assets.datasets.commit.sealing import append_received
from kamu_assets.datasets.errors import DamagedDatasetError
from kamu_assets.datasets.model import IndexedBlock
from kamu_assets.errors import KamuError
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import Seed
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import decode_header

ReadBlock = Callable[[Multihash], bytes]


@dataclass(frozen=True, slots=True)
class StoredChain:
    """A whole chain that holds."""

    state: ChainState
    blocks: Sequence[IndexedBlock]

    @property
    def seed(self) -> Seed:
        """The first event."""
        if self.state.seed is None:
            raise ValueError("a chain starts with a Seed")
        return self.state.seed

    @property
    def head(self) -> Multihash:
        """The hash of the newest block."""
        return self.blocks[-1].block_hash


def read_chain(head: Multihash, read: ReadBlock) -> StoredChain:
    """Every block from the Seed to the head, each checked against its hash and every rule of the chain.

    DamagedDatasetError names the block that is missing, damaged or not allowed.
    """
    state, blocks = ChainState.empty(), []
    for sequence, name in enumerate(hashes_to(head, read)):
        try:
            sealed, state = append_received(state, _checked(name, read(name)))
        except DamagedDatasetError:
            raise
        except KamuError as error:
            raise DamagedDatasetError(f"block {sequence} ({name})", str(error)) from error
        blocks.append(sealed.indexed)
    return StoredChain(state, blocks)


def hashes_to(head: Multihash, read: ReadBlock) -> Sequence[Multihash]:
    """The hashes of the chain, the Seed's first, by the links in the blocks' headers."""
    found: dict[Multihash, None] = {}
    name: Multihash | None = head
    while name is not None:
        if name in found:
            raise DamagedDatasetError(f"block {name}", "the chain comes back to it")
        found[name] = None
        name = _previous(name, read)
    return list(reversed(found))


def _previous(name: Multihash, read: ReadBlock) -> Multihash | None:
    try:
        return decode_header(_checked(name, read(name))).prev_block_hash
    except DamagedDatasetError:
        raise
    except KamuError as error:
        raise DamagedDatasetError(f"block {name}", str(error)) from error


def _checked(name: Multihash, raw: bytes) -> bytes:
    actual = Multihash.sha3_256(raw)
    if actual != name:
        raise DamagedDatasetError(f"block {name}", f"is damaged: its bytes hash to {actual}")
    return raw
