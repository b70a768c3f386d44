"""A dataset at a block, as a query sees it: all of it, or the files that matter."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

import datafusion
import pyarrow as pa
from datafusion.catalog import Table

from kamu_assets.engines.session import between, empty_frame
from kamu_assets.engines.slices.listing import are_present, listing
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.query.plans.filter_bounds import Bounds
from kamu_assets.query.questions import TableSpec
from kamu_assets.query.tables.file_bounds import time_bounds
from kamu_assets.query.tables.packs import Packing

_CACHED_PARTS: Final = 4


@dataclass(frozen=True)
class FoundTable:
    """A dataset as a query sees it."""

    id: DatasetID
    head: Multihash
    frame: datafusion.DataFrame
    table: Table
    # Without slices, of which there may be many.
    spec: TableSpec
    packing: Packing
    may_hide_nan: bool
    # Where its tables are made.
    context: datafusion.SessionContext
    # Tables of some of its files, from an offset on.
    parts: dict[tuple[tuple[str, ...], int], Table] = field(default_factory=dict)
    # The part that a query needed, by its text.
    likely: dict[str, Table] = field(default_factory=dict)

    @property
    def num_records(self) -> int:
        """How many rows it has."""
        return sum(self.packing.records)

    @property
    def bounded_columns(self) -> tuple[str, ...]:
        """Those of which it is known what a file has of them, without reading it."""
        vocab = self.spec.vocab
        return vocab.offset_column, vocab.event_time_column, vocab.system_time_column

    def newest(self, count: int) -> Table | None:
        """Only the last rows, so many of them, unless that is all of them.

        Offsets are numbers in a row, from 0 on (ODF: Offset).
        """
        total, column = self.num_records, self.spec.offset_column
        if total <= count:
            return None
        return self._part(self._within({column: Bounds(low=total - count)}), first=total - count)

    def within(self, bounds: Mapping[str, Bounds]) -> Table | None:
        """Only the files that may hold rows within bounds, unless that is all of them."""
        # At least one: the plan for none is of another kind.
        locations = self._within(bounds) or self.packing.locations[:1]
        return None if len(locations) == len(self.packing.locations) else self._part(locations)

    def expect(self, sql: str, part: Table) -> None:
        """The same text, when it comes again, is likely to need the same."""
        if len(self.likely) >= _CACHED_PARTS:
            self.likely.clear()
        self.likely[sql] = part

    def _within(self, bounds: Mapping[str, Bounds]) -> tuple[str, ...]:
        files = zip(self.packing.locations, *map(self._bounds, bounds), strict=True)
        return tuple(location for location, *known in files if all(map(Bounds.meet, bounds.values(), known)))

    def _bounds(self, column: str) -> Iterable[Bounds]:
        """Of each file."""
        records, locations = self.packing.records, self.packing.locations
        if column == self.spec.offset_column:
            return (Bounds(end - count, end - 1) for count, end in zip(records, accumulate(records), strict=True))
        if column not in self.bounded_columns:
            return (Bounds() for _ in locations)
        data_type = str(self.frame.schema().field(column).type)
        return (time_bounds(location, column, data_type) for location in locations)

    def _part(self, locations: tuple[str, ...], first: int = 0) -> Table:
        """These files from an offset on; the same is often asked for again."""
        key = locations, first
        if key not in self.parts:
            if len(self.parts) >= _CACHED_PARTS:
                self.parts.clear()
            self.parts[key] = self._made(locations, first)
        return self.parts[key]

    def _made(self, locations: Sequence[str], first: int) -> Table:
        column = self.spec.offset_column
        frame = frame_over(self.context, self.frame.schema(), locations, column)
        return Table(frame.filter(between(column, first, self.num_records - 1)) if first else frame)

    @property
    def can_stay(self) -> bool:
        """Whether the files are there still, and as few as they can be."""
        return self.packing.is_complete and are_present(self.packing.locations)


def frame_over(
    context: datafusion.SessionContext, schema: pa.Schema, locations: Sequence[str], offset_column: str
) -> datafusion.DataFrame:
    """The rows of files whose rows are in the order of their offsets."""
    if not locations:
        return empty_frame(context, schema)
    return listing(context, locations, schema=schema, sorted_by=offset_column)
