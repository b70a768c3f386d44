"""Registers datasets that only the store remembers."""

from kamu_assets.auth.errors import AccountNotFoundError
from kamu_assets.auth.model import Account
from kamu_assets.auth.store import AccountStore
from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.database.outbox import Outbox
from kamu_assets.datasets.alias_file import said_instead
from kamu_assets.datasets.chains.stored import read_chain
from kamu_assets.datasets.commit.bookkeeping import Bookkeeping
from kamu_assets.datasets.errors import DamagedDatasetError
from kamu_assets.datasets.files import DatasetFiles
from kamu_assets.datasets.lookup import DEFAULT_ACCOUNT
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.errors import InvalidError
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.odf.names import DatasetName
from kamu_assets.storage.blocks import BlockStore
from kamu_assets.storage.object_store import ObjectStore
from kamu_assets.storage.volumes import Volumes


class Recovery:
    """From `refs/head`, `info/alias` and the Seed back to a row."""

    def __init__(
        self, *, database: Database, volumes: Volumes, outbox: Outbox, accounts: AccountStore, clock: Clock
    ) -> None:
        self._database = database
        self._volumes = volumes
        self._books = Bookkeeping(outbox)
        self._accounts = accounts
        self._clock = clock

    def recover(self, dataset: DatasetID, volume: ObjectStore, *, dry_run: bool) -> str:
        """Register the dataset if its chain holds; tells under which name and account."""
        files = DatasetFiles(volume, dataset)
        head = files.head()
        if head is None:
            raise DamagedDatasetError(str(dataset), "has no refs/head")
        blocks = BlockStore(volume)
        chain = read_chain(head, lambda name: blocks.get(dataset, name))
        seed = chain.seed
        if seed.dataset_id != dataset:
            raise DamagedDatasetError(str(dataset), f"holds the chain of {seed.dataset_id}")
        if self._volumes.for_kind(seed.dataset_kind) is not volume:
            raise DamagedDatasetError(str(dataset), f"a {seed.dataset_kind} lies in the volume of the other kind")
        alias, notes = self._alias(files, dataset)
        owner, remark = self._owner(alias)
        entry = DatasetEntry(dataset, seed.dataset_kind, owner.id, owner.name, alias.name, self._clock.now())
        if not dry_run:
            with self._database.transaction() as tx:
                self._books.register(tx, entry, chain)
            if said_instead(files, entry) is not None:
                files.write_alias(entry.alias)
        return "; ".join([f"was only in the store: registered as '{entry.alias}'", *notes, *remark])

    def _alias(self, files: DatasetFiles, dataset: DatasetID) -> tuple[DatasetAlias, list[str]]:
        try:
            alias = files.alias()
        except InvalidError:
            alias = None
        if alias is not None:
            return alias, []
        name = DatasetName(f"recovered-{dataset.as_multibase[-8:]}")
        return DatasetAlias(None, name), ["info/alias was missing or unreadable"]

    def _owner(self, alias: DatasetAlias) -> tuple[Account, list[str]]:
        with self._database.reading() as tx:
            try:
                return self._accounts.get(tx, alias.account or DEFAULT_ACCOUNT), []
            except AccountNotFoundError as error:
                return self._accounts.get(tx, DEFAULT_ACCOUNT), [str(error)]
