"""Resets: the head goes back to an earlier block, and what came after it counts no more (ODF-FACTS 9.5)."""

from dataclasses import dataclass
from functools import partial

from kamu_assets.auth.model import Caller
from kamu_assets.clock import Clock
from kamu_assets.coordinator.results import NothingToDo, ReorganizationResult, Reorganized
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.block_index import BlockIndex
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.chains.past import PastStates
from kamu_assets.datasets.commit.bookkeeping import Change
from kamu_assets.datasets.commit.rewriting import Rewrite, Rewriting
from kamu_assets.datasets.commit.sealing import Sealed
from kamu_assets.datasets.errors import AlreadyHeadError, HeadMovedError, NewHeadNotFoundError
from kamu_assets.datasets.model import DatasetEntry, RewriteKind
from kamu_assets.datasets.service import Datasets
from kamu_assets.governance.access import Action
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.identity import DatasetRef
from kamu_assets.odf.multihash import Multihash


@dataclass(frozen=True, slots=True)
class ResetOptions:
    """Where to, and on what condition."""

    # A block of the chain; without one the Seed.
    new_head: Multihash | None = None
    # The head that was seen; without one whatever it is when the reset begins.
    old_head: Multihash | None = None
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Resets:
    """The use case."""

    datasets: Datasets
    chains: Chains
    past: PastStates
    rewriting: Rewriting
    clock: Clock

    def check(self, caller: Caller, dataset: DatasetRef, new_head: Multihash | None) -> None:
        """Raise what is plainly wrong with a reset that is to run later: NewHeadNotFoundError, AlreadyHeadError."""
        entry = self.datasets.resolve(caller, dataset, action=Action.MAINTAIN)
        if new_head is not None and self._target(entry, new_head).head == self.chains.head(entry.id):
            raise AlreadyHeadError(entry.alias, new_head)

    def reset(self, caller: Caller, dataset: DatasetRef, options: ResetOptions) -> ReorganizationResult:
        """Move the head back; NewHeadNotFoundError, and HeadMovedError when it is not (any more) where it was seen."""
        entry = self.datasets.resolve(caller, dataset, action=Action.MAINTAIN)
        before = self._seen(entry, options, self.chains.state(entry.id))
        after = self._target(entry, options.new_head)
        if after.head is None or after.head == before.head:
            return NothingToDo()
        done = self.rewriting.rewrite(entry, partial(self._rewrite, entry, after, after.head, options))
        blocks = done.change.sealed.before.sequence_number + 1
        return Reorganized(done.old_head, done.new_head, blocks, after.sequence_number + 1)

    def _rewrite(
        self, entry: DatasetEntry, after: ChainState, block: Multihash, options: ResetOptions, tx: Transaction
    ) -> Rewrite:
        """From whatever is the head by now: others may have committed since, and do so no more."""
        before = self._seen(entry, options, self.chains.state(entry.id, tx=tx))
        if before.head == block:
            raise AlreadyHeadError(entry.alias, block)
        if BlockIndex().sequence_of(tx, entry.id, block) is None:
            raise NewHeadNotFoundError(entry.alias, block)
        return Rewrite(Change(entry, Sealed(before, (), after), options.run_id), RewriteKind.RESET, self.clock.now())

    def _seen(self, entry: DatasetEntry, options: ResetOptions, now: ChainState) -> ChainState:
        if options.old_head not in {None, now.head}:
            raise HeadMovedError(entry.id, options.old_head, now.head)
        return now

    def _target(self, entry: DatasetEntry, new_head: Multihash | None) -> ChainState:
        target = new_head if new_head is not None else self._seed(entry)
        state = self.past.state(entry.id, target)
        if state is None:
            raise NewHeadNotFoundError(entry.alias, target)
        return state

    def _seed(self, entry: DatasetEntry) -> Multihash:
        return next(self.chains.blocks(entry.id, newest_first=False)).block_hash
