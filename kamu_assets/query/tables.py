"""The worker's side of name resolution: a DataFusion catalog whose tables are found when a query names them."""

import threading
import weakref
from collections.abc import Callable
from typing import Any, Final, TypeVar

import datafusion
import pyarrow as pa
from datafusion.catalog import CatalogProvider, SchemaProvider, Table

from kamu_assets.datasets.point import Point
from kamu_assets.engines.listing import trust_no_bounds
from kamu_assets.engines.worker_process import ask
from kamu_assets.query.questions import DescribeTable, FindTable, ListTables, TableFound
from kamu_assets.query.table_cache import TABLES, FoundTable, arrow_schema, empty_table

KAMU: Final = "kamu"

T = TypeVar("T")


class NamedDatasets(SchemaProvider):
    """The schema `kamu.kamu`: every dataset the caller may read, by alias or identity."""

    def __init__(self, context: datafusion.SessionContext, *, from_packs: bool = True) -> None:
        self._from_packs = from_packs
        # The session holds this catalog, where Python cannot see it: each would keep the other for ever.
        self._context = weakref.ref(context)
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
        return self.aside(lambda: self._read(name) if self.planning else self._shown(name))

    def table_exist(self, name: str) -> bool:
        return self.table(name) is not None

    def find(self, name: str, point: Point | None = None) -> FoundTable | None:
        """The dataset of this name now, or at a point."""
        key = name, point
        if key not in self._described:
            found: TableFound | None = ask(FindTable(name, is_read=True, point=point))
            if found is None:
                return None
            self._described[key] = known = TABLES.get(found, from_packs=self._from_packs)
            context = self._context()
            if known.may_hide_nan and context is not None:
                trust_no_bounds(context)
                self.has_settings = True
        return self._described[key]

    def aside(self, work: Callable[[], T]) -> T:
        """Work for DataFusion, which makes a text of what fails: the failure itself is kept."""
        try:
            return _aside(work)
        except BaseException as error:
            self.failure = error
            raise

    def _read(self, name: str) -> Table | None:
        found = self.find(name)
        return None if found is None else found.table

    def _shown(self, name: str) -> Table | None:
        """For the information schema, which looks at all tables, and at their columns if at anything."""
        schema = pa.schema([])
        if self.wants_columns:
            found: TableFound | None = ask(FindTable(name, is_read=False))
            if found is None:
                return None
            schema = arrow_schema(ask(DescribeTable(found, only_columns=True)))
        return empty_table(schema)


class KamuCatalog(CatalogProvider):
    """The catalog `kamu` with its only schema."""

    def __init__(self, datasets: NamedDatasets) -> None:
        self._datasets = datasets

    def schema_names(self) -> set[str]:
        return {KAMU}

    def schema(self, name: str) -> Any:
        return self._datasets if name == KAMU else None


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
