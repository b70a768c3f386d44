"""NDJSON of 2M rows, pushed as a file until its block is committed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.bench.data import Order, ndjson_file
from tests.bench.ingest import check_pushed, push_file, ready_for_ndjson
from tests.bench.measurement import Measurement
from tests.bench.pairs import Subject, compare
from tests.bench.peers import floor, tables
from tests.bench.peers.sliced import check_slice

ROWS = 2_000_000
PAIRS = 5


def measure() -> Iterator[Measurement]:
    source = ndjson_file(ROWS, Order.SORTED)
    check = partial(check_pushed, rows=ROWS)
    ours = Subject("push", partial(push_file, source=source), check, prepare=ready_for_ndjson)
    slicing = Subject("floor", partial(floor.ndjson_slice, source=source), partial(check_slice, rows=ROWS))
    against = [slicing]
    for name, run in {"datafusion": tables.datafusion_ndjson, "deltalake": tables.delta_ndjson}.items():
        rows = partial(tables.check_parquet, rows=ROWS)
        against.append(Subject(name, partial(run, source=source), rows, needs=(name,), imports=(name, "polars")))
    # The reference takes 1.05 times the floor as it is, without the memory of our workers.
    yield from compare("w2", ours, against, limits={"datafusion": 1.8, "floor": 1.05}, pairs=PAIRS)
