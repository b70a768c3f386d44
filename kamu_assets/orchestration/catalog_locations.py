"""The code locations of the catalog: each has its part of the datasets, and there are more when the catalog grows."""

from collections.abc import Collection

import structlog
from dagster import DagsterInstance

from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.catalog_location import CatalogLocation
from kamu_assets.orchestration.catalog_state import CatalogRow
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.home import write_shard_count
from kamu_assets.orchestration.shards import shard_at, shard_count, shard_of, shards_wanted
from kamu_assets.orchestration.shown_catalog import ShownCatalog
from kamu_assets.orchestration.webserver import reload_workspace

log = structlog.get_logger(__name__)

# Times what a location should have.
LARGE = 2


class CatalogLocations:
    """Spreads the datasets. One that has to move stays where it is until its new place is up and seen by the UI."""

    def __init__(self, *, instance: DagsterInstance, config: AdapterConfig) -> None:
        self._instance = instance
        self._config = config
        self._locations: dict[int, CatalogLocation] = {}
        # Those that datasets may move to.
        self._ready: set[int] = set()
        self._places: dict[DatasetID, int] = {}
        self._shown = ShownCatalog(config)
        # Whether the webserver may still look for a location that is gone.
        self._has_shrunk = False

    def load(self) -> None:
        """Look at what is stored; once, before the first `publish`."""
        self._set_count(shard_count(self._config))
        self._ready = {*self._locations}

    def publish(self, rows: Collection[CatalogRow]) -> None:
        """Store what each location is to show."""
        self._fit(len(rows))
        ordered = sorted(rows, key=lambda row: (row.account, row.name, row.id))
        self._places = {row.id: self._place(row) for row in ordered}
        shares: dict[int, list[CatalogRow]] = {number: [] for number in self._locations}
        for row in ordered:
            shares[self._places[row.id]].append(row)
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
        # New ones first: what leaves the others goes there.
        for _, location in sorted(self._locations.items(), reverse=True):
            if location.is_behind:
                location.reload()
        arrived = {number for number, location in self._locations.items() if not location.is_behind} - self._ready
        if not (arrived or self._has_shrunk) or not reload_workspace(self._config):
            return False
        self._ready |= arrived
        self._has_shrunk = False
        return bool(arrived)

    def look_after_servers(self) -> bool:
        """Show what all serve now; tells whether one was started anew, which may not have found what it should."""
        restarted = [location for location in self._locations.values() if location.is_restarted()]
        for location in restarted:
            location.load()
        shown = {number: location for number, location in self._locations.items() if number in self._ready}
        served = {location.name: location.server_id for location in shown.values()}
        self._shown.compare({name: server_id for name, server_id in served.items() if server_id})
        return bool(restarted)

    @property
    def are_behind(self) -> bool:
        """Whether something is left to do."""
        waiting = any(location.is_behind for location in self._locations.values())
        return waiting or self._has_shrunk or self._ready != {*self._locations}

    def _fit(self, datasets: int) -> None:
        now = len(self._locations)
        wanted = shards_wanted(self._config, datasets=datasets, now=now)
        if wanted != now:
            log.info("catalog_is_spread", datasets=datasets, locations=wanted, before=now)
            # The supervisor starts and ends code servers accordingly.
            write_shard_count(self._config, wanted)
            self._set_count(wanted)
            self._has_shrunk = wanted < now

    def _set_count(self, count: int) -> None:
        for number in range(1, count + 1):
            if number not in self._locations:
                location = CatalogLocation(
                    instance=self._instance, shard=shard_at(self._config, number), host=self._config.host
                )
                location.load()
                self._locations[number] = location
        for number in [number for number in self._locations if number > count]:
            del self._locations[number]
        self._ready &= {*self._locations}

    def _place(self, row: CatalogRow) -> int:
        wanted = shard_of(self._config, row.id, row.account, count=len(self._locations)).number
        before = self._places.get(row.id)
        return wanted if before not in self._locations or wanted in self._ready else before
