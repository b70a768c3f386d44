"""What must happen at least to follow a dataset slice by slice, and one query over everything at once.

The floor of a window: group the new slice, add what was open, keep what is not closed. Of a join: look up the newest
earlier version of each row, keep rows that wait and the versions they may meet. Of a filter: filter. Each writes its
slices with both hashes, and for each slice a block and a reference, all synced with the folder that holds their names,
as the least that a commit can be.

What is kept is a checkpoint (ODF: Checkpoint): a file of its own after each slice, hashed and synced as its block names
it, and all that the next step knows; an input is read once. Not in the floor, as no rule asks for them: finding rows
that are late, and an order of rows of one event time that holds for every cut.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.bench import data
from tests.bench.peers.digest import RecordDigest
from tests.bench.subject import expect

HOUR = 3_600_000
# The first change of rates: before any event.
FIRST_RATE = data.START_MILLIS - 2 * HOUR
# Rows are at most so much behind the newest one.
LATE_MILLIS = 2_000
_SYMBOLS = 500


@dataclass(frozen=True, slots=True)
class Followed:
    """What the whole output must be."""

    rows: int
    sums: dict[str, float]

    def check(self, table: pa.Table, *, late: int = 0) -> None:
        expect("late rows", found=late, wanted=0)
        expect("rows", found=table.num_rows, wanted=self.rows)
        for name, total in self.sums.items():
            found = pc.sum(table[name]).as_py()
            expect(f"sum of {name}", found=abs(found - total) <= 1e-9 * abs(total), wanted=True)


def slice_rows(start: int, count: int) -> pa.Table:
    """Events as rows of a dataset."""
    return _as_dataset(data.events(count, start=start), start)


def rate_rows(events: int) -> pa.Table:
    """For each symbol a rate that changes every hour, from before the first event on."""
    hours = events * 100 // HOUR + 3
    numbers = np.arange(hours * _SYMBOLS)
    return _as_dataset(
        pa.table(
            {
                "event_time": pa.array(FIRST_RATE + numbers // _SYMBOLS * HOUR, data.MILLIS),
                "symbol": pa.array([f"SYM{number:04d}" for number in range(_SYMBOLS)]).take(
                    pa.array(numbers % _SYMBOLS)
                ),
                "rate": pa.array(1 + (numbers % 97) / 100),
            }
        ),
        0,
    )


def kept_slices(rows: int, slices: int) -> list[Path]:
    """The events as Parquet files, made once."""
    folder = data.FOLDER / f"slices-{rows}-{slices}"
    folder.mkdir(parents=True, exist_ok=True)
    size = rows // slices
    for number in range(slices):
        path = folder / f"{number:03d}.parquet"
        if not path.exists():
            pq.write_table(slice_rows(number * size, size), path)
    return sorted(folder.glob("*.parquet"))


def windows(folder: Path, *, sources: list[Path]) -> pa.Table:
    """The floor of hourly windows."""
    output = []
    for number, source in enumerate(sources):
        groups = _grouped({"s": source}, _GROUP)
        if number:
            (state,) = _carried(folder / f"{number - 1}", 1)
            groups = _grouped({"a": state, "b": groups}, _MERGE)
        closed = pc.less_equal(pc.multiply(pc.add(groups["w"], 1), HOUR), watermark_after(source))
        rows = groups.filter(closed).sort_by([("w", "ascending"), ("symbol", "ascending")])
        output.append(_write(folder / f"{number}", rows, carried=[groups.filter(pc.invert(closed))]))
    return pa.concat_tables(output)


def joins(folder: Path, *, sources: list[Path]) -> pa.Table:
    """The floor of a temporal join."""
    import polars as pl

    output = []
    for number, source in enumerate(sources):
        rows = pq.read_table(source, columns=["event_time", "symbol", "qty", "price"])
        if number:
            waiting, versions = _carried(folder / f"{number - 1}", 2)
            rows = pa.concat_tables([waiting, rows])
        else:
            versions = pq.read_table(kept_rates(_count(sources)), columns=["event_time", "symbol", "rate"])
        moment = watermark_after(source)
        decided = pc.less(rows["event_time"].cast(pa.int64()), moment)
        stream, rates = pl.from_arrow(rows.filter(decided)), pl.from_arrow(versions)
        assert isinstance(stream, pl.DataFrame)
        assert isinstance(rates, pl.DataFrame)
        rates = rates.set_sorted("event_time")
        found = stream.sort("event_time").join_asof(rates, on="event_time", by="symbol", check_sortedness=False)
        found = found.select("event_time", "symbol", "qty", (pl.col("price") * pl.col("rate")).alias("amount"))
        is_past = pl.col("event_time").cast(pl.Int64) <= moment
        valid = rates.filter(is_past).unique("symbol", keep="last", maintain_order=True)
        needed = pl.concat([valid, rates.filter(~is_past)])
        left = [rows.filter(pc.invert(decided)), _as_plain(needed.to_arrow())]
        output.append(_write(folder / f"{number}", _as_plain(found.to_arrow()), carried=left))
    return pa.concat_tables(output)


def filters(folder: Path, *, sources: list[Path]) -> pa.Table:
    """The floor of a filter."""
    columns = "event_time, symbol, note, price, qty * 2 AS qty"
    output = []
    for number, source in enumerate(sources):
        found = _grouped({"s": source}, f"SELECT {columns} FROM s WHERE qty > 500")
        output.append(_write(folder / f"{number}", found))
    return pa.concat_tables(output)


def kept_rates(events: int) -> Path:
    """The rates as a Parquet file, made once."""
    path = data.FOLDER / f"rates-{events}.parquet"
    if not path.exists():
        pq.write_table(rate_rows(events), path)
    return path


def one_shot(folder: Path, *, sources: list[Path], query: str) -> pa.Table:
    """One plain query over all rows, its result written like a slice; `s` are the events, `t` the rates."""
    import datafusion

    context = datafusion.SessionContext()
    context.register_parquet("s", str(sources[0].parent))
    context.register_record_batches("t", [rate_rows(_count(sources)).to_batches()])
    found = context.sql(query).to_arrow_table()
    return _write(folder / "all", _as_plain(found))


def check_rows(table: pa.Table, *, wanted: Followed) -> None:
    wanted.check(table)


_GROUP = f"""SELECT CAST(event_time AS BIGINT) / {HOUR} AS w, symbol, count(*) AS n,
    sum(qty) AS qty, max(price) AS price FROM s GROUP BY 1, 2"""
_MERGE = """SELECT w, symbol, sum(n) AS n, sum(qty) AS qty, max(price) AS price
    FROM (SELECT * FROM a UNION ALL SELECT * FROM b) GROUP BY 1, 2"""


def _as_dataset(table: pa.Table, start: int) -> pa.Table:
    count = table.num_rows
    system = {
        "offset": pa.array(np.arange(start, start + count)),
        "op": pa.array(np.zeros(count, np.int32)),
        "system_time": pa.array(np.full(count, data.START_MILLIS), data.MILLIS),
        "event_time": table["event_time"],
    }
    return pa.table({**system, **{name: table[name] for name in table.column_names if name != "event_time"}})


def _count(sources: list[Path]) -> int:
    return sum(int(pq.read_metadata(path).num_rows) for path in sources)


def watermark_after(source: Path) -> int:
    """The watermark that comes with a slice."""
    footer = pq.read_metadata(source)
    index = footer.schema.to_arrow_schema().get_field_index("event_time")
    newest = max(footer.row_group(group).column(index).statistics.max_raw for group in range(footer.num_row_groups))
    return int(newest) - LATE_MILLIS


def _grouped(tables: dict[str, Any], query: str) -> pa.Table:
    import datafusion

    context = datafusion.SessionContext(datafusion.SessionConfig().with_target_partitions(1))
    for name, table in tables.items():
        if isinstance(table, Path):
            context.register_parquet(name, str(table))
        else:
            context.register_record_batches(name, [table.to_batches()])
    return _as_plain(context.sql(query).to_arrow_table())


def _as_plain(table: pa.Table) -> pa.Table:
    return table.cast(pa.schema(list(_plain(table.schema))))


def _plain(schema: pa.Schema) -> Iterator[pa.Field]:
    for field in schema:
        is_text = pa.types.is_string_view(field.type) or pa.types.is_large_string(field.type)
        yield pa.field(field.name, pa.string() if is_text else field.type)


def _carried(path: Path, tables: int) -> list[pa.Table]:
    """What the step before kept."""
    with path.with_suffix(".checkpoint").open("rb") as file:
        return [pa.ipc.open_stream(file).read_all() for _ in range(tables)]


def _write(path: Path, table: pa.Table, *, carried: Sequence[pa.Table] = ()) -> pa.Table:
    count = table.num_rows
    moments = pa.array(np.zeros(count, np.int64), data.MILLIS)
    system = {"offset": np.arange(count), "op": np.zeros(count, np.int32), "system_time": moments}
    full = pa.table({**system, **{name: table[name] for name in table.column_names}})
    digest = RecordDigest(full.schema)
    for batch in full.to_batches():
        digest.update(batch)
    pq.write_table(full, path)
    names = [digest.hexdigest(), _synced(path)]
    if carried:
        checkpoint = path.with_suffix(".checkpoint")
        with checkpoint.open("wb") as file:
            for part in carried:
                with pa.ipc.new_stream(file, part.schema) as stream:
                    stream.write_table(part.combine_chunks())
        names.append(_synced(checkpoint))
    for name in ("block", "reference"):
        with path.with_suffix(f".{name}").open("w") as file:
            file.write(" ".join(names))
            file.flush()
            os.fsync(file.fileno())
    _sync_names(path.parent)
    return table


def _sync_names(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _synced(path: Path) -> str:
    """The physical hash of a file that stays."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha3_256").hexdigest()
