"""Tells the locations of the catalog which datasets exist: a change at once, then a reload every two seconds."""

from collections.abc import Collection, Iterator, Sequence

from dagster import DagsterInstance

from kamu_assets.database.database import Database
from kamu_assets.database.messages import Message
from kamu_assets.database.outbox import Outbox
from kamu_assets.datasets.lineage import Lineage
from kamu_assets.datasets.messages import DatasetCreated, DatasetDeleted, DatasetRenamed, DatasetUpdated
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.orchestration.catalog import Catalog
from kamu_assets.orchestration.catalog_location import CatalogLocation
from kamu_assets.orchestration.catalog_state import CatalogRow
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.following import follow
from kamu_assets.orchestration.names import key_of
from kamu_assets.orchestration.shards import Shard, shard_of, shards
from kamu_assets.orchestration.shown_catalog import ShownCatalog

CONSUMER = "catalog"
SECONDS_BETWEEN = 2.0
_SHOWN_EVENTS = frozenset(
    {"SetInfo", "SetTransform", "SetDataSchema", "SetPollingSource", "DisablePollingSource"}
    | {"AddPushSource", "DisablePushSource"}
)


class CatalogPublisher:
    """Keeps the state of the catalog's locations equal to the registry. One per node."""

    def __init__(
        self,
        *,
        instance: DagsterInstance,
        config: AdapterConfig,
        catalog: Catalog,
        database: Database,
        outbox: Outbox,
    ) -> None:
        self._instance = instance
        self._catalog = catalog
        self._database = database
        self._outbox = outbox
        self._lineage = Lineage()
        self._config = config
        self._locations = {
            shard: CatalogLocation(instance=instance, shard=shard, host=config.host) for shard in shards(config)
        }
        self._shown = ShownCatalog(config)
        self._rows: dict[DatasetID, CatalogRow] = {}

    def load(self) -> None:
        """Read the whole registry; once, before the first step."""
        for location in self._locations.values():
            location.load()
        self._rows = self._catalog.rows(self._catalog.ids())
        self._publish()

    def step(self) -> bool:
        """Publish what changed; tells whether it pays to come back soon."""
        changed = follow(CONSUMER, self._hear, outbox=self._outbox, database=self._database)
        for location in self._locations.values():
            if location.is_behind:
                location.reload()
        self._look_after_servers()
        return changed or any(location.is_behind for location in self._locations.values())

    def _look_after_servers(self) -> None:
        """Give a server that was started anew what it may not have found; show what all serve now."""
        locations = self._locations.values()
        if restarted := [location for location in locations if location.is_restarted()]:
            for location in restarted:
                location.load()
            self._publish()
        served = {shard.location: location.server_id for shard, location in self._locations.items()}
        self._shown.compare({name: server_id for name, server_id in served.items() if server_id})

    def _hear(self, messages: Sequence[Message]) -> None:
        stale = {dataset for message in messages for dataset in self._affected(message)}
        self._refresh(stale)
        if stale:
            self._publish()
        self._wipe(list(_vanished(messages)))

    def _affected(self, message: Message) -> Collection[DatasetID]:
        match message:
            case DatasetCreated() | DatasetDeleted():
                return [message.dataset_id]
            case DatasetRenamed():
                with self._database.reading() as tx:
                    # Derivatives name their inputs.
                    return [message.dataset_id, *self._lineage.dependents(tx, message.dataset_id)]
            case DatasetUpdated() if not _SHOWN_EVENTS.isdisjoint(message.event_kinds):
                return [message.dataset_id]
            case _:
                return []

    def _refresh(self, stale: Collection[DatasetID]) -> None:
        for dataset in stale:
            self._rows.pop(dataset, None)
        self._rows |= self._catalog.rows(stale)

    def _publish(self) -> None:
        rows: dict[Shard, list[CatalogRow]] = {shard: [] for shard in self._locations}
        for row in sorted(self._rows.values(), key=lambda row: (row.account, row.name, row.id)):
            rows[shard_of(self._config, row.id, row.account)].append(row)
        for shard, location in self._locations.items():
            location.publish(tuple(rows[shard]))

    def _wipe(self, gone: Collection[DatasetAlias]) -> None:
        """Let names without a dataset vanish from the UI."""
        taken = {(row.account, row.name) for row in self._rows.values()}
        keys = [key_of(alias) for alias in gone if (str(alias.account), str(alias.name)) not in taken]
        if keys:
            self._instance.wipe_assets(keys)


def _vanished(messages: Sequence[Message]) -> Iterator[DatasetAlias]:
    for message in messages:
        match message:
            case DatasetDeleted():
                yield message.alias
            case DatasetRenamed():
                yield message.old_alias
            case _:
                continue
