"""Removes the files of deleted datasets: after the rows are gone, and again if that was interrupted."""

import shutil
from collections.abc import Sequence
from contextlib import suppress

from kamu_assets.database.database import Database
from kamu_assets.datasets.files import DatasetFiles
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.odf.identity import DatasetID
from kamu_assets.storage.layout import savepoint_folder, sidecar_folder, writers_lock
from kamu_assets.storage.volumes import Volumes


class Removal:
    """What is left to remove."""

    def __init__(self, *, database: Database, volumes: Volumes) -> None:
        self._database = database
        self._volumes = volumes
        self._entries = DatasetStore()

    def pending(self) -> Sequence[DatasetID]:
        """Deleted datasets whose files may still be there."""
        with self._database.reading() as tx:
            return self._entries.removals(tx)

    def finish(self, dataset: DatasetID) -> None:
        """Remove the files, then the note that says so."""
        for volume in self._volumes.distinct():
            DatasetFiles(volume, dataset).remove_all()
            shutil.rmtree(savepoint_folder(volume, dataset), ignore_errors=True)
            # An empty file, which another dataset never takes for its own.
            with suppress(OSError):
                writers_lock(volume, dataset).unlink()
            shutil.rmtree(sidecar_folder(volume, dataset), ignore_errors=True)
        with self._database.transaction() as tx:
            self._entries.removed(tx, dataset)

    def finish_all(self) -> None:
        """Remove whatever an interrupted deletion left."""
        for dataset in self.pending():
            self.finish(dataset)
