"""Has the rows checked that no run brought: pushes, commands, what was reset, rules that are new.

Runs that bring data check it themselves. The checks of a dataset are a run of their own here, at most one at a time,
and take no more than a part of the time: what comes meanwhile is checked together.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from typing import cast
from uuid import uuid4

import structlog
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.storage.tags import PRIORITY_TAG
from dagster._core.workspace.context import BaseWorkspaceRequestContext

from kamu_assets.database.database import Database
from kamu_assets.database.messages import Message
from kamu_assets.database.outbox import Outbox
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.datasets.messages import DatasetCreated, DatasetDeleted, DatasetRewritten, DatasetUpdated
from kamu_assets.errors import KamuError
from kamu_assets.flows.messages import FlowFinished
from kamu_assets.flows.model import OutcomeKind
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.catalog.rows import Catalog
from kamu_assets.orchestration.catalog.shards import shard_count, shard_of
from kamu_assets.orchestration.catalog.state import CatalogRow
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.failures import is_outage_error
from kamu_assets.orchestration.names import (
    ASSET_JOB,
    TAG_ACCOUNT,
    TAG_CHECKS,
    TAG_LAUNCHED_BY,
)
from kamu_assets.orchestration.origins import job_code_origin, remote_job_origin
from kamu_assets.orchestration.reports.following import follow
from kamu_assets.orchestration.run_making import create_run
from kamu_assets.orchestration.scoped import ScopedJobs, declared_checks
from kamu_assets.quality.declared import Declared, declared
from kamu_assets.quality.store import TallyStore

log = structlog.get_logger(__name__)

CONSUMER = "checks"
SECONDS_BETWEEN = 10.0
# Of the time that its checks took, before they are done again.
PAUSE = 10
# How soon one that goes on is looked at again: it has to pause after that.
UNFINISHED_SECONDS = 5.0
# How soon to try again what went wrong for one of them.
AGAIN_SECONDS = 60.0
# How often to look for checks that are behind although nobody said so: their run died, or nobody led.
LOOK_SECONDS = 600.0
# Flows go first.
_PRIORITY = "-10"
_LAUNCHED_BY = "new data"
_BAD = frozenset({OutcomeKind.FAILED, OutcomeKind.ABORTED})


class CheckRuns:
    """Follows the outbox, and submits runs that check. Repeating it changes nothing but when it was checked last."""

    def __init__(
        self,
        *,
        instance: DagsterInstance,
        config: AdapterConfig,
        catalog: Catalog,
        jobs: ScopedJobs,
        chains: Chains,
        database: Database,
        outbox: Outbox,
    ) -> None:
        self._instance = instance
        self._chains = chains
        self._config = config
        self._catalog = catalog
        self._jobs = jobs
        self._database = database
        self._outbox = outbox
        self._tallies = TallyStore()
        # What is to be checked, and the moment before which it need not be looked at again.
        self._wanted: dict[DatasetID, float] = {}
        self._looked = float("-inf")

    def step(self) -> bool:
        """Submit what may be checked now; tells whether there was news."""
        is_news = follow(CONSUMER, self._hear, outbox=self._outbox, database=self._database)
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._look()
            self._looked = time.monotonic()
        for dataset in [each for each, moment in self._wanted.items() if time.monotonic() >= moment]:
            if (wait := self._see_to(dataset)) > 0:
                self._wanted[dataset] = time.monotonic() + wait
            else:
                del self._wanted[dataset]
        return is_news

    def _look(self) -> None:
        """Take up what others left who led before, or what an outage cut short."""
        with self._database.reading() as tx:
            self._want(self._tallies.behind(tx))
        for record in self._instance.get_run_records(RunsFilter(statuses=[DagsterRunStatus.NOT_STARTED])):
            if TAG_CHECKS in record.dagster_run.tags:
                self._take_up(record.dagster_run)

    def _take_up(self, run: DagsterRun) -> None:
        """One that cannot be submitted keeps nobody from the others; the next look tries it again."""
        try:
            self._submit(run)
        except Exception as error:
            if is_outage_error(error):
                raise
            log.exception("checks_not_submitted", run=run.run_id)

    def _hear(self, messages: Sequence[Message]) -> None:
        wanted = [dataset for dataset in dict.fromkeys(_changed(messages)) if self._declares(dataset)]
        gone = [message.dataset_id for message in messages if isinstance(message, DatasetDeleted)]
        if wanted or gone:
            with self._database.transaction() as tx:
                # Whoever leads next knows it, too.
                self._tallies.want(tx, wanted)
                for dataset in gone:
                    self._tallies.forget(tx, dataset)
        self._want(wanted)

    def _want(self, datasets: Collection[DatasetID]) -> None:
        self._wanted = dict.fromkeys(datasets, float("-inf")) | self._wanted

    def _declares(self, dataset: DatasetID) -> bool:
        try:
            return declared(self._chains.state(dataset).attachments) != Declared()
        except KamuError:
            # It is gone, or damaged: `verify` tells.
            return False

    def _see_to(self, dataset: DatasetID) -> float:
        """Check it, or tell in how many seconds to see to it again; what is wrong with it is in nobody else's way."""
        try:
            wait = self._wait(dataset)
            if wait <= 0:
                self._check(dataset)
        except Exception as error:
            if is_outage_error(error):
                raise
            is_bug = not isinstance(error, KamuError)
            log.warning("dataset_not_checked", dataset=str(dataset), reason=str(error), exc_info=is_bug)
            return AGAIN_SECONDS
        return wait

    def _wait(self, dataset: DatasetID) -> float:
        """Seconds until nobody checks it, and the last time is long enough ago for what it took."""
        newest = self._instance.get_run_records(RunsFilter(tags={TAG_CHECKS: str(dataset)}), limit=1)
        if not newest:
            return 0
        if not newest[0].dagster_run.is_finished:
            return UNFINISHED_SECONDS
        began, ended = newest[0].start_time, newest[0].end_time
        if began is None or ended is None:
            return 0
        return ended + max(SECONDS_BETWEEN, PAUSE * (ended - began)) - time.time()

    def _check(self, dataset: DatasetID) -> None:
        row = self._row(dataset)
        if row is not None and row.checks:
            self._submit(self._create(row))

    def _submit(self, run: DagsterRun) -> None:
        self._instance.submit_run(run.run_id, workspace=cast("BaseWorkspaceRequestContext", None))

    def _row(self, dataset: DatasetID) -> CatalogRow | None:
        try:
            return self._catalog.row(dataset)
        except DatasetNotFoundError:
            return None

    def _create(self, row: CatalogRow) -> DagsterRun:
        checks = declared_checks(row)
        scoped = self._jobs.of([row], only=checks)
        shard = shard_of(self._config, row.id, row.account, count=shard_count(self._config))
        return create_run(
            self._instance,
            scoped,
            run_id=str(uuid4()),
            job=ASSET_JOB,
            origins=(remote_job_origin(self._config, shard), job_code_origin()),
            tags={
                TAG_CHECKS: str(row.id),
                TAG_ACCOUNT: row.account,
                TAG_LAUNCHED_BY: _LAUNCHED_BY,
                PRIORITY_TAG: _PRIORITY,
            },
            assets=frozenset(),
            checks=frozenset(checks),
        )


def _changed(messages: Collection[Message]) -> Iterator[DatasetID]:
    """Datasets with rows or rules that no run has checked."""
    for message in messages:
        match message:
            case DatasetUpdated(run_id=None) if message.new_records or "SetAttachments" in message.event_kinds:
                yield message.dataset_id
            case DatasetCreated() | DatasetRewritten():
                yield message.dataset_id
            case FlowFinished(dataset_id=DatasetID() as dataset) if message.outcome in _BAD:
                # Its run may have ended between its commit and its checks.
                yield dataset
            case _:
                continue
