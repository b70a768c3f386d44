"""The worker's side of name resolution: a DataFusion catalog whose tables are found when a query names them."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import datafusion
import pyarrow as pa
from datafusion.catalog import CatalogProvider, SchemaProvider, Table

from kamu_assets.datasets.point import Point
from kamu_assets.engines.listing import are_present, listing, may_hide_nan, trust_no_bounds
from kamu_assets.engines.session import empty_frame
from kamu_assets.engines.worker_process import ask
from kamu_assets.odf.arrow_schema import to_arrow, upgrade_legacy_schema
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.query.pack_plan import FAN
from kamu_assets.query.packs import Packing, Packs, forget_packs
from kamu_assets.query.questions import DescribeTable, FindTable, ListTables, TableFound, TableSpec

KAMU: Final = "kamu"
_CACHED_TABLES: Final = 64

T = TypeVar("T")


@dataclass(frozen=True)
class FoundTable:
    """A dataset as a query sees it."""

    id: DatasetID
    head: Multihash
    frame: datafusion.DataFrame
    table: Table
    spec: TableSpec
    packing: Packing
    may_hide_nan: bool

    @property
    def can_stay(self) -> bool:
        """Whether the files are there still, and as few as they can be."""
        return self.packing.is_complete and are_present(self.packing.locations)


def _described(context: datafusion.SessionContext, found: TableFound) -> FoundTable:
    spec: TableSpec = ask(DescribeTable(found))
    schema = arrow_schema(spec)
    packing = packing_of(spec, schema)
    frame = _frame(context, schema, packing.locations, spec.offset_column)
    hides = may_hide_nan(packing.locations, schema=schema)
    return FoundTable(found.id, found.head, frame, Table(frame), spec, packing, hides)


class _TableCache:
    """Tables of datasets at a block never change; a listing of thousands of slices is worth keeping."""

    def __init__(self) -> None:
        self._tables: OrderedDict[TableFound, FoundTable] = OrderedDict()

    def get(self, context: datafusion.SessionContext, found: TableFound) -> FoundTable:
        known = self._tables.get(found)
        if known is None or not known.can_stay:
            known = self._tables[found] = _described(context, found)
            if len(self._tables) > _CACHED_TABLES:
                self._tables.popitem(last=False)
        self._tables.move_to_end(found)
        return known

    def clear(self) -> None:
        self._tables.clear()


_TABLES = _TableCache()


def forget_tables() -> None:
    """Look at every file again, packs included."""
    _TABLES.clear()
    forget_packs()


class NamedDatasets(SchemaProvider):
    """The schema `kamu.kamu`: every dataset the caller may read, by alias or identity."""

    def __init__(self, context: datafusion.SessionContext) -> None:
        self._context = context
        self._described: dict[tuple[str, Point | None], FoundTable] = {}
        # After planning only the information schema looks at tables, at all of them.
        self.planning = True
        self.wants_columns = False
        # Whether the session is no longer one for any query.
        self.has_settings = False
        self.failure: BaseException | None = None

    @property
    def table_names(self) -> Any:
        """For `show tables` and the information schema. The base class has a method, the engine reads a list."""
        return list(_aside(lambda: ask(ListTables())))

    @property
    def owner_name(self) -> Any:
        return None

    def table(self, name: str) -> Table | None:
        """Called on the planning thread for each name that a query uses."""
        if self.planning or self.wants_columns:
            return self._found(name)
        return _aside(lambda: Table(empty_frame(self._context, pa.schema([]))))

    def table_exist(self, name: str) -> bool:
        return self.table(name) is not None

    def find(self, name: str, point: Point | None = None) -> FoundTable | None:
        """The dataset of this name now, or at a point."""
        key = name, point
        if key not in self._described:
            found: TableFound | None = ask(FindTable(name, is_read=self.planning, point=point))
            if found is None:
                return None
            self._described[key] = known = _TABLES.get(self._context, found)
            if known.may_hide_nan:
                trust_no_bounds(self._context)
                self.has_settings = True
        return self._described[key]

    def close(self) -> None:
        """Let go of the session, which holds this catalog in turn, where Python cannot see it."""
        del self._context
        self._described.clear()

    def aside(self, work: Callable[[], T]) -> T:
        """Work for DataFusion, which makes a text of what fails: the failure itself is kept."""
        try:
            return _aside(work)
        except BaseException as error:
            self.failure = error
            raise

    def _found(self, name: str) -> Table | None:
        found = self.aside(lambda: self.find(name))
        return None if found is None else found.table


class KamuCatalog(CatalogProvider):
    """The catalog `kamu` with its only schema."""

    def __init__(self, datasets: NamedDatasets) -> None:
        self._datasets = datasets

    def schema_names(self) -> set[str]:
        return {KAMU}

    def schema(self, name: str) -> Any:
        return self._datasets if name == KAMU else None


def arrow_schema(spec: TableSpec) -> pa.Schema:
    """The columns of a dataset; none before its first data."""
    event = spec.schema
    if event is None:
        return pa.schema([])
    if event.schema_ is not None:
        return to_arrow(event.schema_)
    return to_arrow(upgrade_legacy_schema(event.raw_arrow_schema or b""))


def packing_of(spec: TableSpec, schema: pa.Schema) -> Packing:
    """The files to read: slices, or what was made of many small ones."""
    locations = spec.locations
    if spec.packs is None or len(locations) < FAN or any("://" in location for location in locations):
        return Packing(locations, is_complete=True)
    return Packs(spec.packs, schema, spec.vocab).packing(spec.slices)


def frame_of(context: datafusion.SessionContext, spec: TableSpec) -> datafusion.DataFrame:
    """The slices themselves."""
    return _frame(context, arrow_schema(spec), spec.locations, spec.offset_column)


def _frame(
    context: datafusion.SessionContext, schema: pa.Schema, locations: Sequence[str], offset_column: str
) -> datafusion.DataFrame:
    if not locations:
        return empty_frame(context, schema)
    return listing(context, locations, schema=schema, sorted_by=offset_column)


def _aside(work: Callable[[], T]) -> T:
    """Run in a thread of its own: DataFusion calls back from inside its runtime, where its blocking calls panic."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again by the one who waits
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
