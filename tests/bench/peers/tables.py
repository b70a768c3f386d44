"""From a file to a table or a bare Parquet file: what other tools do in place of a slice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.bench import data
from tests.bench.peers.floor import csv_batches
from tests.bench.subject import expect


def pyarrow_csv(folder: Path, *, source: Path) -> Path:
    return _written_by_pyarrow(csv_batches(source), folder)


def datafusion_csv(folder: Path, *, source: Path) -> Path:
    import datafusion

    frame = datafusion.SessionContext().read_csv(str(source), schema=data.SCHEMA)
    return _written(frame, folder)


def datafusion_ndjson(folder: Path, *, source: Path) -> Path:
    import datafusion

    frame = datafusion.SessionContext().read_json(str(source), schema=data.SCHEMA, file_extension=".ndjson")
    return _written(frame, folder)


def delta_csv(folder: Path, *, source: Path) -> Path:
    from deltalake import write_deltalake

    write_deltalake(str(folder / "delta"), csv_batches(source))
    return folder / "delta"


def delta_ndjson(folder: Path, *, source: Path) -> Path:
    """By way of polars, as its users do."""
    import polars as pl
    from deltalake import write_deltalake

    types = {"id": pl.Int64, "symbol": pl.String, "note": pl.String, "price": pl.Float64, "qty": pl.Int64}
    frame = pl.read_ndjson(source, schema={**types, "event_time": pl.String})
    times = pl.col("event_time").str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", time_unit="ms", time_zone="UTC")
    write_deltalake(str(folder / "delta"), frame.with_columns(times))
    return folder / "delta"


def _written_by_pyarrow(batches: Any, folder: Path) -> Path:
    path = folder / "raw.parquet"
    with pq.ParquetWriter(path, data.SCHEMA, compression="snappy") as writer:
        for batch in batches:
            writer.write_batch(batch)
    return path


def check_parquet(place: Path, rows: int) -> None:
    """A file, or a folder of them; the rows of all together."""
    files = [place] if place.is_file() else list(place.rglob("*.parquet"))
    expect("rows", found=sum(pq.read_metadata(file).num_rows for file in files), wanted=rows)


def _written(frame: Any, folder: Path) -> Path:
    path = folder / "frame"
    path.mkdir()
    frame.write_parquet(f"{path}/", compression="snappy")
    return path
