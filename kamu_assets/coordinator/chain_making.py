"""Makes a chain anew from the same Seed, and lets it take the place of the one that is there.

Others go on committing meanwhile. What they commit is appended to the new chain as it is, block by block: that takes
no longer than a commit of theirs, and what came last is appended while nobody else can move the head.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from kamu_assets.clock import Clock
from kamu_assets.coordinator.moments import next_system_time
from kamu_assets.coordinator.results import ReorganizationResult, Reorganized
from kamu_assets.coordinator.succession import Successor
from kamu_assets.database.database import Database
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.block_index import BlockIndex
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.commit.bookkeeping import Change
from kamu_assets.datasets.commit.rewriting import Rewrite, Rewriting
from kamu_assets.datasets.commit.sealing import Sealed
from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.datasets.model import DatasetEntry, NewObject, RewriteKind
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import MetadataEvent

# Rounds after which no more is caught up with before the head is held. One is enough where nobody is in a hurry.
_ROUNDS: Final = 5


def _all(_: MetadataEvent) -> bool:
    """Whatever it is."""
    return True


@dataclass(frozen=True, slots=True)
class Remake:
    """What a chain becomes, up to the head that was seen."""

    entry: DatasetEntry
    how: RewriteKind
    # The chain that was seen, and what takes the place of its blocks behind the Seed.
    chain: ChainState
    events: Iterable[MetadataEvent]
    files: Sequence[NewObject] = ()
    # What is kept of that which others commit meanwhile.
    keeps: Callable[[MetadataEvent], bool] = _all
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class ChainMaking:
    """Seals events and replaces chains."""

    database: Database
    chains: Chains
    rewriting: Rewriting
    clock: Clock

    def replace(self, remake: Remake) -> ReorganizationResult:
        """Carry it out; ChainReplacedError only when the chain is rewritten, not when it goes on."""
        with self.rewriting.writing(remake.entry):
            successor = self._begun(remake)
            self._append(remake, successor, remake.chain, remake.events, remake.files)
            for _ in range(_ROUNDS):
                with self.database.reading() as tx:
                    chain = self.chains.state(remake.entry.id, tx=tx)
                    if chain.head == successor.follows:
                        break
                    newer = self._newer(tx, remake, successor)
                self._append(remake, successor, chain, newer)
            rewrite = self.rewriting.rewrite(remake.entry, partial(self._last_step, remake, successor))
        before = rewrite.change.sealed.before
        return Reorganized(rewrite.old_head, rewrite.new_head, before.sequence_number + 1, len(successor.blocks))

    def _begun(self, remake: Remake) -> Successor:
        with self.database.reading() as tx:
            found = BlockIndex().page(tx, remake.entry.id, newest_first=False, limit=1)
        if not found:
            raise DatasetNotFoundError(remake.entry.id)
        block = self.chains.block(remake.entry.id, found[0].block_hash)
        return Successor(found[0], block)

    def _newer(self, tx: Transaction, remake: Remake, successor: Successor) -> Sequence[MetadataEvent]:
        """What was committed behind the block up to which it was followed; ChainReplacedError where that is gone."""
        found = self.chains.after(tx, remake.entry.id, successor.follows)
        return [each.block.event for each in found if remake.keeps(each.block.event)]

    def _append(
        self,
        remake: Remake,
        successor: Successor,
        chain: ChainState,
        events: Iterable[MetadataEvent],
        files: Sequence[NewObject] = (),
    ) -> None:
        """Let the successor follow the chain as far as it goes, and keep its new blocks."""
        sealed = successor.append(events, until=chain, now=next_system_time(self.clock, chain))
        self.rewriting.store(Change(remake.entry, sealed, remake.run_id), files)

    def _last_step(self, remake: Remake, successor: Successor, tx: Transaction) -> Rewrite:
        """What is still missing; nobody commits meanwhile."""
        chain = self.chains.state(remake.entry.id, tx=tx)
        if chain.head != successor.follows:
            self._append(remake, successor, chain, self._newer(tx, remake, successor))
        change = Change(remake.entry, Sealed(chain, (), successor.state), remake.run_id)
        return Rewrite(change, remake.how, successor.system_time, successor.blocks)
