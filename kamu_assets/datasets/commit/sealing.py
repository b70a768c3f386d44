"""From events to the blocks that follow a chain: pure, every rule checked before a byte is stored."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kamu_assets.datasets.chains.block_rows import index_block
from kamu_assets.datasets.model import IndexedBlock
from kamu_assets.odf.chain_rules import check_append
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import MetadataBlock, MetadataEvent
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import block_hash, decode_block, decode_header, encode_block
from kamu_assets.odf.timestamp import Timestamp


@dataclass(frozen=True, slots=True)
class SealedBlock:
    """A block that may follow its chain, as bytes, as a value and as the index will keep it."""

    raw: bytes
    block: MetadataBlock
    indexed: IndexedBlock

    @property
    def name(self) -> Multihash:
        """The hash of the bytes."""
        return self.indexed.block_hash


@dataclass(frozen=True, slots=True)
class Sealed:
    """Blocks in their order, and the chain once they are appended."""

    before: ChainState
    blocks: Sequence[SealedBlock]
    after: ChainState

    @property
    def records(self) -> int:
        """Rows added by all of the blocks."""
        return sum(sealed.indexed.data.records for sealed in self.blocks if sealed.indexed.data)


def seal(chain: ChainState, events: Iterable[MetadataEvent], *, system_time: Timestamp) -> Sealed:
    """Blocks for new events, all made at one moment; ChainRuleError names the rule that forbids one."""
    sealed, state = [], chain
    for event in events:
        block = MetadataBlock(
            system_time=system_time,
            prev_block_hash=state.head,
            sequence_number=state.sequence_number + 1,
            event=event,
        )
        check_append(state, block)
        added, state = _append(state, block, encode_block(block))
        sealed.append(added)
    return Sealed(chain, sealed, state)


def seal_received(chain: ChainState, raw_blocks: Iterable[bytes]) -> Sealed:
    """The same for blocks that were made elsewhere, kept as the bytes they came in."""
    sealed, state = [], chain
    for raw in raw_blocks:
        added, state = append_received(state, raw)
        sealed.append(added)
    return Sealed(chain, sealed, state)


def append_received(chain: ChainState, raw: bytes) -> tuple[SealedBlock, ChainState]:
    """Check one block made elsewhere against the chain it follows."""
    block = decode_block(raw)
    check_append(chain, block)
    return _append(chain, block, raw)


def _append(chain: ChainState, block: MetadataBlock, raw: bytes) -> tuple[SealedBlock, ChainState]:
    name = block_hash(raw)
    indexed = index_block(
        name,
        block,
        kind=decode_header(raw).event_kind,
        size=len(raw),
        previous_watermark=chain.watermark,
    )
    return SealedBlock(raw, block, indexed), chain.extend(name, block)
