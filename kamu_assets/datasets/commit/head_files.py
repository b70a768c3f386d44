"""`refs/head` in the store follows the head in SQL."""

from collections.abc import Sequence

import structlog

from kamu_assets.database.database import Database
from kamu_assets.datasets.chains.references import References
from kamu_assets.datasets.files import DatasetFiles
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.errors import KamuError
from kamu_assets.odf.multihash import Multihash
from kamu_assets.storage.volumes import Volumes

log = structlog.get_logger(__name__)


class HeadFiles:
    """The `refs/head` files of every dataset."""

    def __init__(self, *, database: Database, volumes: Volumes) -> None:
        self._database = database
        self._volumes = volumes
        self._entries = DatasetStore()
        self._references = References()

    def publish(self, entry: DatasetEntry, head: Multihash | None = None) -> None:
        """Write the head of SQL, however many others do the same; whoever has just moved it knows it."""
        files = DatasetFiles.of(self._volumes, entry)
        head = head or self._head(entry)
        while head is not None:
            files.write_head(head)
            written, head = head, self._head(entry)
            # Another process may have written a newer head before our older one: the last writer looks again.
            if head == written:
                return
        files.remove_head()

    def behind(self) -> Sequence[DatasetEntry]:
        """Datasets whose file does not say what SQL says, as far as the store has the block that SQL names."""
        with self._database.reading() as tx:
            heads = self._references.heads(tx)
            entries = self._entries.list(tx)
        late = [entry for entry in entries if entry.id in heads and self._written(entry) != heads[entry.id]]
        # A store that lost blocks keeps the head it can still serve.
        return [entry for entry in late if self._volumes.blocks(entry.kind).exists(entry.id, heads[entry.id])]

    def repair(self) -> Sequence[DatasetEntry]:
        """Publish the heads that an interrupted commit left behind; tells whose. One that cannot be stops no other."""
        return [entry for entry in self.behind() if self._published(entry)]

    def _published(self, entry: DatasetEntry) -> bool:
        try:
            self.publish(entry)
        except KamuError as error:
            log.warning("head_not_published", dataset=str(entry.id), error=str(error))
            return False
        return True

    def _written(self, entry: DatasetEntry) -> Multihash | None:
        try:
            return DatasetFiles.of(self._volumes, entry).head()
        except KamuError:
            return None

    def _head(self, entry: DatasetEntry) -> Multihash | None:
        with self._database.reading() as tx:
            return self._references.head(tx, entry.id)
