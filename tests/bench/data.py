"""The rows of all workloads: seeded, so that both sides and every machine get the same bytes.

id int64 | event_time, to the millisecond, up to 2 s out of order | symbol, one of 500 | note, 16 random characters |
price float64 with two decimals | qty int64. Files are made once and kept in `.bench/`.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

FOLDER = Path(__file__).parents[2] / ".bench"
START_MILLIS = 1_700_000_000_000
MILLIS = pa.timestamp("ms", "UTC")
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("event_time", MILLIS),
        ("symbol", pa.string()),
        ("note", pa.string()),
        ("price", pa.float64()),
        ("qty", pa.int64()),
    ]
)
DDL = ("id BIGINT", "event_time TIMESTAMP", "symbol STRING", "note STRING", "price DOUBLE", "qty BIGINT")

_STEP_MILLIS = 100
_JITTER_MILLIS = 2000
_NOTE_LENGTH = 16
_PIECE = 1_000_000


def events(count: int, *, start: int = 0, seed: int = 7) -> pa.Table:
    """Rows numbered from `start`, in the order of their ids."""
    random = np.random.default_rng(seed + start)
    ids = np.arange(start, start + count, dtype=np.int64)
    times = START_MILLIS + ids * _STEP_MILLIS - random.integers(0, _JITTER_MILLIS, count)
    symbols = pa.array([f"SYM{number:04d}" for number in range(500)])
    columns = [
        pa.array(ids),
        pa.array(times, MILLIS),
        symbols.take(pa.array(random.integers(0, 500, count).astype(np.int32))),
        _notes(random, count),
        pa.array(np.round(random.gamma(2.0, 50.0, count), 2)),
        pa.array(random.integers(1, 1000, count)),
    ]
    return pa.table(columns, schema=SCHEMA)


class Order(StrEnum):
    """How rows follow each other, by their event time."""

    SORTED = "sorted"
    # Up to 2 s late.
    SHUFFLED = "shuffled"
    # A million rows at a time from the last to the first, and these up to 2 s late.
    BACKWARDS = "backwards"


def csv_file(count: int, order: Order) -> Path:
    """Events as CSV with a header."""
    return _kept(f"events-{count}-{order}.csv", count, order)


def ndjson_file(count: int, order: Order) -> Path:
    """The same as NDJSON."""
    return _kept(f"events-{count}-{order}.ndjson", count, order)


def _notes(random: np.random.Generator, count: int) -> pa.Array:
    alphabet = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz0123456789", dtype=np.uint8)
    letters = alphabet[random.integers(0, len(alphabet), count * _NOTE_LENGTH)]
    offsets = np.arange(0, _NOTE_LENGTH * count + 1, _NOTE_LENGTH, dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), count, [None, pa.py_buffer(offsets), pa.py_buffer(letters)])


def _kept(name: str, count: int, order: Order) -> Path:
    path = FOLDER / name
    if not path.exists():
        FOLDER.mkdir(exist_ok=True)
        unfinished = path.with_name(f"{name}.{os.getpid()}")
        _write(unfinished, count, order, as_csv=path.suffix == ".csv")
        unfinished.replace(path)
    return path


def _write(path: Path, count: int, order: Order, *, as_csv: bool) -> None:
    with path.open("wb") as file:
        held: pa.Table | None = None
        starts = range(0, count, _PIECE)
        for start in reversed(starts) if order is Order.BACKWARDS else starts:
            piece = events(min(_PIECE, count - start), start=start)
            if order is Order.SORTED:
                is_last = start + _PIECE >= count
                piece, held = _sorted(
                    piece, held, until=None if is_last else START_MILLIS + (start + _PIECE) * _STEP_MILLIS
                )
            _append(file, piece, as_csv=as_csv, header=file.tell() == 0)


def _sorted(piece: pa.Table, held: pa.Table | None, *, until: int | None) -> tuple[pa.Table, pa.Table | None]:
    """Rows in order, and those that rows of the next piece may come before."""
    table = piece if held is None else pa.concat_tables([held, piece])
    times = table["event_time"].cast(pa.int64()).to_numpy()
    table = table.take(pa.array(np.argsort(times, kind="stable")))
    if until is None:
        return table, None
    done = pc.sum(pc.less(table["event_time"].cast(pa.int64()), until - _JITTER_MILLIS)).as_py()
    return table.slice(0, done), table.slice(done)


def _append(file: Any, piece: pa.Table, *, as_csv: bool, header: bool) -> None:
    import polars as pl

    frame = pl.DataFrame(pl.from_arrow(piece))
    frame = frame.with_columns(pl.col("event_time").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
    if as_csv:
        frame.write_csv(file, include_header=header)
    else:
        frame.write_ndjson(file)
