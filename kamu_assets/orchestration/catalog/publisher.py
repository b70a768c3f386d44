"""Tells the locations of the catalog which datasets exist: a change at once, then a reload every two seconds."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence

from dagster import AssetKey, DagsterInstance

from kamu_assets.database.database import Database
from kamu_assets.database.messages import Message
from kamu_assets.database.outbox import Outbox
from kamu_assets.datasets.lineage.store import Lineage
from kamu_assets.datasets.messages import (
    DatasetCreated,
    DatasetDeleted,
    DatasetRenamed,
    DatasetRewritten,
    DatasetUpdated,
)
from kamu_assets.flows.messages import TriggerChanged
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.orchestration.catalog.locations import CatalogLocations
from kamu_assets.orchestration.catalog.rows import Catalog
from kamu_assets.orchestration.catalog.state import CatalogRow
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.names import METADATA_DATASET_ID, key_of
from kamu_assets.orchestration.reports.following import follow

CONSUMER = "catalog"
SECONDS_BETWEEN = 2.0
# Who looks sees something after that, however much more is coming.
BURST_SECONDS = 5.0
# As long as servers took to load what was new, they are left alone while more is coming; within this limit.
LONGEST_PAUSE = 20.0
_SHOWN_EVENTS = frozenset(
    {"SetInfo", "SetTransform", "SetDataSchema", "SetPollingSource", "DisablePollingSource"}
    | {"AddPushSource", "DisablePushSource", "SetAttachments"}
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
        heard: Callable[[Sequence[Message]], object] = list,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        # Who shows something of the same datasets, and follows the outbox through us.
        self._heard = heard
        self._instance = instance
        self._catalog = catalog
        self._database = database
        self._outbox = outbox
        self._lineage = Lineage()
        self._locations = CatalogLocations(instance=instance, config=config)
        self._rows: dict[DatasetID, CatalogRow] = {}
        # Whether there is more to publish, and when it may be though still more is coming.
        self._is_stale = False
        self._not_before = float("-inf")

    def load(self) -> None:
        """Read the whole registry; once, before the first step."""
        self._locations.load()
        self._rows = self._catalog.rows(self._catalog.ids())
        self._publish()

    def step(self) -> bool:
        """Publish what changed; tells whether it pays to come back soon."""
        changed = self._catch_up()
        if self._is_stale and not (changed and self._monotonic() < self._not_before):
            self._show()
        else:
            self._reload()
        if self._locations.look_after_servers():
            self._show()
        return changed or self._is_stale or self._locations.are_behind

    def _show(self) -> None:
        """Each server loads all it has for a single dataset that is new."""
        began = self._monotonic()
        self._publish()
        self._reload()
        ended = self._monotonic()
        self._not_before = ended + min(ended - began, LONGEST_PAUSE)

    def _catch_up(self) -> bool:
        """Hear of what is waiting, since servers should load a burst once; tells whether there was anything."""
        began = self._monotonic()
        changed = False
        while self._monotonic() - began < BURST_SECONDS:
            if not follow(CONSUMER, self._hear, outbox=self._outbox, database=self._database):
                break
            changed = True
        return changed

    def _publish(self) -> None:
        self._locations.publish(self._rows.values())
        self._is_stale = False

    def _reload(self) -> None:
        while self._locations.reload():
            # Datasets move to places that are new.
            self._publish()

    def _hear(self, messages: Sequence[Message]) -> None:
        stale = {dataset for message in messages for dataset in self._affected(message)}
        self._is_stale = self._refresh(stale) or self._is_stale
        self._wipe(list(_vanished(messages)))
        self._heard(messages)

    def _affected(self, message: Message) -> Collection[DatasetID]:
        match message:
            case DatasetCreated() | DatasetDeleted() | DatasetRewritten():
                return [message.dataset_id]
            case DatasetRenamed():
                with self._database.reading() as tx:
                    # Derivatives name their inputs.
                    return [message.dataset_id, *self._lineage.dependents(tx, message.dataset_id)]
            case TriggerChanged():
                return [message.dataset_id]
            case DatasetUpdated() if not _SHOWN_EVENTS.isdisjoint(message.event_kinds):
                return [message.dataset_id]
            case _:
                return []

    def _refresh(self, stale: Collection[DatasetID]) -> bool:
        """Look at datasets again; tells whether anything that is shown of them has changed."""
        before = {dataset: self._rows.pop(dataset, None) for dataset in stale}
        self._rows |= self._catalog.rows(stale)
        return any(self._rows.get(dataset) != row for dataset, row in before.items())

    def _wipe(self, gone: Collection[DatasetAlias]) -> None:
        """Let names without a dataset vanish from the UI, and what others than today's dataset did under a name."""
        owners = {(row.account, row.name): row.id for row in self._rows.values()}
        keys = [
            key
            for key in {key_of(alias) for alias in gone}
            if not self._is_of(key, owners.get((key.path[0], key.path[-1])))
        ]
        if keys:
            self._instance.wipe_assets(keys)

    def _is_of(self, key: AssetKey, owner: DatasetID | None) -> bool:
        """Whether the newest that is told under a name is of its dataset."""
        newest = self._instance.get_latest_materialization_event(key)
        told = newest.asset_materialization if newest else None
        dataset = told.metadata.get(METADATA_DATASET_ID) if told else None
        return dataset is not None and dataset.value == str(owner)


def _vanished(messages: Sequence[Message]) -> Iterator[DatasetAlias]:
    for message in messages:
        match message:
            case DatasetDeleted():
                yield message.alias
            case DatasetRenamed():
                yield message.old_alias
            case _:
                continue
