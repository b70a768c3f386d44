"""Named pointers to blocks. Moving one is a compare-and-set: whoever saw an older head loses."""

from collections.abc import Mapping

from sqlalchemy import Column, Table, Text, bindparam, delete, insert, select, update

from kamu_assets.database.columns import DatasetIDColumn, MultihashColumn
from kamu_assets.database.frequent import Frequent
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.errors import HeadMovedError
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash

HEAD = "head"

references = Table(
    "dataset_references",
    metadata,
    Column("dataset_id", DatasetIDColumn, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("block_hash", MultihashColumn, nullable=False),
)

# Made once: every commit executes these.
_IS_HEAD = (references.c.dataset_id == bindparam("dataset")) & (references.c.name == HEAD)
_SELECT_HEAD = Frequent(select(references.c.block_hash).where(_IS_HEAD))
_MOVE_HEAD = Frequent(
    update(references)
    .where(_IS_HEAD, references.c.block_hash == bindparam("expected"))
    .values(block_hash=bindparam("to"))
)


class References:
    """The references of every dataset."""

    def head(self, tx: Transaction, dataset: DatasetID) -> Multihash | None:
        found: list[Multihash] = [row.block_hash for row in tx.find(_SELECT_HEAD, {"dataset": dataset})]
        return found[0] if found else None

    def hold(self, tx: Transaction, dataset: DatasetID) -> None:
        """Let nobody else move the head before the transaction ends."""
        if not tx.is_sqlite:
            tx.execute(select(references.c.block_hash).where(_IS_HEAD).with_for_update(), {"dataset": dataset})

    def heads(self, tx: Transaction) -> Mapping[DatasetID, Multihash]:
        """The heads of all datasets."""
        query = select(references.c.dataset_id, references.c.block_hash).where(references.c.name == HEAD)
        return {row.dataset_id: row.block_hash for row in tx.execute(query)}

    def move_head(self, tx: Transaction, dataset: DatasetID, *, expected: Multihash | None, to: Multihash) -> None:
        """Move, unless the head is not where it was expected (`None`: not set yet)."""
        moved = self._create(tx, dataset, to) if expected is None else self._move(tx, dataset, expected, to)
        if not moved:
            raise HeadMovedError(dataset, expected, self.head(tx, dataset))

    def set_head(self, tx: Transaction, dataset: DatasetID, to: Multihash) -> None:
        """Set whatever was there: repair only."""
        self.remove(tx, dataset)
        tx.execute(insert(references).values(dataset_id=dataset, name=HEAD, block_hash=to))

    def remove(self, tx: Transaction, dataset: DatasetID) -> None:
        tx.execute(delete(references).where(references.c.dataset_id == dataset))

    def _create(self, tx: Transaction, dataset: DatasetID, to: Multihash) -> bool:
        new = tx.insert(references).values(dataset_id=dataset, name=HEAD, block_hash=to)
        return tx.execute(new.on_conflict_do_nothing()).rowcount == 1

    def _move(self, tx: Transaction, dataset: DatasetID, expected: Multihash, to: Multihash) -> bool:
        return tx.change(_MOVE_HEAD, {"dataset": dataset, "expected": expected, "to": to}) == 1
