"""Gives a Dagster that has lost its home the history of the datasets back, from the node's own tables."""

import sys
import threading
from collections.abc import Sequence

import structlog
from dagster import DagsterInstance

from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.datasets.chains.block_index import BlockIndex
from kamu_assets.datasets.model import IndexedBlock
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.reports.reporter import Reporter

log = structlog.get_logger(__name__)

# In Dagster's own storage: it is lost with what it stands for.
MARK = "kamu/history_restored"
DATASETS_AT_ONCE = 20
# Commits that are told one by one; all before them are told as one.
COMMITS = 5


class RestoringReporter:
    """Reports news, and between them, once per home of Dagster, what happened before it was made."""

    def __init__(self, *, instance: DagsterInstance, database: Database, reporter: Reporter, clock: Clock) -> None:
        self._instance = instance
        self._database = database
        self._reporter = reporter
        # What comes after it is news: the reporter hears of it, or the run that made it tells.
        self._since = clock.now()
        self._entries = DatasetStore()
        self._index = BlockIndex()
        # None until somebody has looked.
        self._left: dict[DatasetID, None] | None = None
        self._is_marked = False
        # Whoever has news of a dataset waits until its past is told.
        self._restoring = threading.RLock()
        reporter.before = self._restore_first

    def step(self) -> bool:
        """Do a part of both; tells whether it pays to come back soon."""
        told = self._reporter.step()
        return self._restore() or told

    def _restore(self) -> bool:
        left = self._known_left()
        if self._is_marked:
            return False
        for dataset in list(left)[:DATASETS_AT_ONCE]:
            self._restore_first(dataset)
        if left:
            return True
        self._instance.run_storage.set_cursor_values({MARK: "true"})
        self._is_marked = True
        log.info("history_restored")
        return True

    def _restore_first(self, dataset: DatasetID) -> None:
        with self._restoring:
            left = self._known_left()
            if dataset in left:
                # Before its commits are told: each of them asks for this again.
                del left[dataset]
                self._tell(dataset)

    def _known_left(self) -> dict[DatasetID, None]:
        """Datasets whose past is still to be told."""
        with self._restoring:
            if self._left is None:
                self._is_marked = bool(self._instance.run_storage.get_cursor_values({MARK}))
                self._left = dict.fromkeys(() if self._is_marked else self._all())
                if self._left:
                    log.info("history_is_restored", datasets=len(self._left))
            return self._left

    def _all(self) -> Sequence[DatasetID]:
        with self._database.reading() as tx:
            return [entry.id for entry in self._entries.list(tx)]

    def _tell(self, dataset: DatasetID) -> None:
        try:
            # Oldest first. What Dagster knows already is not told again.
            for block in reversed(self._newest(dataset)):
                if block.system_time < self._since:
                    self._reporter.report(dataset, until=block.block_hash, at=block.system_time)
        except Exception:
            # One dataset must not keep the others from being told of.
            log.exception("history_not_restored", dataset=str(dataset))

    def _newest(self, dataset: DatasetID) -> Sequence[IndexedBlock]:
        """The last blocks with data, newest first."""
        found: list[IndexedBlock] = []
        until = sys.maxsize
        with self._database.reading() as tx:
            while len(found) < COMMITS and (block := self._index.newest_data(tx, dataset, until=until)):
                found.append(block)
                until = block.sequence_number - 1
        return found
