"""The order of output rows: event time, then all columns as they stand, then the order of the input."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from kamu_assets.engines.incremental.slices import times_in_millis


def in_total_order(table: pa.Table, time: str) -> pa.Table:
    """Rows in their order; nulls come last. Columns of lists and structs do not count."""
    times = times_in_millis(table[time])
    if table[time].null_count:
        times = np.where(table[time].is_null().to_numpy(), np.iinfo(np.int64).max, times)
    if times.size < 2 or bool(np.all(times[1:] > times[:-1])):  # noqa: PLR2004 - one row is in order
        return table
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    tied = np.zeros(times.size, np.bool_)
    same = ordered[1:] == ordered[:-1]
    tied[1:] |= same
    tied[:-1] |= same
    if _is_in_order(table, time, times):
        return table
    if tied.any():
        order[tied] = _sorted(table, order[tied], time)
    return table.take(pa.array(order))


def sort_rows(table: pa.Table) -> pa.Table:
    """Rows by all columns from left to right."""
    return table.take(pc.sort_indices(table, sort_keys=[(name, "ascending") for name in _sortable(table)]))


def _is_in_order(table: pa.Table, time: str, times: np.ndarray) -> bool:
    """Whether rows are in order by time and the first other column alone: told without sorting them."""
    first = next((name for name in _sortable(table) if name != time), None)
    if first is None or not (pt.is_string(table[first].type) or pt.is_integer(table[first].type)):
        return False
    values = table[first].combine_chunks()
    rises = pc.fill_null(pc.less(values[:-1], values[1:]), False).to_numpy(zero_copy_only=False)
    return bool(np.all((times[1:] > times[:-1]) | ((times[1:] == times[:-1]) & rises)))


def _sorted(table: pa.Table, rows: np.ndarray, time: str) -> np.ndarray:
    names = [time, *(name for name in _sortable(table) if name != time)]
    part = table.select(names).take(pa.array(rows))
    found: np.ndarray = rows[pc.sort_indices(part, sort_keys=[(name, "ascending") for name in names]).to_numpy()]
    return found


def _sortable(table: pa.Table) -> list[str]:
    return [field.name for field in table.schema if not pt.is_nested(field.type) and not pt.is_null(field.type)]
