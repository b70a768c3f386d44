"""The code locations of the catalog: each has its part of the datasets, and there are more when the catalog grows."""

import time
from collections.abc import Callable, Collection
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import structlog
from dagster import DagsterInstance

from kamu_assets.orchestration.catalog.location import CatalogLocation
from kamu_assets.orchestration.catalog.moves import CatalogMoves
from kamu_assets.orchestration.catalog.shards import shard_at, shard_count, shard_of, shards_wanted
from kamu_assets.orchestration.catalog.shown import ShownCatalog
from kamu_assets.orchestration.catalog.state import CatalogRow
from kamu_assets.orchestration.catalog.webserver import Begin, WorkspaceReload, beside
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.home import write_shard_count

log = structlog.get_logger(__name__)

# Times what a location should have.
LARGE = 2
# Times what the code servers took: after that the webserver is not just slow.
LOADS = 2
# How long servers are left alone once all was seen to be shown as they serve it.
PEACE_SECONDS = 20.0


class _Look(NamedTuple):
    """What the webserver is to know when it has looked at its workspace: places that are new, or that some are gone."""

    reload: WorkspaceReload
    numbers: frozenset[int]
    has_shrunk: bool


class CatalogLocations:
    """Spreads the datasets. One that has to move stays where it is until the UI shows it in its new place.

    Dagster's webserver looks at each code server for itself: it may see that one has let datasets go long before it
    sees that another one has them.
    """

    def __init__(
        self,
        *,
        instance: DagsterInstance,
        config: AdapterConfig,
        monotonic: Callable[[], float] = time.monotonic,
        begin: Begin = beside,
    ) -> None:
        self._instance = instance
        self._config = config
        self._locations: dict[int, CatalogLocation] = {}
        # How many there should be: those above are given up as soon as they are empty.
        self._count = 1
        # Those that datasets may move to.
        self._ready: set[int] = set()
        self._moves = CatalogMoves()
        self._shown = ShownCatalog(config, monotonic=monotonic)
        self._monotonic = monotonic
        # Unless there is something to do.
        self._peace_until = float("-inf")
        # Whether the webserver may still look for a location that is gone.
        self._has_shrunk = False
        self._begin = begin
        # The one at the workspace that goes on.
        self._look: _Look | None = None

    def load(self) -> None:
        """Look at what is stored; once, before the first `publish`."""
        self._count = shard_count(self._config)
        self._resize(self._count)
        # Whether the webserver knows the others remains to be seen.
        self._ready = {1}
        if self._count > 1:
            for number, location in self._locations.items():
                self._moves.find(location.published_ids(), number)

    def publish(self, rows: Collection[CatalogRow]) -> None:
        """Store what each location is to show."""
        self._fit(len(rows))
        ordered = sorted(rows, key=lambda row: (row.account, row.name, row.id))
        self._moves.place({row.id: self._place(row) for row in ordered})
        self._resize(max(self._count, self._moves.highest))
        shares: dict[int, list[CatalogRow]] = {number: [] for number in self._locations}
        for row in ordered:
            for number in self._moves.places(row.id):
                shares[number].append(row)
        for number, share in shares.items():
            self._locations[number].publish(tuple(share))
            if len(share) > LARGE * self._config.shard_datasets:
                hint = "changes are seen late: see dagster.catalog_shards, shard_datasets and shard_by"
                log.warning("catalog_is_large", location=number, datasets=len(share), hint=hint)

    def reload(self) -> bool:
        """Let servers take in what is new; tells whether there is a new place, so that `publish` should come again."""
        if shard_count(self._config) != len(self._locations):
            # Dagster's home was lost.
            write_shard_count(self._config, len(self._locations))
        behind = [location for location in self._locations.values() if location.is_behind]
        with ThreadPoolExecutor(max_workers=max(1, len(behind))) as pool:
            # Each waits for a process of its own.
            list(pool.map(CatalogLocation.reload, behind))
        arrived = {number for number, location in self._locations.items() if not location.is_behind} - self._ready
        known = self._known(arrived)
        self._ready |= known
        return bool(known)

    def look_after_servers(self) -> bool:
        """Show what all serve now; tells whether `publish` should come again.

        A server that was started anew may not have found what it should; datasets that are seen in their new places
        can leave the old ones.
        """
        if self._monotonic() < self._peace_until and not self.are_behind:
            return False
        restarted = [location for location in self._locations.values() if location.is_restarted()]
        for location in restarted:
            location.load()
        served = {self._locations[number].name: self._locations[number].server_id for number in self._ready}
        # The webserver loads them again, one after another, and is as quick about it as they were.
        loads = sum(location.load_seconds for location in self._locations.values())
        shown = self._shown.compare(
            {name: server_id for name, server_id in served.items() if server_id}, patience=LOADS * loads
        )
        seen = {
            number
            for number, location in self._locations.items()
            if number in self._ready and location.name in shown and not location.is_behind
        }
        names = {location.name for location in self._locations.values()}
        self._peace_until = self._monotonic() + PEACE_SECONDS if shown >= names else float("-inf")
        return self._moves.let_go(seen) or bool(restarted)

    @property
    def are_behind(self) -> bool:
        """Whether something is left to do."""
        waiting = any(location.is_behind for location in self._locations.values())
        is_looked_for = self._has_shrunk or self._look is not None
        return waiting or self._moves.are_open or is_looked_for or self._ready != {*self._locations}

    def _fit(self, datasets: int) -> None:
        wanted = shards_wanted(self._config, datasets=datasets, now=self._count)
        if wanted != self._count:
            log.info("catalog_is_spread", datasets=datasets, locations=wanted, before=self._count)
            self._count = wanted

    def _resize(self, count: int) -> None:
        before = len(self._locations)
        if count == before:
            return
        if before:
            # The supervisor starts and ends code servers accordingly.
            write_shard_count(self._config, count)
        for number in range(before + 1, count + 1):
            location = CatalogLocation(
                instance=self._instance, shard=shard_at(self._config, number), host=self._config.host
            )
            location.load()
            self._locations[number] = location
        for number in range(count + 1, before + 1):
            del self._locations[number]
            self._has_shrunk = True
        self._ready &= {*self._locations}

    def _known(self, arrived: AbstractSet[int]) -> AbstractSet[int]:
        """New locations that the webserver has looked for by now, after it was told to where that is needed.

        Others do not wait until it has.
        """
        if self._look is None and (arrived or self._has_shrunk):
            names = self._shown.names()
            if not names:
                # Nobody is there to be told, or nobody that has time.
                return frozenset()
            if not self._has_shrunk and names.issuperset(self._locations[number].name for number in arrived):
                return arrived
            reload = WorkspaceReload(self._config, begin=self._begin)
            self._look, self._has_shrunk = _Look(reload, frozenset(arrived), self._has_shrunk), False
        return self._looked()

    def _looked(self) -> AbstractSet[int]:
        look = self._look
        if look is None or look.reload.succeeded is None:
            return frozenset()
        self._look = None
        if look.reload.succeeded:
            return look.numbers & self._locations.keys()
        self._has_shrunk |= look.has_shrunk
        return frozenset()

    def _place(self, row: CatalogRow) -> int:
        wanted = shard_of(self._config, row.id, row.account, count=self._count).number
        before = self._moves.place_of(row.id)
        return wanted if before is None or wanted in self._ready else before
