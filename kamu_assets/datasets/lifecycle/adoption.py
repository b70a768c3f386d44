"""Makes a dataset directory of other ODF software a dataset of this node."""

from collections.abc import Callable
from pathlib import Path

from kamu_assets.auth.model import Account, Caller
from kamu_assets.auth.store import AccountStore
from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.database.outbox import Outbox
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.alias_file import said_instead
from kamu_assets.datasets.chains.stored import StoredChain
from kamu_assets.datasets.commit.bookkeeping import Bookkeeping
from kamu_assets.datasets.commit.head_files import HeadFiles
from kamu_assets.datasets.directory import DatasetDirectory, OnProgress, alone, take_in
from kamu_assets.datasets.errors import DamagedDatasetError
from kamu_assets.datasets.files import DatasetFiles
from kamu_assets.datasets.lookup import DEFAULT_ACCOUNT
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.governance.access import Access
from kamu_assets.odf.dataset import Seed
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.storage.volumes import Volumes

# Raises when somebody who knows more than names finds the files wrong: hashes them, and looks at rows.
Examine = Callable[[DatasetEntry, StoredChain], None]


class Adoption:
    """The use case of `kamu-node adopt`."""

    def __init__(
        self,
        *,
        database: Database,
        volumes: Volumes,
        outbox: Outbox,
        accounts: AccountStore,
        access: Access,
        clock: Clock,
    ) -> None:
        self._database = database
        self._volumes = volumes
        self._books = Bookkeeping(outbox)
        self._head_files = HeadFiles(database=database, volumes=volumes)
        self._entries = DatasetStore()
        self._accounts = accounts
        self._access = access
        self._clock = clock

    def adopt(
        self,
        caller: Caller,
        directory: Path,
        alias: DatasetAlias | None,
        *,
        on_progress: OnProgress,
        examine: Examine | None = None,
    ) -> DatasetEntry:
        """Check everything, register, and only then let the head be seen; a refusal leaves nothing behind."""
        source = DatasetDirectory(directory)
        seed = source.seed()
        with alone(self._volumes.for_kind(seed.dataset_kind), seed.dataset_id):
            entry = self._entry(caller, seed, alias or source.alias(), source)
            self._take_in(source, entry, seed, on_progress=on_progress, examine=examine)
        self._keep_alias(DatasetFiles.of(self._volumes, entry), entry)
        self._head_files.publish(entry)
        return entry

    def _take_in(
        self,
        source: DatasetDirectory,
        entry: DatasetEntry,
        seed: Seed,
        *,
        on_progress: OnProgress,
        examine: Examine | None,
    ) -> None:
        in_place = source.lies_in(self._volumes.for_kind(entry.kind), entry.id)
        chain = take_in(source, seed, self._volumes, on_progress=on_progress if examine is None else None)
        try:
            if examine is not None:
                examine(entry, chain)
            with self._database.transaction() as tx:
                self._books.register(tx, entry, chain)
        except BaseException:
            if not in_place:
                DatasetFiles.of(self._volumes, entry).remove_all()
            raise

    def _entry(self, caller: Caller, seed: Seed, alias: DatasetAlias | None, source: DatasetDirectory) -> DatasetEntry:
        if alias is None:
            raise DamagedDatasetError(str(source.path), "has no info/alias: give it a name")
        with self._database.reading() as tx:
            owner = self._owner(tx, caller, alias)
            entry = DatasetEntry(
                id=seed.dataset_id,
                kind=seed.dataset_kind,
                owner=owner.id,
                account=owner.name,
                name=alias.name,
                created_at=self._clock.now(),
            )
            self._entries.check_free(tx, entry)
        return entry

    def _owner(self, tx: Transaction, caller: Caller, alias: DatasetAlias) -> Account:
        if alias.account is None and caller.account is not None:
            return caller.account
        account = self._accounts.get(tx, alias.account or DEFAULT_ACCOUNT)
        self._access.require_account(tx, caller, account.id, account.name)
        return account

    def _keep_alias(self, files: DatasetFiles, entry: DatasetEntry) -> None:
        """Write `info/alias` where it says something else, so that the registry can be rebuilt from it."""
        if said_instead(files, entry) is not None:
            files.write_alias(entry.alias)
