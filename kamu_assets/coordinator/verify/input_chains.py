"""What a transform once read of its inputs, found again in the stored blocks of the inputs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from kamu_assets.coordinator.ingest.slice_events import schema_of
from kamu_assets.coordinator.verify.model import VerdictKind
from kamu_assets.datasets.chains.block_rows import DATA_KINDS, index_block
from kamu_assets.datasets.chains.intervals import ChainInterval, data_of
from kamu_assets.datasets.model import DatasetEntry, IndexedBlock
from kamu_assets.errors import InvalidError
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.data import DataSchema, DatasetVocabulary
from kamu_assets.odf.dataset import ExecuteTransformInput, SetDataSchema, SetVocab
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import EventKind, decode_block, decode_header
from kamu_assets.storage.blocks import BlockStore
from kamu_assets.storage.errors import DamagedBlockError, ObjectNotFoundError
from kamu_assets.storage.volumes import Volumes


class BrokenInputError(InvalidError):
    """The blocks of an input do not tell any more what was read."""

    def __init__(self, kind: VerdictKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Shape:
    """How the rows of an input looked at one of its blocks; None: not said yet."""

    schema: SetDataSchema | None = None
    vocab: SetVocab | None = None

    def or_older(self, older: "Shape") -> "Shape":
        """What is missing, from what was said before."""
        return Shape(self.schema or older.schema, self.vocab or older.vocab)


@dataclass(frozen=True, slots=True)
class InputPart:
    """The part of an input that one ExecuteTransform read."""

    entry: DatasetEntry
    interval: ChainInterval
    schema: DataSchema | None
    vocab: DatasetVocabulary


class InputChains:
    """Walks back from block to block through the inputs of one derivative.

    The intervals of successive transforms follow each other, so that all walks together read each block once.
    """

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes
        self._shapes: dict[Multihash | None, Shape] = {None: Shape()}

    def part(self, entry: DatasetEntry, said: ExecuteTransformInput) -> InputPart:
        """What was read; BrokenInputError when the stored blocks do not lead from its end to its start."""
        after, until = said.prev_block_hash, said.last_block_hash
        data, shape = self._data(entry, after, until) if until != after else ([], Shape())
        shape = shape.or_older(self._shape(entry, after))
        self._shapes[until] = shape
        state = replace(ChainState.empty(), schema=shape.schema, set_vocab=shape.vocab)
        return InputPart(entry, data_of(data), schema_of(state), state.vocab)

    def _data(
        self, entry: DatasetEntry, after: Multihash | None, until: Multihash | None
    ) -> tuple[list[IndexedBlock], Shape]:
        data, shape, reached = [], Shape(), until
        for indexed, said, previous in self._back(entry, until, stop=after):
            shape = shape.or_older(said)
            if indexed is not None:
                data.append(indexed)
            reached = previous
        if reached != after:
            message = f"block {after} is not before block {until} in input {entry.alias}"
            raise BrokenInputError(VerdictKind.INVALID_INTERVAL, message)
        return data[::-1], shape

    def _shape(self, entry: DatasetEntry, block: Multihash | None) -> Shape:
        """How rows looked at a block up to which another transform read, or nobody yet."""
        shape = Shape()
        while block not in self._shapes and not (shape.schema and shape.vocab):
            _, said, block = next(self._back(entry, block, stop=None))
            shape = shape.or_older(said)
        return shape.or_older(self._shapes.get(block, Shape()))

    def _back(
        self, entry: DatasetEntry, block: Multihash | None, *, stop: Multihash | None
    ) -> Iterator[tuple[IndexedBlock | None, Shape, Multihash | None]]:
        """Blocks towards the Seed: data if any, what they say of the rows' shape, and which block is before."""
        store = self._volumes.blocks(entry.kind)
        while block is not None and block != stop:
            raw = self._raw(store, entry, block)
            header = decode_header(raw)
            indexed, shape = None, Shape()
            if header.event_kind in DATA_KINDS:
                kind, size = header.event_kind, len(raw)
                indexed = index_block(block, decode_block(raw), kind=kind, size=size, previous_watermark=None)
            elif header.event_kind in (EventKind.SET_DATA_SCHEMA, EventKind.SET_VOCAB):
                event = decode_block(raw).event
                shape = Shape(
                    event if isinstance(event, SetDataSchema) else None, event if isinstance(event, SetVocab) else None
                )
            block = header.prev_block_hash
            yield indexed, shape, block

    def _raw(self, store: BlockStore, entry: DatasetEntry, block: Multihash) -> bytes:
        try:
            return store.get(entry.id, block)
        except ObjectNotFoundError as error:
            message = f"input {entry.alias} no longer has block {block}: it was reset or compacted, and cleaned up"
            raise BrokenInputError(VerdictKind.INVALID_INTERVAL, message) from error
        except DamagedBlockError as error:
            message = f"input {entry.alias}: {error}; verify that dataset"
            raise BrokenInputError(VerdictKind.BLOCK_HASH_MISMATCH, message) from error
