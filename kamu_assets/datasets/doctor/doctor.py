"""Looks at every dataset in SQL and in the store, and brings them together again."""

import shutil
from collections.abc import Callable, Iterator

from kamu_assets.auth.store import AccountStore
from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.database.outbox import Outbox
from kamu_assets.datasets.chains.references import References
from kamu_assets.datasets.commit.head_files import HeadFiles
from kamu_assets.datasets.doctor.examination import Examination
from kamu_assets.datasets.doctor.findings import Finding, FindingKind
from kamu_assets.datasets.doctor.recovery import Recovery
from kamu_assets.datasets.files import DatasetFiles
from kamu_assets.datasets.lifecycle.removal import Removal
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.errors import KamuError
from kamu_assets.storage.layout import sidecar_folders, stored_datasets
from kamu_assets.storage.volumes import Volumes
from kamu_assets.storage.workplaces import abandoned

# A writer that has been silent for so long is dead.
LEFTOVER_SECONDS = 3600.0

# Told the datasets done and the datasets in all.
OnProgress = Callable[[int, int], None]


def _tell_nobody(_: int, __: int) -> None:
    """Ignore progress."""


class Doctor:
    """Examines and repairs; safe while the node runs."""

    def __init__(
        self, *, database: Database, volumes: Volumes, outbox: Outbox, accounts: AccountStore, clock: Clock
    ) -> None:
        self._database = database
        self._volumes = volumes
        self._entries = DatasetStore()
        self._references = References()
        self._head_files = HeadFiles(database=database, volumes=volumes)
        self._removal = Removal(database=database, volumes=volumes)
        self._recovery = Recovery(database=database, volumes=volumes, outbox=outbox, accounts=accounts, clock=clock)
        self._examination = Examination(database=database, volumes=volumes, outbox=outbox)

    def repair(self, *, dry_run: bool = False, on_progress: OnProgress = _tell_nobody) -> list[Finding]:
        """Everything that is wrong, repaired where that loses nothing; `dry_run` only looks."""
        found = [*self._removals(dry_run=dry_run), *self._unregistered(dry_run=dry_run), *self._heads(dry_run=dry_run)]
        with self._database.reading() as tx:
            entries = self._entries.list(tx)
        for done, entry in enumerate(entries, 1):
            found += self._examination.examine(entry, dry_run=dry_run)
            on_progress(done, len(entries))
        return [*found, *self._stray_sidecars(dry_run=dry_run), *self._leftovers(dry_run=dry_run)]

    def _removals(self, *, dry_run: bool) -> Iterator[Finding]:
        for dataset in self._removal.pending():
            if not dry_run:
                self._removal.finish(dataset)
            message = "was deleted, but its files were still there: they are removed"
            yield Finding(FindingKind.UNFINISHED_REMOVAL, dataset, message, repaired=not dry_run)

    def _unregistered(self, *, dry_run: bool) -> Iterator[Finding]:
        # The store is read before the registry: what is created meanwhile must not look lost.
        stored = {dataset: volume for volume in self._volumes.distinct() for dataset in stored_datasets(volume)}
        with self._database.reading() as tx:
            known = {entry.id for entry in self._entries.list(tx)} | set(self._entries.removals(tx))
        for dataset, volume in stored.items():
            if dataset in known:
                continue
            try:
                message = self._recovery.recover(dataset, volume, dry_run=dry_run)
            except KamuError as error:
                message = f"is in the store but cannot be registered: {error}"
                yield Finding(FindingKind.UNREGISTERED, dataset, message, repaired=False)
            else:
                yield Finding(FindingKind.UNREGISTERED, dataset, message, repaired=not dry_run)

    def _heads(self, *, dry_run: bool) -> Iterator[Finding]:
        for entry in self._head_files.behind():
            says = self._says(entry)
            try:
                if not dry_run:
                    self._head_files.publish(entry)
            except KamuError as error:
                yield Finding(FindingKind.HEAD, entry.id, f"refs/head cannot be written: {error}", repaired=False)
                continue
            message = f"refs/head said {says}: it follows SQL again"
            yield Finding(FindingKind.HEAD, entry.id, message, repaired=not dry_run)

    def _says(self, entry: DatasetEntry) -> str:
        try:
            return str(DatasetFiles.of(self._volumes, entry).head() or "nothing")
        except KamuError as error:
            return str(error)

    def _stray_sidecars(self, *, dry_run: bool) -> Iterator[Finding]:
        """What merges keep beside datasets, of datasets that are gone: a worker may have been at it meanwhile."""
        # The folders are read before the registry: what is created meanwhile must not look lost.
        found = [folder for volume in self._volumes.distinct() for folder in sidecar_folders(volume)]
        with self._database.reading() as tx:
            known = {entry.id.as_multibase for entry in self._entries.list(tx)}
        for folder in found:
            if folder.name not in known:
                if not dry_run:
                    shutil.rmtree(folder, ignore_errors=True)
                message = f"removed what merges kept of {folder.name}, which is no dataset"
                yield Finding(FindingKind.LEFTOVERS, None, message, repaired=not dry_run)

    def _leftovers(self, *, dry_run: bool) -> Iterator[Finding]:
        for volume in self._volumes.distinct():
            files = volume.remove_leftovers(older_than=LEFTOVER_SECONDS, dry_run=dry_run)
            folders = abandoned(volume.staging(), remove=not dry_run)
            for found, what in ((files, "files of interrupted writers"), (folders, "folders of jobs that were killed")):
                if found:
                    message = f"removed {len(found)} {what}: {', '.join(found[:5])}"
                    yield Finding(FindingKind.LEFTOVERS, None, message, repaired=not dry_run)
