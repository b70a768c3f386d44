"""The worker's side of name resolution: a DataFusion catalog whose tables are found when a query names them."""

import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import datafusion
import pyarrow as pa
from datafusion.catalog import CatalogProvider, SchemaProvider, Table

from kamu_assets.datasets.chains.point import Point
from kamu_assets.engines.slices.listing import trust_no_bounds
from kamu_assets.engines.workers.process import ask
from kamu_assets.query.questions import DescribeTable, FindTable, ListTables, TableFound
from kamu_assets.query.sessions import KAMU
from kamu_assets.query.tables.cache import TABLES, arrow_schema, empty_table
from kamu_assets.query.tables.found import FoundTable
from kamu_assets.query.tables.text_views import with_views

T = TypeVar("T")


class NamedDatasets(SchemaProvider):
    """The schema `kamu.kamu`: every dataset the caller may read, by alias or identity."""

    def __init__(
        self,
        context: datafusion.SessionContext,
        *,
        from_packs: bool = True,
        known: Iterable[tuple[FindTable, TableFound]] = (),
        sql: str = "",
    ) -> None:
        self._from_packs = from_packs
        self._sql = sql
        self._answers = dict(known)
        # The session holds this catalog, where Python cannot see it: each would keep the other for ever.
        self._context = weakref.ref(context)
        self._described: dict[tuple[str, Point | None], FoundTable] = {}
        # The part of the only dataset that is shown; None for all.
        self.part: Table | None = None
        self._has_read = False
        # After planning only the information schema looks at tables, at all of them.
        self.planning = True
        self.wants_columns = False
        # It knows datasets by one name only, queries by several: those that were used are then the ones there are.
        self.knows_used_names = False
        # Whether the session is no longer one for any query.
        self.has_settings = False
        self.failure: BaseException | None = None

    @property
    def table_names(self) -> Any:
        """For `show tables` and the information schema. The base class has a method, the engine reads a list."""
        if self.knows_used_names:
            return [name for name, _ in self._described]
        return list(_aside(lambda: ask(ListTables())))

    @property
    def owner_name(self) -> Any:
        """There is none, which the engine takes from there being no such attribute."""
        raise AttributeError

    def table(self, name: str) -> Table | None:
        """Called on the planning thread for each name that a query uses."""
        return self._kept(lambda: self._read(name)) if self.planning else self.aside(lambda: self._shown(name))

    def table_exist(self, name: str) -> bool:
        return self.table(name) is not None

    @property
    def only(self) -> FoundTable | None:
        """The dataset that is read by its name, if no other is."""
        if len(self._described) != 1:
            return None
        (((_, point), found),) = self._described.items()
        return found if point is None else None

    def find(self, name: str, point: Point | None = None) -> FoundTable | None:
        """The dataset of this name now, or at a point."""
        key = name, point
        if key not in self._described:
            question = FindTable(name, is_read=True, point=point)
            found: TableFound | None = self._answers.get(question) or ask(question)
            if found is None:
                return None
            self._described[key] = self._known(found) or _aside(lambda: self._made(found))
        return self._described[key]

    def aside(self, work: Callable[[], T]) -> T:
        """Work for DataFusion, which makes a text of what fails: the failure itself is kept."""
        return self._kept(lambda: _aside(work))

    def _kept(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except BaseException as error:
            self.failure = error
            raise

    def _known(self, found: TableFound) -> FoundTable | None:
        known = TABLES.known(found, from_packs=self._from_packs)
        return None if known is None or known.may_hide_nan else known

    def _made(self, found: TableFound) -> FoundTable:
        made = TABLES.get(found, from_packs=self._from_packs)
        context = self._context()
        if made.may_hide_nan and context is not None:
            trust_no_bounds(context)
            self.has_settings = True
        return made

    def _read(self, name: str) -> Table | None:
        found = self.find(name)
        if found is None:
            return None
        if not self._has_read:
            self.part, self._has_read = found.likely.get(self._sql), True
        return self.part or found.table

    def _shown(self, name: str) -> Table | None:
        """For the information schema, which looks at all tables, and at their columns if at anything."""
        schema = pa.schema([])
        if self.wants_columns:
            found: TableFound | None = ask(FindTable(name, is_read=False))
            if found is None:
                return None
            schema = with_views(arrow_schema(ask(DescribeTable(found, only_columns=True))))
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
