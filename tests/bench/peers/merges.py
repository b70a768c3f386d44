"""Merges by other tools. Tables are made before the clock starts; results are files or tables."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.merge_data import few
from tests.bench.peers import floor
from tests.bench.peers.sliced import Sliced
from tests.bench.subject import expect

_COLUMNS = ("event_time", "symbol", "note", "price", "qty")


def anti_join(folder: Path, *, old: tuple[Path, ...], new: Path) -> Path:
    """Ledger: rows of unseen keys, by one plain query over all of history."""
    return _written(_unseen(old, new), folder)


def anti_join_slice(folder: Path, *, old: tuple[Path, ...], new: Path) -> Sliced:
    """The same rows as a slice with both hashes, which is the least that a commit needs."""
    batches = _unseen(old, new)
    return floor.table_slice(pa.Table.from_batches(batches), folder)


def double_join(folder: Path, *, old: Path, new: Path) -> Path:
    """Snapshot: a full outer join that is planned twice, as upstream does."""
    context, joined, changes = _snapshot(old, new)
    return _written(context.sql(f"WITH cdc AS ({joined}) {changes}").collect(), folder)


def single_join(folder: Path, *, old: Path, new: Path) -> Path:
    """The same with the join kept in between."""
    context, joined, changes = _snapshot(old, new)
    context.register_record_batches("cdc", [context.sql(joined).collect()])
    return _written(context.sql(changes).collect(), folder)


def check_slice_rows(found: Sliced, rows: int) -> None:
    check_rows(found.path, rows)


def check_rows(path: Path, rows: int) -> None:
    expect("rows", found=pq.read_metadata(path).num_rows, wanted=rows)


@contextmanager
def warm(folder: Path) -> Iterator[Path]:
    """A folder, after a first query of each kind."""
    trial = folder / "trial"
    trial.mkdir()
    anti_join(trial, old=(few(0),), new=few(1))
    double_join(trial, old=few(0), new=few(1))
    yield folder


@contextmanager
def delta_table(folder: Path, *, table: Path) -> Iterator[Path]:
    """A copy of a table, after a merge into another one."""
    make_delta(folder / "trial", few(0))
    delta_upsert(folder / "trial", new=few(1))
    shutil.copytree(table, folder / "delta")
    yield folder / "delta"


def make_delta(place: Path, rows: Path) -> None:
    from deltalake import write_deltalake

    write_deltalake(str(place), pq.read_table(rows))


def delta_upsert(place: Path, *, new: Path) -> Path:
    _delta_merge(place, new).when_matched_update_all().when_not_matched_insert_all().execute()
    return place


def delta_snapshot(place: Path, *, new: Path) -> Path:
    merge = _delta_merge(place, new).when_matched_update_all().when_not_matched_insert_all()
    merge.when_not_matched_by_source_delete().execute()
    return place


def check_delta(place: Path, rows: int) -> None:
    from deltalake import DeltaTable

    expect("rows", found=DeltaTable(str(place)).to_pyarrow_dataset().count_rows(), wanted=rows)


def _delta_merge(place: Path, new: Path) -> Any:
    from deltalake import DeltaTable

    source = pq.read_table(new)
    return DeltaTable(str(place)).merge(source, "t.id = s.id", source_alias="s", target_alias="t")


def _snapshot(old: Path, new: Path) -> tuple[Any, str, str]:
    import datafusion

    context = datafusion.SessionContext()
    context.register_parquet("o", str(old))
    context.register_parquet("n", str(new))
    sides = ", ".join(f"o.{column} o_{column}, n.{column} n_{column}" for column in ("id", *_COLUMNS))
    differs = " OR ".join(f"(o.{column} IS DISTINCT FROM n.{column})" for column in _COLUMNS)
    joined = f"SELECT {sides} FROM o FULL OUTER JOIN n ON o.id = n.id WHERE {differs}"
    both = "o_id IS NOT NULL AND n_id IS NOT NULL"
    op = "CASE WHEN o_id IS NULL THEN 0 WHEN n_id IS NULL THEN 1 ELSE 3 END op"
    newest = ", ".join(f"CASE WHEN n_id IS NULL THEN o_{c} ELSE n_{c} END {c}" for c in ("id", *_COLUMNS))
    oldest = ", ".join(f"o_{column}" for column in ("id", *_COLUMNS))
    changes = f"SELECT {op}, {newest} FROM cdc UNION ALL SELECT 2, {oldest} FROM cdc WHERE {both} ORDER BY id, op"
    return context, joined, changes


def _unseen(old: tuple[Path, ...], new: Path) -> Any:
    import datafusion

    context = datafusion.SessionContext()
    for number, path in enumerate(old):
        context.register_parquet(f"old_{number}", str(path))
    context.register_parquet("new", str(new))
    history = " UNION ALL ".join(f"SELECT id FROM old_{number}" for number in range(len(old)))
    query = f"SELECT new.* FROM new LEFT ANTI JOIN ({history}) AS old ON new.id = old.id ORDER BY event_time"
    return context.sql(query).collect()


def _written(batches: Any, folder: Path) -> Path:
    path = folder / "result.parquet"
    pq.write_table(pa.Table.from_batches(batches), path, compression="snappy")
    return path
