"""Makes a chain anew from the same Seed, and lets it take the place of the one that is there."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from kamu_assets.clock import Clock
from kamu_assets.coordinator.moments import next_system_time
from kamu_assets.coordinator.results import ReorganizationResult, Reorganized
from kamu_assets.database.database import Database
from kamu_assets.datasets.block_index import BlockIndex
from kamu_assets.datasets.bookkeeping import Change
from kamu_assets.datasets.chains import Chains
from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.datasets.model import DatasetEntry, IndexedBlock, NewObject, RewriteKind
from kamu_assets.datasets.rewriting import Rewrite, Rewriting
from kamu_assets.datasets.sealing import Sealed, seal
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import AddData, MetadataEvent


@dataclass(frozen=True, slots=True)
class ChainMaking:
    """Seals events and replaces chains."""

    database: Database
    chains: Chains
    rewriting: Rewriting
    clock: Clock

    def replace(
        self,
        entry: DatasetEntry,
        chain: ChainState,
        events: Iterable[MetadataEvent],
        *,
        how: RewriteKind,
        files: Sequence[NewObject] = (),
        run_id: str | None = None,
    ) -> ReorganizationResult:
        """Let the chain be the Seed of `chain` and these events, all of now; HeadMovedError if it has moved on."""
        seed, start = self._seed(entry)
        now = next_system_time(self.clock, chain)
        sealed = seal(start, _telling(events), system_time=now)
        change = Change(entry, Sealed(chain, sealed.blocks, sealed.after), run_id)
        blocks = [seed, *(each.indexed for each in sealed.blocks)]
        rewrite = Rewrite(change, how, now, blocks)
        self.rewriting.rewrite(rewrite, files)
        return Reorganized(rewrite.old_head, rewrite.new_head, chain.sequence_number + 1, len(blocks))

    def writing(self, entry: DatasetEntry) -> AbstractContextManager[None]:
        """Until the block ends files of attempts that failed are kept for the next one."""
        return self.rewriting.writing(entry)

    def _seed(self, entry: DatasetEntry) -> tuple[IndexedBlock, ChainState]:
        with self.database.reading() as tx:
            found = BlockIndex().page(tx, entry.id, newest_first=False, limit=1)
        if not found:
            raise DatasetNotFoundError(entry.id)
        block = self.chains.block(entry.id, found[0].block_hash)
        return found[0], ChainState.empty().extend(found[0].block_hash, block)


def _telling(events: Iterable[MetadataEvent]) -> Iterator[MetadataEvent]:
    """Without data events that, others having been put together, say nothing new."""
    last: AddData | None = None
    for event in events:
        if isinstance(event, AddData):
            if event.new_data is None and last is not None and _said(event) == _said(last):
                continue
            last = event
        yield event


def _said(event: AddData) -> object:
    return (event.new_checkpoint, event.new_watermark, event.new_source_state)
