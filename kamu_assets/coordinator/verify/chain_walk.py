"""Walks the blocks of a dataset as they lie in the store: every byte hashed, every rule of the chain applied again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kamu_assets.coordinator.verify.findings import FaultFoundError
from kamu_assets.coordinator.verify.model import RESTORE, Fault, Place, VerdictKind
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.errors import InvalidError, KamuError
from kamu_assets.odf.chain_rules import check_append
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import MetadataBlock
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import BlockHeader, decode_block, decode_header, decode_manifest, encode_block
from kamu_assets.storage.errors import ObjectNotFoundError
from kamu_assets.storage.layout import block_key
from kamu_assets.storage.object_store import ObjectStore

# Blocks hold schemas and queries, never rows.
_MAX_BLOCK_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class WalkedBlock:
    """A block that may stand where it stands, and the chain before it."""

    block_hash: Multihash
    block: MetadataBlock
    before: ChainState


class ChainWalk:
    """One dataset's blocks by their links alone."""

    def __init__(self, volume: ObjectStore, entry: DatasetEntry) -> None:
        self._volume = volume
        self._entry = entry

    def hashes(self, head: Multihash) -> Sequence[Multihash]:
        """From the Seed to the head, by the links in the headers; FaultFoundError."""
        found: list[Multihash] = []
        name, number = head, None
        while True:
            header = self._header(name, number)
            found.append(name)
            if header.prev_block_hash is None:
                return found[::-1]
            name, number = header.prev_block_hash, header.sequence_number - 1

    def blocks(self, hashes: Sequence[Multihash]) -> Iterator[WalkedBlock]:
        """The same blocks, each judged by all that came before it; FaultFoundError names the first that may not be."""
        state = ChainState.empty()
        for number, name in enumerate(hashes):
            block = self._decoded(name, number)
            try:
                check_append(state, block)
                self._check_seed(state, block)
            except KamuError as error:
                raise FaultFoundError(Fault(VerdictKind.CHAIN_RULE_BROKEN, _place(name, number), str(error))) from error
            yield WalkedBlock(name, block, state)
            state = state.extend(name, block)

    def _check_seed(self, state: ChainState, block: MetadataBlock) -> None:
        seed = getattr(block.event, "dataset_id", None)
        if state.head is None and (seed, block.event.dataset_kind) != (self._entry.id, self._entry.kind):  # type: ignore[union-attr] # rules let a Seed only come first
            raise InvalidError(f"the chain is that of {seed}, not of {self._entry.id}")

    def _header(self, name: Multihash, number: int | None) -> BlockHeader:
        raw = self._raw(name, number)
        try:
            return decode_header(raw)
        except KamuError as error:
            raise _malformed(name, number, str(error)) from error

    def _decoded(self, name: Multihash, number: int | None) -> MetadataBlock:
        raw = self._raw(name, number)
        try:
            return decode_block(raw)
        except KamuError as error:
            raise _malformed(name, number, str(error)) from error

    def _raw(self, name: Multihash, number: int | None) -> bytes:
        key = block_key(self._entry.id, name)
        try:
            if self._volume.stat(key).size > _MAX_BLOCK_BYTES:
                raise _malformed(name, number, f"has more than {_MAX_BLOCK_BYTES} bytes")
            raw = self._volume.get(key)
        except ObjectNotFoundError as error:
            message = f"is not there: {RESTORE}"
            raise FaultFoundError(Fault(VerdictKind.BLOCK_NOT_FOUND, _place(name, number), message)) from error
        actual = Multihash.sha3_256(raw)
        if actual != name:
            kind = VerdictKind.BLOCK_HASH_MISMATCH if _is_a_block(raw) else VerdictKind.BLOCK_MALFORMED
            message = f"is damaged, its bytes hash to something else: {RESTORE}"
            raise FaultFoundError(Fault(kind, _place(name, number), message, expected=str(name), found=str(actual)))
        return raw


def _place(name: Multihash, number: int | None) -> Place:
    return Place(number, name, f"blocks/{name}")


def _malformed(name: Multihash, number: int | None, message: str) -> FaultFoundError:
    return FaultFoundError(Fault(VerdictKind.BLOCK_MALFORMED, _place(name, number), message))


def _is_a_block(raw: bytes) -> bool:
    """Whether the bytes are what an encoder makes: damage seldom leaves them so, a swap or an edit does."""
    try:
        version, block = decode_manifest(raw)
        return encode_block(block, version=version) == raw
    except (KamuError, ValueError):
        return False
