"""The sums of a chain, counted anew by its index: a chain may be far too long to be read for that."""

from sqlalchemy import func, select

from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.block_index import BlockIndex, blocks
from kamu_assets.datasets.model import DatasetStatistics
from kamu_assets.odf.identity import DatasetID

_RECORDS = blocks.c.last_offset - blocks.c.first_offset + 1


def recount(tx: Transaction, dataset: DatasetID) -> DatasetStatistics:
    """What `extend` gives for all blocks of the index."""
    index = BlockIndex()
    newest = index.page(tx, dataset, newest_first=True, limit=1)
    if not newest:
        return DatasetStatistics()
    data = index.newest_data(tx, dataset, until=newest[0].sequence_number)
    row = tx.execute(
        select(
            func.count().label("blocks"),
            func.count(blocks.c.data_hash).label("slices"),
            func.sum(_RECORDS).label("records"),
            func.sum(blocks.c.data_size).label("data_size"),
            func.sum(blocks.c.checkpoint_size).label("checkpoints_size"),
            func.max(blocks.c.last_offset).label("last_offset"),
        ).where(blocks.c.dataset_id == dataset)
    ).one()
    return DatasetStatistics(
        blocks=row.blocks,
        slices=row.slices,
        records=int(row.records or 0),
        data_size=int(row.data_size or 0),
        checkpoints_size=int(row.checkpoints_size or 0),
        last_offset=row.last_offset,
        watermark=data.data.watermark if data and data.data else None,
        updated_at=newest[0].system_time,
        pulled_at=data.system_time if data else None,
    )
