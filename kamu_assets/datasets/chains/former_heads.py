"""Heads that chains had before they were rewritten: what they lead to is kept for a while."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Column, Table, Text, delete, select

from kamu_assets.database.columns import DatasetIDColumn, MultihashColumn, TimestampColumn
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.model import RewriteKind
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp

former_heads = Table(
    "dataset_former_heads",
    metadata,
    Column("dataset_id", DatasetIDColumn, primary_key=True),
    Column("block_hash", MultihashColumn, primary_key=True),
    Column("how", Text, nullable=False),
    Column("replaced_at", TimestampColumn, nullable=False),
)


@dataclass(frozen=True, slots=True)
class FormerHead:
    """A head, and what ended it."""

    block_hash: Multihash
    how: RewriteKind
    replaced_at: Timestamp


class FormerHeads:
    """The former heads of every dataset."""

    def add(self, tx: Transaction, dataset: DatasetID, former: FormerHead) -> None:
        """Remember one; a head may be replaced more than once, of which the last time counts."""
        self.forget(tx, dataset, former.block_hash)
        values = {"block_hash": former.block_hash, "how": former.how.value, "replaced_at": former.replaced_at}
        tx.execute(tx.insert(former_heads).values(dataset_id=dataset, **values))

    def all(self, tx: Transaction, dataset: DatasetID) -> Sequence[FormerHead]:
        """In the order in which they were replaced."""
        query = select(former_heads).where(former_heads.c.dataset_id == dataset).order_by(former_heads.c.replaced_at)
        return [FormerHead(row.block_hash, RewriteKind(row.how), row.replaced_at) for row in tx.execute(query)]

    def forget(self, tx: Transaction, dataset: DatasetID, head: Multihash) -> None:
        tx.execute(delete(former_heads).where(former_heads.c.dataset_id == dataset, former_heads.c.block_hash == head))

    def remove(self, tx: Transaction, dataset: DatasetID) -> None:
        """Forget all of a dataset."""
        tx.execute(delete(former_heads).where(former_heads.c.dataset_id == dataset))
