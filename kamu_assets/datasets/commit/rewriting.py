"""Chains that do not go on but are replaced: the head goes back, or to blocks that say the same in another way.

As in every commit objects come first and the head last, by compare-and-set; all that SQL says about a chain changes
with it. What the chain was made of stays in the store until garbage is collected.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from kamu_assets.database.database import Database
from kamu_assets.database.outbox import Outbox
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.chains.former_heads import FormerHead, FormerHeads
from kamu_assets.datasets.chains.references import References
from kamu_assets.datasets.chains.statistics import StatisticsStore
from kamu_assets.datasets.commit.bookkeeping import Bookkeeping, Change, inputs_of
from kamu_assets.datasets.commit.committer import CommitStep, Committer
from kamu_assets.datasets.errors import DatasetNotFoundError, HeadMovedError
from kamu_assets.datasets.messages import DatasetRewritten
from kamu_assets.datasets.model import DatasetEntry, DatasetStatistics, IndexedBlock, NewObject, RewriteKind
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A chain about to take the place of another one."""

    # From the chain that ends to the one that begins, with the blocks that are new in it.
    change: Change
    how: RewriteKind
    at: Timestamp
    # The whole new chain; without it the old one is cut behind the new head.
    blocks: Sequence[IndexedBlock] | None = None

    @property
    def old_head(self) -> Multihash:
        """What must still be the head."""
        return _required(self.change.sealed.before.head)

    @property
    def new_head(self) -> Multihash:
        """What it will be."""
        return _required(self.change.sealed.after.head)


class Rewriting:
    """Replaces chains."""

    def __init__(self, *, database: Database, chains: Chains, committer: Committer, outbox: Outbox) -> None:
        self._database = database
        self._chains = chains
        self._committer = committer
        self._outbox = outbox
        self._books = Bookkeeping(outbox)
        self._entries = DatasetStore()
        self._statistics = StatisticsStore()
        self._former = FormerHeads()
        self._references = References()

    def store(self, change: Change, files: Sequence[NewObject] = ()) -> None:
        """Make blocks durable before a head leads to them. `files` are taken over, also when it fails."""
        self._committer.store(change, files)

    def rewrite(self, entry: DatasetEntry, make: Callable[[Transaction], Rewrite]) -> Rewrite:
        """Carry out what is made while nobody else can move the head; HeadMovedError where that is another by then."""
        committer = self._committer
        committer.tell(CommitStep.SEALED)
        with self.writing(entry), self._database.transaction() as tx:
            self._references.hold(tx, entry.id)
            rewrite = make(tx)
            self._move_head(tx, rewrite)
            committer.tell(CommitStep.HEAD_MOVED)
            self._write_rows(tx, rewrite)
            committer.tell(CommitStep.ROWS_WRITTEN)
        committer.tell(CommitStep.COMMITTED)
        self._chains.remember(entry.id, rewrite.change.sealed.after)
        committer.publish(rewrite.change)
        return rewrite

    def writing(self, entry: DatasetEntry) -> AbstractContextManager[None]:
        """Until the block ends files of attempts that failed are kept for the next one."""
        return self._committer.writing(entry)

    def _move_head(self, tx: Transaction, rewrite: Rewrite) -> None:
        dataset = rewrite.change.entry.id
        try:
            self._books.replace_head(tx, dataset, expected=rewrite.old_head, to=rewrite.new_head)
        except HeadMovedError as error:
            if error.actual is None:
                raise DatasetNotFoundError(dataset) from error
            raise

    def _write_rows(self, tx: Transaction, rewrite: Rewrite) -> None:
        dataset, after = rewrite.change.entry.id, rewrite.change.sealed.after
        before = self._statistics.get(tx, dataset)
        if rewrite.blocks is None:
            self._books.cut_rows(tx, dataset, after)
        else:
            self._books.replace_rows(tx, dataset, rewrite.blocks, after)
        self._former.add(tx, dataset, FormerHead(rewrite.old_head, rewrite.how, rewrite.at))
        self._former.forget(tx, dataset, rewrite.new_head)
        self._outbox.post(tx, self._announcement(tx, rewrite, before))

    def _announcement(self, tx: Transaction, rewrite: Rewrite, before: DatasetStatistics) -> DatasetRewritten:
        # Called as it is now: it may have another name since it was looked up.
        entry, after = self._entries.get(tx, rewrite.change.entry.id), rewrite.change.sealed.after
        now = self._statistics.get(tx, entry.id)
        return DatasetRewritten(
            dataset_id=entry.id,
            alias=entry.alias,
            kind=entry.kind,
            how=rewrite.how,
            old_head=rewrite.old_head,
            new_head=rewrite.new_head,
            old_blocks=before.blocks,
            blocks=now.blocks,
            records=now.records,
            inputs=inputs_of(after),
            watermark=after.watermark,
            system_time=rewrite.at,
            run_id=rewrite.change.run_id,
        )


def _required(head: Multihash | None) -> Multihash:
    if head is None:
        raise ValueError("a chain that is rewritten has a Seed, before and after")
    return head
