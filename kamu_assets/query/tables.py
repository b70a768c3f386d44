"""The worker's side of name resolution: a DataFusion catalog whose tables are found when a query names them."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, TypeVar

import datafusion
import pyarrow as pa
from datafusion.catalog import CatalogProvider, SchemaProvider, Table

from kamu_assets.engines.listing import check_present, listing
from kamu_assets.engines.session import empty_frame
from kamu_assets.engines.worker_process import ask
from kamu_assets.errors import KamuError
from kamu_assets.odf.arrow_schema import to_arrow, upgrade_legacy_schema
from kamu_assets.query.questions import DescribeTable, FindTable, ListTables, TableFound, TableSpec

KAMU: Final = "kamu"
_CACHED_TABLES: Final = 64

T = TypeVar("T")


class _TableCache:
    """Tables of datasets at a block never change; a listing of thousands of slices is worth keeping."""

    def __init__(self) -> None:
        self._tables: OrderedDict[TableFound, tuple[Table, TableSpec]] = OrderedDict()

    def get(self, context: datafusion.SessionContext, found: TableFound) -> Table:
        known = self._tables.get(found)
        if known is None:
            spec: TableSpec = ask(DescribeTable(found))
            known = self._tables[found] = Table(frame_of(context, spec)), spec
            if len(self._tables) > _CACHED_TABLES:
                self._tables.popitem(last=False)
        else:
            check_present(known[1].locations)
        self._tables.move_to_end(found)
        return known[0]


_TABLES = _TableCache()


class NamedDatasets(SchemaProvider):
    """The schema `kamu.kamu`: every dataset the caller may read, by alias or identity."""

    def __init__(self, context: datafusion.SessionContext) -> None:
        self._context = context
        self._described: dict[str, Table] = {}
        # After planning only the information schema looks at tables, at all of them.
        self.planning = True
        self.wants_columns = False
        self.failure: KamuError | None = None

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

    def _found(self, name: str) -> Table | None:
        try:
            return _aside(lambda: self._find(name))
        except KamuError as error:
            # DataFusion makes a text of it.
            self.failure = error
            raise

    def _find(self, name: str) -> Table | None:
        if name not in self._described:
            found: TableFound | None = ask(FindTable(name, is_read=self.planning))
            if found is None:
                return None
            self._described[name] = _TABLES.get(self._context, found)
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
        return empty_frame(context, schema)
    return listing(context, spec.locations, schema=schema, sorted_by=spec.offset_column)


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
