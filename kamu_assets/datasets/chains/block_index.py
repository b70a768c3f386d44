"""One row for each block of the chain of `head`, so that planning and loading never walk a chain."""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Index,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    union_all,
)

from kamu_assets.database.columns import DatasetIDColumn, EventTimeColumn, MultihashColumn
from kamu_assets.database.frequent import Frequent
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.block_rows import DATA_KINDS, from_row, to_values
from kamu_assets.datasets.model import IndexedBlock
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import EventKind
from kamu_assets.odf.timestamp import Timestamp

blocks = Table(
    "dataset_blocks",
    metadata,
    Column("dataset_id", DatasetIDColumn, primary_key=True),
    Column("sequence_number", BigInteger, primary_key=True, autoincrement=False),
    Column("block_hash", MultihashColumn, nullable=False),
    Column("event_kind", SmallInteger, nullable=False),
    # Name of the push source, or of the source whose state the data event keeps.
    Column("subject", Text),
    # Blocks may come from elsewhere: their times may be of any year.
    Column("system_time", EventTimeColumn, nullable=False),
    Column("size", BigInteger, nullable=False),
    # The rest is set for AddData and ExecuteTransform only, as far as the event has it.
    Column("data_hash", MultihashColumn),
    Column("data_logical_hash", MultihashColumn),
    Column("data_size", BigInteger),
    Column("first_offset", BigInteger),
    Column("last_offset", BigInteger),
    Column("checkpoint_hash", MultihashColumn),
    Column("checkpoint_size", BigInteger),
    Column("previous_watermark", EventTimeColumn),
    Column("watermark", EventTimeColumn),
    UniqueConstraint("dataset_id", "block_hash"),
    Index(None, "dataset_id", "event_kind", "sequence_number"),
)

_HAS_SUBJECT = blocks.c.subject.is_not(None)
Index(
    "ix_dataset_blocks_subject",
    blocks.c.dataset_id,
    blocks.c.event_kind,
    blocks.c.sequence_number,
    sqlite_where=_HAS_SUBJECT,
)

_SOURCE_KINDS = (int(EventKind.ADD_PUSH_SOURCE), int(EventKind.DISABLE_PUSH_SOURCE))
PAGE = 200
# Made once: every commit executes the first, every plan of a derivative the others.
_INSERT = Frequent(insert(blocks))
_IN_CHAIN = blocks.c.dataset_id == bindparam("dataset")
_SEQUENCE = Frequent(select(blocks.c.sequence_number).where(_IN_CHAIN, blocks.c.block_hash == bindparam("block")))
_DATA_BETWEEN = Frequent(
    select(blocks)
    .where(
        _IN_CHAIN,
        or_(*(blocks.c.event_kind == int(kind) for kind in DATA_KINDS)),
        blocks.c.sequence_number > bindparam("after"),
        blocks.c.sequence_number <= bindparam("until"),
    )
    .order_by(blocks.c.sequence_number)
)


class BlockIndex:
    """The block index of every dataset."""

    def add(self, tx: Transaction, dataset: DatasetID, new: Iterable[IndexedBlock]) -> None:
        tx.change(_INSERT, *({"dataset_id": dataset, **to_values(block)} for block in new))

    def remove(self, tx: Transaction, dataset: DatasetID) -> None:
        tx.execute(delete(blocks).where(blocks.c.dataset_id == dataset))

    def cut(self, tx: Transaction, dataset: DatasetID, *, after: int) -> None:
        """Forget the blocks behind this sequence number."""
        tx.execute(delete(blocks).where(_of(dataset), blocks.c.sequence_number > after))

    def sequence_of(self, tx: Transaction, dataset: DatasetID, block: Multihash) -> int | None:
        """Where the block stands in the chain of `head`, if it does."""
        found = tx.find(_SEQUENCE, {"dataset": dataset, "block": block})
        return int(found[0].sequence_number) if found else None

    def newest_until(self, tx: Transaction, dataset: DatasetID, moment: Timestamp) -> Multihash | None:
        """The last block that was made up to this moment."""
        query = select(blocks.c.block_hash).where(_of(dataset), blocks.c.system_time <= moment)
        found: Multihash | None = tx.execute(query.order_by(blocks.c.sequence_number.desc()).limit(1)).scalar()
        return found

    def newest_by_kind(self, tx: Transaction, dataset: DatasetID) -> Sequence[IndexedBlock]:
        """The blocks whose events decide about the next one, oldest first: what a chain state is made of."""
        # One look into an index for each kind, however long the chain is; sources are few.
        newest = func.max(blocks.c.sequence_number)
        each = [select(newest).where(_of(dataset), blocks.c.event_kind == int(kind)) for kind in EventKind]
        states = select(newest).where(
            _of(dataset), blocks.c.event_kind == int(EventKind.ADD_DATA), blocks.c.subject.is_not(None)
        )
        sources = (
            select(newest)
            .where(_of(dataset), blocks.c.event_kind.in_(_SOURCE_KINDS), blocks.c.subject.is_not(None))
            .group_by(blocks.c.event_kind, blocks.c.subject)
        )
        wanted = union_all(*each, states, sources)
        query = select(blocks).where(_of(dataset), blocks.c.sequence_number.in_(wanted))
        return [from_row(row) for row in tx.execute(query.order_by(blocks.c.sequence_number))]

    def page(
        self,
        tx: Transaction,
        dataset: DatasetID,
        *,
        newest_first: bool,
        start: int | None = None,
        kinds: Collection[EventKind] | None = None,
        limit: int = PAGE,
    ) -> Sequence[IndexedBlock]:
        """Blocks, of any kind or of some, from number `start` (included) towards the Seed or towards the head."""
        number = blocks.c.sequence_number
        query = select(blocks).where(_of(dataset)).order_by(number.desc() if newest_first else number).limit(limit)
        if start is not None:
            query = query.where(number <= start if newest_first else number >= start)
        if kinds is not None:
            query = query.where(blocks.c.event_kind.in_([int(kind) for kind in kinds]))
        return [from_row(row) for row in tx.execute(query)]

    def all(self, tx: Transaction, dataset: DatasetID) -> Sequence[IndexedBlock]:
        """The whole chain, oldest first."""
        query = select(blocks).where(_of(dataset)).order_by(blocks.c.sequence_number)
        return [from_row(row) for row in tx.execute(query)]

    def newest_data(self, tx: Transaction, dataset: DatasetID, *, until: int) -> IndexedBlock | None:
        """The last AddData or ExecuteTransform block up to this sequence number (included)."""
        number = blocks.c.sequence_number
        data = blocks.c.event_kind.in_([int(kind) for kind in DATA_KINDS])
        query = select(blocks).where(_of(dataset), data, number <= until).order_by(number.desc()).limit(1)
        row = tx.execute(query).one_or_none()
        return from_row(row) if row else None

    def data_between(self, tx: Transaction, dataset: DatasetID, *, after: int, until: int) -> Sequence[IndexedBlock]:
        """AddData and ExecuteTransform blocks in `(after, until]`, oldest first."""
        return [from_row(row) for row in tx.find(_DATA_BETWEEN, {"dataset": dataset, "after": after, "until": until})]


def _of(dataset: DatasetID) -> ColumnElement[bool]:
    return blocks.c.dataset_id == dataset
