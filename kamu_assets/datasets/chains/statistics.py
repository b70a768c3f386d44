"""Sums over chains, kept up to date by every commit."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from sqlalchemy import BigInteger, Column, Row, Table, bindparam, case, delete, func, insert, select, update

from kamu_assets.database.columns import DatasetIDColumn, EventTimeColumn
from kamu_assets.database.frequent import Frequent
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.model import DatasetStatistics, IndexedBlock, IndexedData
from kamu_assets.odf.identity import DatasetID

statistics = Table(
    "dataset_statistics",
    metadata,
    Column("dataset_id", DatasetIDColumn, primary_key=True),
    Column("blocks", BigInteger, nullable=False),
    Column("slices", BigInteger, nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("data_size", BigInteger, nullable=False),
    Column("checkpoints_size", BigInteger, nullable=False),
    Column("last_offset", BigInteger),
    Column("watermark", EventTimeColumn),
    Column("updated_at", EventTimeColumn),
    Column("pulled_at", EventTimeColumn),
)

_SUMS = tuple(field.name for field in fields(DatasetStatistics))
_ADDED = ("blocks", "slices", "records", "data_size", "checkpoints_size")
_OF = statistics.c.dataset_id == bindparam("dataset")


_GIVEN = {name: bindparam(name, type_=statistics.c[name].type) for name in _SUMS}

# Made once: every commit executes these.
_SELECT = Frequent(select(statistics).where(_OF))
_INSERT = Frequent(insert(statistics))
_SAVE = Frequent(update(statistics).where(_OF).values({name: _GIVEN[name] for name in _SUMS}))
_ADD = Frequent(
    update(statistics)
    .where(_OF)
    .values(
        {name: statistics.c[name] + _GIVEN[name] for name in _ADDED}
        | {name: func.coalesce(_GIVEN[name], statistics.c[name]) for name in ("last_offset", "updated_at", "pulled_at")}
        # Whatever moves `pulled_at` tells the watermark too.
        | {"watermark": case((_GIVEN["pulled_at"].is_(None), statistics.c.watermark), else_=_GIVEN["watermark"])}
    )
)
_DELETE = delete(statistics).where(_OF)


def extend(sums: DatasetStatistics, blocks: Iterable[IndexedBlock]) -> DatasetStatistics:
    """The sums after these blocks."""
    for block in blocks:
        sums = replace(sums, blocks=sums.blocks + 1, updated_at=block.system_time)
        if block.data is not None:
            sums = _with_data(replace(sums, pulled_at=block.system_time), block.data)
    return sums


def _with_data(sums: DatasetStatistics, data: IndexedData) -> DatasetStatistics:
    if data.checkpoint is not None:
        sums = replace(sums, checkpoints_size=sums.checkpoints_size + data.checkpoint.size)
    sums = replace(sums, watermark=data.watermark)
    if data.data_slice is None:
        return sums
    return replace(
        sums,
        slices=sums.slices + 1,
        records=sums.records + data.records,
        data_size=sums.data_size + data.data_slice.size,
        last_offset=data.data_slice.offset_interval.end,
    )


class StatisticsStore:
    """The sums of every dataset."""

    def get(self, tx: Transaction, dataset: DatasetID) -> DatasetStatistics:
        for row in tx.find(_SELECT, {"dataset": dataset}):
            return _of(row)
        return DatasetStatistics()

    def all(self, tx: Transaction) -> Mapping[DatasetID, DatasetStatistics]:
        return {row.dataset_id: _of(row) for row in tx.execute(select(statistics))}

    def save(self, tx: Transaction, dataset: DatasetID, sums: DatasetStatistics) -> None:
        self._write(tx, _SAVE, dataset, sums)

    def add(self, tx: Transaction, dataset: DatasetID, new: Iterable[IndexedBlock]) -> None:
        """Count blocks that were appended."""
        self._write(tx, _ADD, dataset, extend(DatasetStatistics(), new))

    def _write(self, tx: Transaction, change: Frequent, dataset: DatasetID, sums: DatasetStatistics) -> None:
        values = {name: getattr(sums, name) for name in _SUMS}
        if tx.change(change, {"dataset": dataset, **values}) == 0:
            tx.change(_INSERT, {"dataset_id": dataset, **values})

    def remove(self, tx: Transaction, dataset: DatasetID) -> None:
        tx.execute(_DELETE, {"dataset": dataset})


def _of(row: Row[Any]) -> DatasetStatistics:
    return DatasetStatistics(
        blocks=row.blocks,
        slices=row.slices,
        records=row.records,
        data_size=row.data_size,
        checkpoints_size=row.checkpoints_size,
        last_offset=row.last_offset,
        watermark=row.watermark,
        updated_at=row.updated_at,
        pulled_at=row.pulled_at,
    )
