"""Reading chains: their state, their blocks, their data between two blocks."""

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from kamu_assets.database.database import Database
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.block_index import PAGE, BlockIndex
from kamu_assets.datasets.chains.intervals import ChainInterval, SliceRef, data_of
from kamu_assets.datasets.chains.recent_states import RecentStates
from kamu_assets.datasets.chains.references import References
from kamu_assets.datasets.errors import ChainReplacedError, DatasetNotFoundError, InvalidBlockIntervalError
from kamu_assets.datasets.model import DatasetEntry, IndexedBlock
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.errors import KamuError
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import MetadataBlock
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import EventKind, decode_block
from kamu_assets.storage.errors import ObjectNotFoundError
from kamu_assets.storage.volumes import Volumes

CACHED_STATES = 1024


@dataclass(frozen=True, slots=True)
class ChainBlock:
    """A block, decoded, and its hash."""

    block_hash: Multihash
    block: MetadataBlock


class Chains:
    """The chains of every dataset."""

    def __init__(self, *, database: Database, volumes: Volumes, cached_states: int = CACHED_STATES) -> None:
        self._database = database
        self._volumes = volumes
        self._entries = DatasetStore()
        self._references = References()
        self._index = BlockIndex()
        self._states = RecentStates(cached_states)

    def head(self, dataset: DatasetID, *, tx: Transaction | None = None) -> Multihash:
        """The hash of the newest block."""
        with self._reading(tx) as reading:
            return self._head(reading, dataset)

    def state(self, dataset: DatasetID, *, tx: Transaction | None = None) -> ChainState:
        """All that decides about the next block; takes the same time for long chains and short ones."""
        with self._reading(tx) as reading:
            head = self._head(reading, dataset)
            cached = self._states.get(dataset, head)
            if cached is not None:
                return cached
            entry = self._entries.get(reading, dataset)
            newest = self._index.newest_by_kind(reading, dataset)
        state = ChainState.empty()
        for found in self._load(entry, newest):
            state = state.extend(found.block_hash, found.block)
        self.remember(dataset, state)
        return state

    def remember(self, dataset: DatasetID, state: ChainState) -> None:
        """Keep the state of a chain that was just extended."""
        self._states.put(dataset, state)

    def blocks(
        self,
        dataset: DatasetID,
        *,
        newest_first: bool = True,
        start: int | None = None,
        kinds: Collection[EventKind] | None = None,
    ) -> Iterator[ChainBlock]:
        """Blocks one after another, from sequence number `start` (included) on; read in pages, as far as asked.

        Those with an event of `kinds`, or all.
        """
        while True:
            with self._database.reading() as tx:
                entry = self._entries.get(tx, dataset)
                page = self._index.page(tx, dataset, newest_first=newest_first, start=start, kinds=kinds)
            yield from self._load(entry, page)
            if len(page) < PAGE or (newest_first and page[-1].sequence_number == 0):
                return
            start = page[-1].sequence_number + (-1 if newest_first else 1)

    def after(self, tx: Transaction, dataset: DatasetID, block: Multihash) -> Sequence[ChainBlock]:
        """All blocks behind one of the chain; ChainReplacedError where that is in the chain no more."""
        entry = self._entries.get(tx, dataset)
        sequence = self._index.sequence_of(tx, dataset, block)
        if sequence is None:
            raise ChainReplacedError(dataset, block, self._head(tx, dataset))
        newer = self._index.page(tx, dataset, newest_first=False, start=sequence + 1, limit=sys.maxsize)
        return list(self._load(entry, newer))

    def block(self, dataset: DatasetID, block: Multihash) -> MetadataBlock:
        """One block, by its hash."""
        with self._database.reading() as tx:
            entry = self._entries.get(tx, dataset)
        return decode_block(self._volumes.blocks(entry.kind).get(dataset, block))

    def interval(
        self, dataset: DatasetID, *, after: Multihash | None, until: Multihash, tx: Transaction | None = None
    ) -> ChainInterval:
        """Data in `(after, until]`, from the block index alone; InvalidBlockIntervalError."""
        with self._reading(tx) as reading:
            last = self._index.sequence_of(reading, dataset, until)
            first = -1 if after is None else self._index.sequence_of(reading, dataset, after)
            if first is None or last is None or first > last:
                raise InvalidBlockIntervalError(dataset, after, until)
            found = self._index.data_between(reading, dataset, after=first, until=last)
        return data_of(found)

    def slices(self, dataset: DatasetID, *, after: Multihash | None, until: Multihash) -> tuple[SliceRef, ...]:
        """The slices of the same interval."""
        return self.interval(dataset, after=after, until=until).slices

    def _head(self, tx: Transaction, dataset: DatasetID) -> Multihash:
        head = self._references.head(tx, dataset)
        if head is None:
            raise DatasetNotFoundError(dataset)
        return head

    def _load(self, entry: DatasetEntry, found: Sequence[IndexedBlock]) -> Iterator[ChainBlock]:
        store = self._volumes.blocks(entry.kind)
        for indexed in found:
            try:
                raw = store.get(entry.id, indexed.block_hash)
            except ObjectNotFoundError as error:
                self.tell_if_replaced(entry, indexed.block_hash, error)
                raise
            yield ChainBlock(indexed.block_hash, decode_block(raw))

    def tell_if_replaced(self, entry: DatasetEntry, block: Multihash, error: KamuError) -> None:
        """ChainReplacedError where a block that was in the chain a moment ago may be garbage by now, and collected."""
        with self._database.reading() as tx:
            head = self._head(tx, entry.id)
            if self._index.sequence_of(tx, entry.id, block) is None:
                raise ChainReplacedError(entry.id, block, head) from error

    def _reading(self, tx: Transaction | None) -> AbstractContextManager[Transaction]:
        return nullcontext(tx) if tx is not None else self._database.reading()
