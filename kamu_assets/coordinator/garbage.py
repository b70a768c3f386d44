"""Garbage collection: what is left of datasets that were reset or compacted, and of writes that failed.

A file goes when no block of the chain is or names it, when it was written longer ago than the grace time, and when no
head that was replaced since leads to it. Writers hold a lock from their first file until their head has moved, so
nothing goes that a commit under way is about to name. What does not look like a part of a dataset is not ours.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from kamu_assets.auth.model import Caller
from kamu_assets.clock import Clock
from kamu_assets.coordinator.garbage_reach import Reach, reach_of
from kamu_assets.database.database import Database
from kamu_assets.datasets.chains.former_heads import FormerHeads
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.service import Datasets
from kamu_assets.governance.access import Action
from kamu_assets.odf.identity import DatasetRef
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp
from kamu_assets.storage.layout import dataset_folder, is_object_key, is_part_key, writers_lock
from kamu_assets.storage.locks import alone
from kamu_assets.storage.object_store import ObjectInfo, ObjectStore
from kamu_assets.storage.volumes import Volumes

DEFAULT_GRACE_SECONDS: Final = 86_400
# Writers wait for so many removals at most, and we so long for writers.
_AT_ONCE: Final = 100
_PATIENCE_SECONDS: Final = 5.0

# Told the files removed and the files to remove.
OnFiles = Callable[[int, int], None]


def _tell_nobody(_: int, __: int) -> None:
    """Ignore progress."""


@dataclass(frozen=True, slots=True)
class CollectOptions:
    """What may go, and who listens."""

    grace_seconds: float = DEFAULT_GRACE_SECONDS
    # Only tell what would go.
    dry_run: bool = False
    on_files: OnFiles = _tell_nobody


@dataclass(frozen=True, slots=True)
class Collected:
    """What became of the files that the chain does not need."""

    removed: int = 0
    removed_bytes: int = 0
    # For now: they are young, or behind a head that was replaced within the grace time.
    kept: int = 0
    kept_bytes: int = 0
    # Keys of what is not ours.
    foreign: tuple[str, ...] = ()
    # Writers did not stop writing: the rest has to wait for another time.
    is_busy: bool = False


@dataclass(frozen=True, slots=True)
class GarbageCollection:
    """The use case."""

    datasets: Datasets
    database: Database
    volumes: Volumes
    clock: Clock

    def collect(self, caller: Caller, dataset: DatasetRef, options: CollectOptions | None = None) -> Collected:
        """Remove what nothing leads to any more, or tell what that is."""
        entry = self.datasets.resolve(caller, dataset, action=Action.MAINTAIN)
        asked = options or CollectOptions()
        volume = self.volumes.for_kind(entry.kind)
        # What comes after this look at the files is not looked at.
        stored = list(volume.list(f"{dataset_folder(entry.id)}/"))
        reach = reach_of(self.database, self.volumes, entry, replaced_after=self._since(asked.grace_seconds))
        unreached = [item for item in stored if is_object_key(item.key) and not reach.has(item.key)]
        latest = time.time() - asked.grace_seconds
        doomed = [item for item in unreached if item.modified <= latest and reach.may_lose(item.key)]
        behind = [item for item in stored if item.key in reach.former]
        kept = [*behind, *(item for item in unreached if item not in doomed)]
        found = Collected(
            kept=len(kept),
            kept_bytes=sum(item.size for item in kept),
            foreign=tuple(item.key for item in stored if not is_part_key(item.key)),
        )
        if asked.dry_run:
            return _with(found, doomed)
        return self._remove(entry, reach, doomed, found, asked.on_files)

    def _since(self, grace_seconds: float) -> Timestamp:
        return Timestamp(self.clock.now().ns - round(grace_seconds * NANOS_PER_SECOND))

    def _remove(
        self,
        entry: DatasetEntry,
        reach: Reach,
        doomed: Sequence[ObjectInfo],
        found: Collected,
        on_files: OnFiles,
    ) -> Collected:
        volume = self.volumes.for_kind(entry.kind)
        for start in range(0, len(doomed), _AT_ONCE):
            with alone(writers_lock(volume, entry.id), patience=_PATIENCE_SECONDS) as is_alone:
                if not is_alone:
                    return replace(found, is_busy=True)
                reach = reach.renewed(self.database, self.volumes, entry)
                going = [item for item in doomed[start : start + _AT_ONCE] if _is_same(volume, item, reach)]
                for item in going:
                    volume.delete(item.key)
            found = _with(found, going)
            on_files(min(start + _AT_ONCE, len(doomed)), len(doomed))
        if reach.expired:
            with self.database.transaction() as tx:
                for head in reach.expired:
                    FormerHeads().forget(tx, entry.id, head)
        return found


def _is_same(volume: ObjectStore, item: ObjectInfo, reach: Reach) -> bool:
    """Whether nobody has named the file, or written it again, since we looked."""
    return not reach.has(item.key) and volume.exists(item.key) and volume.stat(item.key).etag == item.etag


def _with(found: Collected, gone: Sequence[ObjectInfo]) -> Collected:
    size = sum(item.size for item in gone)
    return replace(found, removed=found.removed + len(gone), removed_bytes=found.removed_bytes + size)
