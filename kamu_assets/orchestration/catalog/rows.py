"""Reads the registry as rows of the catalog."""

from collections.abc import Collection, Sequence
from pathlib import Path
from urllib.parse import quote

import structlog
from dagster import AssetKey

from kamu_assets.database.database import Database
from kamu_assets.database.errors import DatabaseUnavailableError
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.datasets.lineage.store import Lineage
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.errors import KamuError
from kamu_assets.flows.scopes import WebhookScope
from kamu_assets.flows.service import updating
from kamu_assets.flows.triggers.store import TriggerStore
from kamu_assets.odf.identity import DatasetAlias, DatasetID, parse_dataset_ref
from kamu_assets.odf.names import AccountName, DatasetName
from kamu_assets.orchestration.catalog.state import CatalogRow, describe, undescribed
from kamu_assets.orchestration.failures import is_outage_error
from kamu_assets.orchestration.names import key_of
from kamu_assets.storage.layout import dataset_folder, head_key
from kamu_assets.storage.volumes import Volumes
from kamu_assets.webhooks.errors import SubscriptionNotFoundError
from kamu_assets.webhooks.store import SubscriptionStore

log = structlog.get_logger(__name__)


class Catalog:
    """The datasets of the node as Dagster is to see them."""

    def __init__(self, *, database: Database, chains: Chains, volumes: Volumes, node_url: str) -> None:
        self._database = database
        self._chains = chains
        self._volumes = volumes
        self._node_url = node_url
        self._entries = DatasetStore()
        self._lineage = Lineage()
        self._triggers = TriggerStore()
        self._subscriptions = SubscriptionStore()

    def ids(self) -> Sequence[DatasetID]:
        with self._database.reading() as tx:
            return [entry.id for entry in self._entries.list(tx)]

    def row(self, dataset: DatasetID) -> CatalogRow:
        """One dataset; DatasetNotFoundError when it is gone."""
        with self._database.reading() as tx:
            entry = self._entries.get(tx, dataset)
            ids = self._lineage.inputs(tx, dataset)
            inputs = {each.id: each for each in self._entries.get_many(tx, ids)} if ids else {}
            state = self._chains.state(dataset, tx=tx)
            trigger = self._triggers.in_force(tx, updating(entry))
        known = tuple(inputs[id_] for id_ in ids if id_ in inputs)
        return describe(entry, state, known, uri=self._uri(entry), page=self._page(entry), trigger=trigger)

    def rows(self, datasets: Collection[DatasetID]) -> dict[DatasetID, CatalogRow]:
        """Those of the datasets that exist."""
        found = {}
        for dataset in datasets:
            try:
                found[dataset] = self._described(dataset)
            except DatasetNotFoundError:
                continue
        return found

    def entry(self, dataset: DatasetID) -> DatasetEntry:
        with self._database.reading() as tx:
            return self._entries.get(tx, dataset)

    def referred(self, text: str) -> DatasetEntry:
        """The dataset that somebody calls so: by its DID, or `account/name`."""
        ref = parse_dataset_ref(text)
        if isinstance(ref, DatasetID):
            return self.entry(ref)
        if ref.account is None:
            raise DatasetNotFoundError(ref)
        return self.entry(self._find(key_of(ref)))

    def receiver(self, subscription: str) -> WebhookScope:
        """The webhook of this id."""
        with self._database.reading() as tx:
            found = self._subscriptions.find(tx, subscription)
        if found is None:
            raise SubscriptionNotFoundError(subscription)
        return WebhookScope(found.id, found.dataset_id)

    def known(self, keys: Collection[AssetKey]) -> Sequence[DatasetEntry]:
        """The datasets behind asset keys, as far as there are any."""
        pairs = [(AccountName.parse(key.path[0]), DatasetName.parse(key.path[-1])) for key in sorted(keys)]
        with self._database.reading() as tx:
            found = [self._entries.find_alias(tx, account, name) for account, name in pairs]
        return [entry for entry in found if entry is not None]

    def named(self, keys: Collection[AssetKey]) -> Sequence[CatalogRow]:
        """The datasets behind asset keys; DatasetNotFoundError for a key without one."""
        return [self._described(self._find(key)) for key in sorted(keys)]

    def _described(self, dataset: DatasetID) -> CatalogRow:
        """One damaged dataset must not hide the others, nor itself, and can still be verified."""
        try:
            row = self.row(dataset)
            # What cannot be written down cannot be shown.
            _ = row.revision
        except (DatasetNotFoundError, DatabaseUnavailableError):
            raise
        except KamuError as error:
            log.warning("dataset_not_described", dataset=str(dataset), reason=str(error))
            return undescribed(self.entry(dataset), str(error))
        except Exception as error:
            if is_outage_error(error):
                raise
            log.exception("dataset_not_described", dataset=str(dataset))
            return undescribed(self.entry(dataset), "what is said of it cannot be shown")
        else:
            return row

    def _uri(self, entry: DatasetEntry) -> str:
        # Stores tell the location of objects; the folder is what all of them are in.
        head = head_key(entry.id)
        within = head.removeprefix(dataset_folder(entry.id))
        place = self._volumes.for_kind(entry.kind).location(head).removesuffix(within)
        return Path(place).as_uri() if place.startswith("/") else place

    def _page(self, entry: DatasetEntry) -> str:
        return f"{self._node_url}/{quote(str(entry.account))}/{quote(str(entry.name))}"

    def _find(self, key: AssetKey) -> DatasetID:
        account, name = (AccountName.parse(key.path[0]), DatasetName.parse(key.path[-1]))
        with self._database.reading() as tx:
            entry = self._entries.find_alias(tx, account, name)
        if entry is None:
            raise DatasetNotFoundError(DatasetAlias(account, name))
        return entry.id
