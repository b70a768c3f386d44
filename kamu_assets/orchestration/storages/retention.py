"""Dagster's history of long ago is forgotten, a little at a time; PostgreSQL and SQLite keep it in the same tables."""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, RunsFilter
from dagster._core.instance.utils import RUNLESS_RUN_ID
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from sqlalchemy import Connection, delete, func, or_, select

from kamu_assets.clock import Clock
from kamu_assets.orchestration.storages.event_log import NodeEventLogStorage

RUNS_AT_ONCE: Final = 20
EVENTS_AT_ONCE: Final = 200
_ENDED: Final = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
_LATEST_KEPT: Final = (DagsterEventType.ASSET_MATERIALIZATION.value, DagsterEventType.ASSET_OBSERVATION.value)
_TOLD: Final = (*_LATEST_KEPT, DagsterEventType.ASSET_CHECK_EVALUATION.value)
_PLANNED: Final = "PLANNED"

_events = SqlEventLogStorageTable.c
_checks = AssetCheckExecutionsTable.c


class DagsterRetention:
    """Keeps runs, and what was reported without runs, for some days.

    For ever it keeps each asset's latest materialization and the latest result of each of its checks, with their runs.
    """

    def __init__(
        self,
        instance: DagsterInstance,
        *,
        is_needed: Callable[[Collection[str]], Collection[str]],
        clock: Clock,
        keep_days: float,
        keep_idle_days: float,
    ) -> None:
        self._instance = instance
        # Those of some runs that somebody still needs, whatever their age.
        self._is_needed = is_needed
        self._clock = clock
        self._keep = timedelta(days=keep_days)
        self._keep_idle = timedelta(days=min(keep_idle_days, keep_days))
        # The last run that was looked at for having brought nothing, and stayed.
        self._idle_after: str | None = None

    def batches(self) -> Iterator[int]:
        """Each step removes some and tells how many; to stop between two, or within one, does no harm."""
        now = self._clock.now().to_datetime().astimezone(UTC)
        before = now - self._keep
        yield from self._runs(before)
        yield from self._idle_runs(now - self._keep_idle)
        yield from self._check_results(before)
        yield from self._reports(before)
        yield from self._copies(before)

    @property
    def _log(self) -> SqlEventLogStorage:
        return cast("SqlEventLogStorage", self._instance.event_log_storage)

    def _runs(self, before: datetime) -> Iterator[int]:
        old, after = RunsFilter(statuses=_ENDED, updated_before=before), None
        while found := self._instance.get_run_records(old, cursor=after, limit=RUNS_AT_ONCE, ascending=True):
            runs = [record.dagster_run.run_id for record in found]
            kept = {*self._latest(runs), *self._is_needed(runs)}
            yield self._remove([run for run in runs if run not in kept])
            # A run that is gone has no place.
            after = next((run for run in reversed(runs) if run in kept), after)

    def _idle_runs(self, before: datetime) -> Iterator[int]:
        """Those that looked for new data and found none: they are most of all runs, and say the least."""
        old, after = RunsFilter(statuses=[DagsterRunStatus.SUCCESS], updated_before=before), self._idle_after
        if after is not None and not self._instance.has_run(after):
            after = None
        while found := self._instance.get_run_records(old, cursor=after, limit=RUNS_AT_ONCE, ascending=True):
            runs = [record.dagster_run.run_id for record in found]
            updates = {record.dagster_run.run_id for record in found if record.dagster_run.asset_selection}
            idle = updates - self._telling(runs) - {*self._is_needed(runs)}
            yield self._remove(idle)
            after = next((run for run in reversed(runs) if run not in idle), after)
            self._idle_after = after

    def _remove(self, runs: Collection[str]) -> int:
        for run in runs:
            # First what a run without events would not lead to.
            self._log.delete_events(run)
            self._instance.run_storage.delete_run(run)
        return len(runs)

    def _telling(self, runs: Sequence[str]) -> set[str]:
        """Those of the runs that told anything of their datasets."""
        told = select(_events.run_id).where(_events.run_id.in_(runs), _events.dagster_event_type.in_(_TOLD))
        with self._log.index_connection() as connection:
            return {*connection.execute(told).scalars()}

    def _latest(self, runs: Sequence[str]) -> set[str]:
        """Those of the runs that made what is kept."""
        mine = select(_events.run_id, _events.id, _events.asset_key, _events.dagster_event_type)
        mine = mine.where(_events.run_id.in_(runs), _events.dagster_event_type.in_(_LATEST_KEPT))
        checked = select(_checks.run_id, _checks.id).where(_checks.run_id.in_(runs), _checks.id.in_(_latest_checks()))
        with self._log.index_connection() as connection:
            rows = connection.execute(mine).all()
            newest = _newest(connection, rows)
            by_checks = {row.run_id for row in connection.execute(checked)}
        return {row.run_id for row in rows if row.id in newest} | by_checks

    def _check_results(self, before: datetime) -> Iterator[int]:
        """Results whose runs are gone, or that never had one."""
        has_run = select(_events.id).where(_events.run_id == _checks.run_id).exists()
        alone = or_(_checks.run_id == RUNLESS_RUN_ID, ~has_run)
        old = (_checks.create_timestamp < _naive(before), _checks.id.not_in(_latest_checks()))
        query = select(_checks.id).where(alone, *old).order_by(_checks.id).limit(EVENTS_AT_ONCE)
        while True:
            with self._log.index_connection() as connection:
                gone = list(connection.execute(query).scalars())
                if gone:
                    connection.execute(delete(AssetCheckExecutionsTable).where(_checks.id.in_(gone)))
            if not gone:
                return
            yield len(gone)

    def _reports(self, before: datetime) -> Iterator[int]:
        """Pushes, mostly: they are reported without a run, one after another."""
        columns = (_events.id, _events.asset_key, _events.dagster_event_type, _events.timestamp)
        after = 0
        while True:
            query = select(*columns).where(_events.run_id == RUNLESS_RUN_ID, _events.id > after)
            with self._log.index_connection() as connection:
                rows = connection.execute(query.order_by(_events.id).limit(EVENTS_AT_ONCE)).all()
                old = [row for row in rows if row.timestamp < _naive(before)]
                kept = {*_newest(connection, old), *_results(connection, old)}
                gone = [row.id for row in old if row.id not in kept]
                if gone:
                    tags = AssetEventTagsTable
                    connection.execute(delete(tags).where(tags.c.event_id.in_(gone)))
                    connection.execute(delete(SqlEventLogStorageTable).where(_events.id.in_(gone)))
            # They come in the order of their times: behind young ones are younger ones.
            if not old:
                return
            after = rows[-1].id
            yield len(gone)

    def _copies(self, before: datetime) -> Iterator[int]:
        """In SQLite what was reported without a run has a file like a run's, which nobody reads, beside the index."""
        if not isinstance(self._log, NodeEventLogStorage):
            return
        old = select(_events.id).where(_events.timestamp < _naive(before)).order_by(_events.id).limit(EVENTS_AT_ONCE)
        while True:
            with self._log.run_connection(RUNLESS_RUN_ID) as connection:
                gone = list(connection.execute(old).scalars())
                if gone:
                    connection.execute(delete(SqlEventLogStorageTable).where(_events.id.in_(gone)))
            if not gone:
                return
            yield len(gone)


def _newest(connection: Connection, rows: Sequence[Any]) -> set[int]:
    """The latest events of the kinds and assets that these rows are of."""
    keys = {row.asset_key for row in rows if row.asset_key is not None}
    if not keys:
        return set()
    query = select(func.max(_events.id)).where(_events.asset_key.in_(keys))
    query = query.where(_events.dagster_event_type.in_({row.dagster_event_type for row in rows}))
    return {*connection.execute(query.group_by(_events.asset_key, _events.dagster_event_type)).scalars()}


def _results(connection: Connection, rows: Sequence[Any]) -> set[int]:
    """Those of the events that results of checks, which are kept, lead to."""
    query = select(_checks.evaluation_event_storage_id)
    return {
        *connection.execute(query.where(_checks.evaluation_event_storage_id.in_([row.id for row in rows]))).scalars()
    }


def _latest_checks() -> Any:
    """The latest result of every check."""
    query = select(func.max(_checks.id)).where(_checks.execution_status != _PLANNED)
    return query.group_by(_checks.asset_key, _checks.check_name)


def _naive(moment: datetime) -> datetime:
    """As Dagster's tables have it."""
    return moment.replace(tzinfo=None)
