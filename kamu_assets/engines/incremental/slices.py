"""The new rows of an input, without those that came too late."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import datafusion
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from kamu_assets.engines.engine import TransformRequestInput
from kamu_assets.engines.incremental.blocks import NEVER, watermarks_before
from kamu_assets.engines.incremental.types import with_text_views
from kamu_assets.engines.session import between, empty_frame
from kamu_assets.engines.slices.listing import check_present, listing, schema_from_ipc, tells_bounds_of_floats

_MILLIS: Final = pa.timestamp("ms", "UTC")
_CHUNK_ROWS: Final = 1 << 20

Offsets = npt.NDArray[np.int64]
Millis = npt.NDArray[np.int64]
NONE_LATE: Final[Offsets] = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Slice:
    """One file of new rows; what its footer says about event times, if it does."""

    path: str
    rows: int
    system_time: int
    oldest: int | None
    has_nulls: bool
    hides_nan: bool


class NewRows:
    """What came in since the last run."""

    def __init__(self, entry: TransformRequestInput, *, watermark: int) -> None:
        self.entry = entry
        self.schema: pa.Schema = schema_from_ipc(entry.schema)
        check_present(entry.data_paths)
        self.slices = [_slice(path, entry) for path in entry.data_paths]
        self._before = watermarks_before(
            [one.system_time for one in self.slices], entry.explicit_watermarks, carried=watermark
        )

    def chunks(self) -> Iterator[Sequence[Slice]]:
        """The slices in groups that fit memory; one group without slices if there are none."""
        chunk: list[Slice] = []
        for one in self.slices:
            if chunk and sum(part.rows for part in chunk) + one.rows > _CHUNK_ROWS:
                yield chunk
                chunk = []
            chunk.append(one)
        yield chunk

    def late(self, limit: Callable[[int], int]) -> Offsets:
        """Offsets of rows that are of no use: older than `limit(watermark before their block)`, or without a time."""
        found = [
            self._late_of(one, limit(before) if before != NEVER else NEVER)
            for one, before in zip(self.slices, self._before, strict=True)
        ]
        return np.concatenate([NONE_LATE, *found])

    def delayed(self) -> tuple[Offsets, Millis]:
        """Offsets of rows that came after their time or have none, and the watermark before their block."""
        found = [self._late_of(one, before) for one, before in zip(self.slices, self._before, strict=True)]
        marks = [np.full(offsets.size, before) for offsets, before in zip(found, self._before, strict=True)]
        return np.concatenate([NONE_LATE, *found]), np.concatenate([NONE_LATE, *marks])

    def frame(
        self, context: datafusion.SessionContext, slices: Sequence[Slice], *, text_views: bool = False
    ) -> datafusion.DataFrame:
        """Rows of these slices in offset order; with `text_views` texts stay where they were read."""
        interval = self.entry.offset_interval
        if not slices or interval is None:
            return empty_frame(context, self.schema)
        schema = with_text_views(self.schema) if text_views else self.schema
        hides_nan = any(one.hides_nan for one in slices)
        rows = listing(context, [one.path for one in slices], schema=schema, hides_nan=hides_nan)
        if sum(one.rows for one in self.slices) == interval.end - interval.start + 1:
            return rows
        return rows.filter(between(self.entry.vocab.offset_column, interval.start, interval.end))

    def parted(
        self, context: datafusion.SessionContext, slices: Sequence[Slice], late: Offsets, *, text_views: bool = False
    ) -> tuple[datafusion.DataFrame, datafusion.DataFrame]:
        """Rows of these slices that are in time, and those that are late."""
        if not late.size:
            return self.frame(context, slices, text_views=text_views), empty_frame(context, self.schema)
        table = self.frame(context, slices).to_arrow_table()
        is_late = np.isin(table[self.entry.vocab.offset_column].to_numpy(), late)
        return _as_frame(context, table.filter(pa.array(~is_late))), _as_frame(context, table.filter(pa.array(is_late)))

    def _late_of(self, one: Slice, limit: int) -> Offsets:
        if not one.has_nulls and (limit == NEVER or (one.oldest is not None and one.oldest >= limit)):
            return NONE_LATE
        vocab = self.entry.vocab
        with pq.ParquetFile(one.path) as file:
            table = file.read([vocab.offset_column, vocab.event_time_column])
        times = table[vocab.event_time_column]
        is_late = (times_in_millis(times) < limit) | times.is_null().to_numpy()
        found: Offsets = table[vocab.offset_column].to_numpy()[is_late]
        return found


def times_in_millis(times: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.int64]:
    """Event times as milliseconds since the epoch, a date as its midnight; nulls as 0."""
    if not pt.is_timestamp(times.type) or times.type.unit != "ms":
        times = times.cast(_MILLIS, safe=False)
    numbers: npt.NDArray[np.int64] = times.cast(pa.int64()).fill_null(0).to_numpy()
    return numbers


def _as_frame(context: datafusion.SessionContext, table: pa.Table) -> datafusion.DataFrame:
    return context.from_arrow(table) if table.num_rows else empty_frame(context, table.schema)


def _slice(path: str, entry: TransformRequestInput) -> Slice:
    vocab = entry.vocab
    with pq.ParquetFile(path) as file:
        footer = file.metadata
        system = _statistics(footer, vocab.system_time_column)
        times = _statistics(footer, vocab.event_time_column)
        moment = max((part.max_raw for part in system), default=None) if all(map(_is_in_millis, system)) else None
        if moment is None:
            column = file.read([vocab.system_time_column])[vocab.system_time_column]
            moment = int(times_in_millis(column).max(initial=NEVER))
    known = bool(times) and all(part is not None and part.has_min_max and part.has_null_count for part in times)
    return Slice(
        path=path,
        rows=footer.num_rows,
        system_time=moment,
        oldest=min(part.min_raw for part in times) if known and all(map(_is_in_millis, times)) else None,
        has_nulls=not known or any(part.null_count for part in times),
        hides_nan=tells_bounds_of_floats(footer),
    )


def _statistics(footer: Any, column: str) -> list[Any]:
    for index in range(footer.num_columns):
        if footer.num_row_groups and footer.row_group(0).column(index).path_in_schema == column:
            return [footer.row_group(group).column(index).statistics for group in range(footer.num_row_groups)]
    return []


def _is_in_millis(statistics: Any) -> bool:
    return (
        statistics is not None
        and statistics.has_min_max
        and '"timeUnit":"milliseconds"' in statistics.logical_type.to_json()
    )
