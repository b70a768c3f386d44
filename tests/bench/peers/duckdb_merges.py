"""Merges by duckdb. Its environment has nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.subject import expect

_COLUMNS = ("event_time", "symbol", "note", "price", "qty")


@contextmanager
def duckdb_table(folder: Path, *, rows: Path, trial: Path) -> Iterator[Any]:
    """A table on disk, after a first query."""
    import duckdb  # type: ignore[import-not-found] # lives in the environment of the peers

    connection = duckdb.connect(str(folder / "events.duckdb"))
    connection.execute(f"CREATE TABLE t AS SELECT * FROM '{rows}'")
    connection.execute("CHECKPOINT")
    connection.execute(f"SELECT count(*) FROM t JOIN '{trial}' AS s ON t.id = s.id").fetchall()
    yield connection
    connection.close()


def duckdb_upsert(connection: Any, *, new: Path) -> Any:
    sets = ", ".join(f"{column} = s.{column}" for column in _COLUMNS)
    values = ", ".join(f"s.{column}" for column in ("id", *_COLUMNS))
    connection.execute(
        f"MERGE INTO t USING '{new}' AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET {sets} "
        f"WHEN NOT MATCHED THEN INSERT (id, {', '.join(_COLUMNS)}) VALUES ({values})"
    )
    connection.execute("CHECKPOINT")
    return connection


def check_duckdb(connection: Any, rows: int) -> None:
    expect("rows", found=connection.execute("SELECT count(*) FROM t").fetchone()[0], wanted=rows)
