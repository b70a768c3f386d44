"""Renames datasets."""

from kamu_assets.auth.model import Caller
from kamu_assets.database.database import Database
from kamu_assets.database.outbox import Outbox
from kamu_assets.datasets.files import DatasetFiles
from kamu_assets.datasets.lookup import Lookup
from kamu_assets.datasets.messages import DatasetRenamed
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.governance.access import Access, Action
from kamu_assets.odf.identity import DatasetRef
from kamu_assets.odf.names import DatasetName
from kamu_assets.storage.volumes import Volumes


class Renaming:
    """The rows first, the file that tells the name follows."""

    def __init__(self, *, database: Database, volumes: Volumes, outbox: Outbox, access: Access) -> None:
        self._database = database
        self._volumes = volumes
        self._outbox = outbox
        self._lookup = Lookup(access)
        self._entries = DatasetStore()

    def rename(self, caller: Caller, ref: DatasetRef, name: DatasetName) -> DatasetEntry:
        """Give another name; NameCollisionError."""
        with self._database.transaction() as tx:
            old = self._lookup.get(tx, caller, ref, Action.OWN)
            self._entries.rename(tx, old.id, name)
            new = self._entries.get(tx, old.id)
            self._outbox.post(tx, DatasetRenamed(dataset_id=old.id, old_alias=old.alias, new_alias=new.alias))
        DatasetFiles.of(self._volumes, new).write_alias(new.alias)
        return new
