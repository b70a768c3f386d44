"""How the node compacts and resets datasets, and removes garbage, inside a Dagster run."""

import logging
from collections.abc import Callable
from typing import Protocol

from kamu_assets.auth.model import Caller
from kamu_assets.coordinator.compacting import CompactOptions
from kamu_assets.coordinator.compaction_plan import CompactionLimits
from kamu_assets.coordinator.garbage import Collected, CollectOptions
from kamu_assets.coordinator.resetting import ResetOptions
from kamu_assets.coordinator.results import NothingToDo, ReorganizationResult
from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.service import Datasets
from kamu_assets.defs.progress import ProgressLog
from kamu_assets.errors import KamuError, UnavailableError
from kamu_assets.flows.achievements import Achieved, tell_nobody
from kamu_assets.flows.results import ChainReplaced, GarbageRemoved
from kamu_assets.flows.scopes import SYSTEM
from kamu_assets.odf.identity import DatasetID, DatasetRef


class Reorganizes(Protocol):
    """The coordinator, as far as these runs need it."""

    def compact(
        self, caller: Caller, dataset: DatasetRef, options: CompactOptions | None = None
    ) -> ReorganizationResult: ...

    def reset(
        self, caller: Caller, dataset: DatasetRef, options: ResetOptions | None = None
    ) -> ReorganizationResult: ...

    def reset_to_metadata(
        self, caller: Caller, dataset: DatasetRef, *, run_id: str | None = None
    ) -> ReorganizationResult: ...


class Collects(Protocol):
    """Removes what nothing leads to."""

    def collect(self, caller: Caller, dataset: DatasetRef, options: CollectOptions | None = None) -> Collected: ...


class GarbageLeftError(UnavailableError):
    """Some datasets could not be looked at; the others were."""

    def __init__(self, failed: int, of: int) -> None:
        super().__init__(f"garbage of {failed} of {of} datasets was not collected: the run's log says why")


class NodeOperator:
    """Does it as the node's administrator: who may start flows was decided before."""

    def __init__(
        self,
        *,
        reorganization: Reorganizes,
        garbage: Collects,
        datasets: Datasets,
        caller: Caller,
        grace_seconds: float,
        achieved: Achieved = tell_nobody,
    ) -> None:
        self._reorganization = reorganization
        self._garbage = garbage
        self._datasets = datasets
        self._caller = caller
        self._grace_seconds = grace_seconds
        self._achieved = achieved

    def compact(self, dataset: DatasetRef, limits: CompactionLimits, *, run_id: str, log: logging.Logger) -> bool:
        """Told of as it goes."""
        id_ = self._id(dataset)
        options = CompactOptions(limits=limits, run_id=run_id, on_rows=_of_all(log, "records"))
        return self._told(id_, self._reorganization.compact(self._caller, id_, options), run_id, log)

    def reset(self, dataset: DatasetRef, options: ResetOptions, *, run_id: str, log: logging.Logger) -> bool:
        id_ = self._id(dataset)
        return self._told(id_, self._reorganization.reset(self._caller, id_, options), run_id, log)

    def reset_to_metadata(self, dataset: DatasetRef, *, run_id: str, log: logging.Logger) -> bool:
        id_ = self._id(dataset)
        return self._told(id_, self._reorganization.reset_to_metadata(self._caller, id_, run_id=run_id), run_id, log)

    def collect_garbage(self, *, run_id: str, log: logging.Logger) -> bool:
        """Of all datasets; one that cannot be read keeps nobody from the others."""
        entries = self._datasets.list(self._caller)
        found = [self._collect(entry, log) for entry in entries]
        collected = [each for each in found if each is not None]
        files = sum(each.removed for each in collected)
        gone = GarbageRemoved(files, sum(each.removed_bytes for each in collected), len(collected))
        self._achieved(run_id, SYSTEM, gone)
        if failed := found.count(None):
            raise GarbageLeftError(failed, len(found))
        log.info("removed %s files of %s datasets", files, len(found))
        return files > 0

    def _collect(self, entry: DatasetEntry, log: logging.Logger) -> Collected | None:
        options = CollectOptions(grace_seconds=self._grace_seconds, on_files=_of_all(log, f"files of {entry.alias}"))
        try:
            found = self._garbage.collect(self._caller, entry.id, options)
        except DatasetNotFoundError:
            # It was deleted meanwhile, with all of its files.
            return Collected()
        except KamuError as error:
            log.warning("%s: %s", entry.alias, error)
            return None
        if found.is_busy:
            log.info("%s is being written all the time: the rest goes next time", entry.alias)
        if found.removed:
            log.info("%s: removed %s files, %s bytes", entry.alias, found.removed, found.removed_bytes)
        return found

    def _id(self, dataset: DatasetRef) -> DatasetID:
        """Whatever it is called when the work is done."""
        return self._datasets.resolve(self._caller, dataset).id

    def _told(self, dataset: DatasetID, result: ReorganizationResult, run_id: str, log: logging.Logger) -> bool:
        """Whether there was anything to do."""
        self._achieved(run_id, dataset, ChainReplaced.of(result))
        if isinstance(result, NothingToDo):
            log.info("nothing to do")
            return False
        log.info("%s blocks are %s now, head %s", result.original_blocks, result.resulting_blocks, result.new_head)
        return True


def _of_all(log: logging.Logger, what: str) -> Callable[[int, int], None]:
    """Logs how far it is."""
    progress = ProgressLog(log)
    return lambda done, total: progress.tell("%s of %s %s", done, total, what)
