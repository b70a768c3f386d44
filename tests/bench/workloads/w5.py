"""100k rows, half of them of known keys, into 2M: a ledger, and an upsert stream; the ledger also into 10M.

History took an equal batch just before, as it does in the life of a dataset: what ours keeps of history is as old as
that, and bringing it up to date is part of what is measured. Reading 2M integers takes a plain join no longer than
writing the slice takes either side: the join is judged at 10M, and ours by hardly growing from one to the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from tests.bench.measurement import Measurement
from tests.bench.merge_data import BATCH, batch, few, history
from tests.bench.merging import build_history, check_operations, push, with_history
from tests.bench.pairs import Environment, Subject, compare
from tests.bench.peers import duckdb_merges, merges

ROWS = 2_000_000
MANY_ROWS = 10_000_000
PAIRS = 5
_NEW = BATCH // 2
_LEDGER = "{kind: Ledger, primaryKey: [id]}"
_UPSERT = "{kind: UpsertStream, primaryKey: [id]}"


def measure() -> Iterator[Measurement]:
    with TemporaryDirectory(prefix="bench-w5-") as folder:
        place = Path(folder)
        build_history(place / "ledger", _LEDGER, _files(ROWS))
        yield from _ledger(place / "ledger", ROWS, "w5_ledger")
        build_history(place / "many", _LEDGER, _files(MANY_ROWS))
        yield from _flat(place)
        yield from _ledger(place / "many", MANY_ROWS, "w5_ledger_10m")
        build_history(place / "upsert", _UPSERT, _files(ROWS))
        yield from _upsert(place)


def _ledger(home: Path, rows: int, name: str) -> Iterator[Measurement]:
    old, new = tuple(_files(rows)), batch(rows, 1)
    sliced = partial(merges.anti_join_slice, old=old, new=new)
    bare = partial(merges.anti_join, old=old, new=new)
    theirs = [
        Subject("anti join", sliced, partial(merges.check_slice_rows, rows=_NEW), prepare=merges.warm),
        Subject("bare anti join", bare, partial(merges.check_rows, rows=_NEW), prepare=merges.warm),
    ]
    limits = {"rss_mb": 1000.0} | ({"anti join": 0.6} if rows == MANY_ROWS else {})
    yield from compare(name, _ours("ledger", home, rows, {0: _NEW}), theirs, limits=limits, pairs=PAIRS)


def _flat(place: Path) -> Iterator[Measurement]:
    """Five times the history takes hardly more."""
    ours = _ours("ledger into 10M", place / "many", MANY_ROWS, {0: _NEW})
    few = _ours("ledger into 2M", place / "ledger", ROWS, {0: _NEW})
    yield from compare("w5_ledger_flat", ours, [few], limits={few.name: 1.3}, pairs=PAIRS)


def _upsert(place: Path) -> Iterator[Measurement]:
    merges.make_delta(place / "delta", history(ROWS))
    # Their tables have not taken the batch before: its new keys are as new to them as those of this one.
    new, known = batch(ROWS, 1), ROWS + _NEW + _unknown(ROWS)
    against = [
        Subject(
            "deltalake",
            partial(merges.delta_upsert, new=new),
            partial(merges.check_delta, rows=known),
            prepare=partial(merges.delta_table, table=place / "delta"),
            needs=("deltalake",),
            imports=("deltalake",),
        ),
        Subject(
            "duckdb",
            partial(duckdb_merges.duckdb_upsert, new=new),
            partial(duckdb_merges.check_duckdb, rows=known),
            prepare=partial(duckdb_merges.duckdb_table, rows=history(ROWS), trial=few(1)),
            environment=Environment.PEERS,
            needs=("duckdb",),
            imports=("duckdb",),
        ),
    ]
    ours = _ours("upsert", place / "upsert", ROWS, {0: _NEW, 2: _NEW, 3: _NEW})
    yield from compare("w5_upsert", ours, against, limits={"deltalake": 0.25, "duckdb": 0.33}, pairs=PAIRS)


def _ours(name: str, home: Path, rows: int, operations: dict[int, int]) -> Subject:
    return Subject(
        name,
        partial(push, file=batch(rows, 1)),
        partial(check_operations, wanted=operations),
        prepare=partial(with_history, home=home),
    )


def _files(rows: int) -> list[Path]:
    return [history(rows), batch(rows, 0)]


def _unknown(rows: int) -> int:
    """How many rows of the measured batch update what only the batch before it has added."""
    ids = pq.read_table(batch(rows, 1), columns=["id"])["id"].to_numpy()
    return int(((ids >= rows) & (ids < rows + _NEW)).sum())
