"""CSV of 2M rows, in order and up to 2 s out of order, pushed as a file until its block is committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.bench.data import Order, csv_file
from tests.bench.ingest import check_pushed, push_file, ready_for_csv
from tests.bench.measurement import Measurement
from tests.bench.pairs import Subject, compare
from tests.bench.peers import floor, tables
from tests.bench.peers.sliced import check_slice

ROWS = 2_000_000
MANY_ROWS = 10_000_000
PAIRS = 5


def measure() -> Iterator[Measurement]:
    yield from _in_order()
    yield from _shuffled()
    yield from _memory()


def _in_order() -> Iterator[Measurement]:
    source = csv_file(ROWS, Order.SORTED)
    against = [
        _floor(floor.csv_slice, source),
        *_tables(source),
    ]
    limits = {"floor": 1.3, "pyarrow": 2.0, "deltalake wall": 2.0}
    yield from compare("w1", _ours(source, ROWS), against, limits=limits, pairs=PAIRS)


def _shuffled() -> Iterator[Measurement]:
    source = csv_file(ROWS, Order.SHUFFLED)
    sorting = _floor(floor.csv_slice_sorted, source)
    yield from compare("w1_shuffled", _ours(source, ROWS), [sorting], limits={"floor": 1.3}, pairs=PAIRS)


def _memory() -> Iterator[Measurement]:
    """Neither rows nor their disorder take memory in proportion."""
    for order in Order:
        source = csv_file(MANY_ROWS, order)
        yield from compare(f"w1_10m_{order}", _ours(source, MANY_ROWS), [], limits={"rss_mb": 1000}, pairs=1)


def _floor(run: Callable[..., object], source: Path) -> Subject:
    check = partial(check_slice, rows=ROWS)
    return Subject("floor", partial(run, source=source), check, variables=floor.VARIABLES)


def _tables(source: Path) -> Iterator[Subject]:
    check = partial(tables.check_parquet, rows=ROWS)
    yield Subject("pyarrow", partial(tables.pyarrow_csv, source=source), check)
    for name, run in {"datafusion": tables.datafusion_csv, "deltalake": tables.delta_csv}.items():
        yield Subject(name, partial(run, source=source), check, needs=(name,), imports=(name,))


def _ours(source: Path, rows: int) -> Subject:
    return Subject("push", partial(push_file, source=source), partial(check_pushed, rows=rows), prepare=ready_for_csv)
