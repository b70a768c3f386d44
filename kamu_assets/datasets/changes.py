"""Renames and deletes datasets."""

from kamu_assets.auth.model import Caller
from kamu_assets.database.database import Database
from kamu_assets.database.outbox import Outbox
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.bookkeeping import LINEAGE_LOCK, Bookkeeping
from kamu_assets.datasets.errors import DanglingReferenceError
from kamu_assets.datasets.files import DatasetFiles
from kamu_assets.datasets.lineage import Lineage
from kamu_assets.datasets.lookup import Lookup
from kamu_assets.datasets.messages import DatasetDeleted, DatasetRenamed
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.removal import Removal
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.governance.access import Access, Action
from kamu_assets.odf.identity import DatasetRef
from kamu_assets.odf.names import DatasetName
from kamu_assets.storage.volumes import Volumes


class Changes:
    """Changes of whole datasets: the rows first, files follow."""

    def __init__(self, *, database: Database, volumes: Volumes, outbox: Outbox, access: Access) -> None:
        self._database = database
        self._volumes = volumes
        self._outbox = outbox
        self._lookup = Lookup(access)
        self._entries = DatasetStore()
        self._lineage = Lineage()
        self._books = Bookkeeping(outbox)
        self._removal = Removal(database=database, volumes=volumes)

    def rename(self, caller: Caller, ref: DatasetRef, name: DatasetName) -> DatasetEntry:
        """Give another name; NameCollisionError."""
        with self._database.transaction() as tx:
            old = self._lookup.get(tx, caller, ref, Action.OWN)
            self._entries.rename(tx, old.id, name)
            new = self._entries.get(tx, old.id)
            self._outbox.post(tx, DatasetRenamed(dataset_id=old.id, old_alias=old.alias, new_alias=new.alias))
        DatasetFiles.of(self._volumes, new).write_alias(new.alias)
        return new

    def delete(self, caller: Caller, ref: DatasetRef) -> DatasetEntry:
        """Remove a dataset that no other reads: DanglingReferenceError."""
        with self._database.transaction() as tx:
            entry = self._lookup.get(tx, caller, ref, Action.OWN)
            self._refuse_if_used(tx, caller, entry)
            self._books.forget(tx, entry.id)
            self._outbox.post(tx, DatasetDeleted(dataset_id=entry.id, alias=entry.alias, kind=entry.kind))
        # Not before the commit: a deletion that fails must leave the files; one that stops here is finished later.
        self._removal.finish(entry.id)
        return entry

    def _refuse_if_used(self, tx: Transaction, caller: Caller, entry: DatasetEntry) -> None:
        tx.lock(LINEAGE_LOCK)
        children = self._lineage.dependents(tx, entry.id)
        if children:
            seen = [child.alias for child in self._lookup.visible(tx, caller, children)]
            raise DanglingReferenceError(entry.alias, seen, hidden=len(children) - len(seen))
