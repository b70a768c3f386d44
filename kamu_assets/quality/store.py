"""Rows of tallies: how far each check has come, so that it goes on from there."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter
from sqlalchemy import BigInteger, Column, String, Table, Text, delete, select

from kamu_assets.database.columns import DatasetIDColumn, MultihashColumn
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.references import HEAD, references
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.quality.results import Tally

tallies = Table(
    "quality_tallies",
    metadata,
    Column("dataset_id", DatasetIDColumn, primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("rule", Text, nullable=False),
    Column("head", MultihashColumn, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("tally", Text, nullable=False),
)

_TALLY = TypeAdapter(Tally)
# Nobody's head.
_NO_BLOCK = Multihash.sha3_256(b"")


@dataclass(frozen=True, slots=True)
class Counted:
    """A tally of the rows before an offset, as of a block of the chain."""

    rule: str
    head: Multihash
    next_offset: int
    tally: Tally


class TallyStore:
    """One tally per check of a dataset."""

    def of(self, tx: Transaction, dataset: DatasetID) -> dict[str, Counted]:
        """By the names of the checks."""
        found = tx.execute(select(tallies).where(tallies.c.dataset_id == dataset))
        return {
            row.name: Counted(row.rule, row.head, row.next_offset, _TALLY.validate_json(row.tally)) for row in found
        }

    def behind(self, tx: Transaction) -> Sequence[DatasetID]:
        """Datasets that have another head than when they were counted."""
        is_its_head = (references.c.dataset_id == tallies.c.dataset_id) & (references.c.name == HEAD)
        query = select(tallies.c.dataset_id).join(references, is_its_head)
        return list(tx.execute(query.where(references.c.block_hash != tallies.c.head).distinct()).scalars())

    def want(self, tx: Transaction, datasets: Collection[DatasetID]) -> None:
        """Let these be behind until they have been counted, whether they ever were or not."""
        rows = [_row(each, "", Counted("", _NO_BLOCK, 0, Tally())) for each in datasets]
        if rows:
            tx.execute(tx.insert(tallies).values(rows).on_conflict_do_nothing())

    def replace(self, tx: Transaction, dataset: DatasetID, counted: dict[str, Counted]) -> None:
        """Keep these and no others: the dataset may declare other checks now, or none."""
        self.forget(tx, dataset)
        rows = [_row(dataset, name, each) for name, each in counted.items()]
        if rows:
            tx.execute(tx.insert(tallies).values(rows).on_conflict_do_nothing())

    def forget(self, tx: Transaction, dataset: DatasetID) -> None:
        tx.execute(delete(tallies).where(tallies.c.dataset_id == dataset))


def _row(dataset: DatasetID, name: str, counted: Counted) -> Mapping[str, object]:
    return {
        "dataset_id": dataset,
        "name": name,
        "rule": counted.rule,
        "head": counted.head,
        "next_offset": counted.next_offset,
        "tally": _TALLY.dump_json(counted.tally).decode(),
    }
