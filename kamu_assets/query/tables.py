"""The worker's side of name resolution: a DataFusion catalog whose tables are found when a query names them."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, TypeVar

import datafusion
import pyarrow as pa
from datafusion.catalog import CatalogProvider, SchemaProvider, Table

from kamu_assets.engines.listing import listing
from kamu_assets.engines.worker_process import ask
from kamu_assets.odf.arrow_schema import to_arrow, upgrade_legacy_schema
from kamu_assets.query.questions import DescribeTable, FindTable, ListTables, TableFound, TableSpec

KAMU: Final = "kamu"
_CACHED_TABLES: Final = 64

T = TypeVar("T")


class _TableCache:
    """Tables of datasets at a block never change; a listing of thousands of slices is worth keeping."""

    def __init__(self) -> None:
        self._tables: OrderedDict[TableFound, Table] = OrderedDict()

    def get(self, found: TableFound, make: Callable[[], Table]) -> Table:
        table = self._tables.get(found)
        if table is None:
            table = self._tables[found] = make()
            if len(self._tables) > _CACHED_TABLES:
                self._tables.popitem(last=False)
        self._tables.move_to_end(found)
        return table


_TABLES = _TableCache()


class NamedDatasets(SchemaProvider):
    """The schema `kamu.kamu`: every dataset the caller may read, by alias or identity."""

    def __init__(self, context: datafusion.SessionContext) -> None:
        self._context = context
        self._described: dict[str, Table] = {}
        # After planning only the information schema looks at tables, at all of them.
        self.planning = True
        self.wants_columns = False

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
            return _aside(lambda: self._find(name))
        return _aside(lambda: _empty_table(self._context, pa.schema([])))

    def table_exist(self, name: str) -> bool:
        return self.table(name) is not None

    def _find(self, name: str) -> Table | None:
        if name not in self._described:
            found: TableFound | None = ask(FindTable(name, is_read=self.planning))
            if found is None:
                return None
            self._described[name] = _TABLES.get(found, lambda: _table(self._context, ask(DescribeTable(found))))
        return self._described[name]


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


def frame_of(context: datafusion.SessionContext, spec: TableSpec) -> datafusion.DataFrame:
    schema = arrow_schema(spec)
    if not spec.locations:
        return context.from_arrow(schema.empty_table())
    return listing(context, spec.locations, schema=schema, sorted_by=spec.offset_column)


def _table(context: datafusion.SessionContext, spec: TableSpec) -> Table:
    return Table(frame_of(context, spec))


def _empty_table(context: datafusion.SessionContext, schema: pa.Schema) -> Table:
    return Table(context.from_arrow(schema.empty_table()))


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
