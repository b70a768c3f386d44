"""Histories and batches of the merge workloads, as Parquet files that both sides read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.data import FOLDER, events

BATCH = 100_000


def history(rows: int) -> Path:
    """Events numbered from 0."""
    return _kept(f"merge-{rows}.parquet", lambda: events(rows))


def batch(rows: int, number: int) -> Path:
    """Half of its keys are among the first `rows` and what earlier batches added, half are new."""
    new = BATCH // 2
    known = rows + number * new

    def made() -> pa.Table:
        random = np.random.default_rng(5 + number)
        ids = np.concatenate([random.choice(known, BATCH - new, replace=False), np.arange(known, known + new)])
        return events(BATCH, start=known).set_column(0, "id", pa.array(ids))

    return _kept(f"merge-{rows}-batch-{number}.parquet", made)


def snapshot(rows: int, number: int) -> Path:
    """The whole state on day `number`: each day 1 % of the rows change, 0.1 % go and as many come."""

    def made() -> pa.Table:
        moved = rows // 1000
        new = [events(moved, start=rows + day * moved) for day in range(number)]
        table = pa.concat_tables([events(rows), *new]).combine_chunks()
        price = table["price"].to_numpy().copy()
        for day in range(1, number + 1):
            # Rows that stay for as many days as anybody asks for.
            staying = np.random.default_rng(9 + day).choice(np.arange(rows // 100, rows), rows // 100, replace=False)
            price[staying] += day
        return table.set_column(4, "price", pa.array(price)).slice(number * moved)

    return _kept(f"snapshot-{rows}-{number}.parquet", made)


def few(number: int) -> Path:
    """Hundred rows, half of them known from the time before."""
    return _kept(f"merge-few-{number}.parquet", lambda: events(100, start=number * 50))


def _kept(name: str, make: Callable[[], pa.Table]) -> Path:
    path = FOLDER / name
    if not path.exists():
        FOLDER.mkdir(exist_ok=True)
        unfinished = path.with_name(f"{name}.{os.getpid()}")
        pq.write_table(make(), unfinished)
        unfinished.replace(path)
    return path
