"""Tables of datasets at a block, as a worker keeps them."""

from collections import OrderedDict
from dataclasses import replace
from functools import cache
from typing import Final

import datafusion
import pyarrow as pa
from datafusion.catalog import Table

from kamu_assets.engines.session import session
from kamu_assets.engines.slices.listing import may_hide_nan
from kamu_assets.engines.workers.process import ask
from kamu_assets.odf.arrow_schema import to_arrow, upgrade_legacy_schema
from kamu_assets.query.questions import DescribeTable, TableFound, TableSpec
from kamu_assets.query.tables.found import FoundTable, frame_over
from kamu_assets.query.tables.pack_plan import FAN
from kamu_assets.query.tables.packs import Packing, Packs, forget_packs
from kamu_assets.query.tables.text_views import with_views

_CACHED_TABLES: Final = 64
_SHELF_BYTES: Final = 64 << 20


@cache
def _shelf() -> datafusion.SessionContext:
    """Where tables are made: they hold on to their session, so it is none that queries run in."""
    return session("tables", memory_bytes=_SHELF_BYTES)


def _described(found: TableFound, *, from_packs: bool) -> FoundTable:
    spec: TableSpec = ask(DescribeTable(found))
    schema = arrow_schema(spec)
    packing = packing_of(spec, schema) if from_packs else Packing.of_slices(spec.slices)
    hides = may_hide_nan(packing.locations, schema=schema)
    context = session("tables", memory_bytes=_SHELF_BYTES) if hides else _shelf()
    frame = frame_over(context, with_views(schema), packing.locations, spec.offset_column)
    return FoundTable(found.id, found.head, frame, Table(frame), replace(spec, slices=()), packing, hides, context)


class TableCache:
    """Tables of datasets at a block never change; a listing of thousands of slices is worth keeping."""

    def __init__(self) -> None:
        self._tables: OrderedDict[tuple[TableFound, bool], FoundTable] = OrderedDict()

    def get(self, found: TableFound, *, from_packs: bool) -> FoundTable:
        """The table; its rows from the slices themselves if not `from_packs`."""
        known = self.known(found, from_packs=from_packs)
        if known is None:
            known = self._tables[found, from_packs] = _described(found, from_packs=from_packs)
            if len(self._tables) > _CACHED_TABLES:
                self._tables.popitem(last=False)
        return known

    def known(self, found: TableFound, *, from_packs: bool) -> FoundTable | None:
        """The same if it was made before and can stay."""
        known = self._tables.get((found, from_packs))
        if known is None or not known.can_stay:
            return None
        self._tables.move_to_end((found, from_packs))
        return known

    def clear(self) -> None:
        self._tables.clear()


TABLES: Final = TableCache()


def forget_tables() -> None:
    """Look at every file again, packs included."""
    TABLES.clear()
    forget_packs()


def arrow_schema(spec: TableSpec) -> pa.Schema:
    """The columns of a dataset; none before its first data."""
    event = spec.schema
    if event is None:
        return pa.schema([])
    if event.schema_ is not None:
        return to_arrow(event.schema_)
    return to_arrow(upgrade_legacy_schema(event.raw_arrow_schema or b""))


def empty_table(schema: pa.Schema) -> Table:
    """No rows of these columns: a base table, where a frame would be a view to tools that list tables."""
    from pyarrow.dataset import dataset

    return Table(dataset(schema.empty_table()))


def packing_of(spec: TableSpec, schema: pa.Schema) -> Packing:
    """The files to read: slices, or what was made of many small ones."""
    locations = spec.locations
    if spec.packs is None or len(locations) < FAN or any("://" in location for location in locations):
        return Packing.of_slices(spec.slices)
    return Packs(spec.packs, schema, spec.vocab).packing(spec.slices)


def frame_of(context: datafusion.SessionContext, spec: TableSpec) -> datafusion.DataFrame:
    """The slices themselves."""
    return frame_over(context, arrow_schema(spec), spec.locations, spec.offset_column)
