"""Gives a Dagster that has lost its home the history of the datasets back, from the node's own tables."""

import sys
from collections.abc import Sequence

import structlog
from dagster import DagsterInstance

from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.datasets.block_index import BlockIndex
from kamu_assets.datasets.model import IndexedBlock
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.reporter import Reporter

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
        self._left: Sequence[DatasetID] | None = None

    def step(self) -> bool:
        """Do a part of both; tells whether it pays to come back soon."""
        told = self._reporter.step()
        return self._restore() or told

    def _restore(self) -> bool:
        if self._left is None:
            self._left = self._all() if self._is_needed() else ()
            if self._left:
                log.info("history_is_restored", datasets=len(self._left))
        if not self._left:
            return False
        for dataset in self._left[:DATASETS_AT_ONCE]:
            self._tell(dataset)
        self._left = self._left[DATASETS_AT_ONCE:]
        if not self._left:
            self._mark()
            log.info("history_restored")
        return True

    def _is_needed(self) -> bool:
        return not self._instance.run_storage.get_cursor_values({MARK})

    def _all(self) -> Sequence[DatasetID]:
        with self._database.reading() as tx:
            found = [entry.id for entry in self._entries.list(tx)]
        if not found:
            self._mark()
        return found

    def _mark(self) -> None:
        self._instance.run_storage.set_cursor_values({MARK: "true"})

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
