"""Jobs over a run's own datasets only: building one takes milliseconds, whatever the size of the catalog."""

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from dagster import AssetCheckKey, AssetKey, Definitions, JobDefinition
from dagster._core.execution.api import create_execution_plan
from dagster._core.snap import ExecutionPlanSnapshot, JobSnap, snapshot_from_execution_plan

from kamu_assets.orchestration.catalog.state import CatalogRow
from kamu_assets.orchestration.names import ASSET_JOB, CHECK_VERIFY, asset_key

# Datasets that are often updated; making the job of another one takes some ten milliseconds.
CACHED_JOBS = 100


class DefinitionsBuilder(Protocol):
    """Makes Dagster's definitions; lives above this package and is handed in."""

    def datasets(self, rows: Sequence[CatalogRow]) -> Definitions:
        """One executable asset per row."""
        ...

    def job(self, name: str) -> JobDefinition:
        """A job of the flows location."""
        ...


@dataclass(frozen=True)
class ScopedJob:
    """The asset job of some datasets, and what a run stores of it."""

    job: JobDefinition

    @cached_property
    def job_snapshot(self) -> JobSnap:
        return self.job.get_job_snapshot()

    @cached_property
    def plan_snapshot(self) -> ExecutionPlanSnapshot:
        return self.plan_with({})

    def plan_with(self, run_config: Mapping[str, object]) -> ExecutionPlanSnapshot:
        """Of a job that is told something."""
        plan = create_execution_plan(self.job, run_config)
        return snapshot_from_execution_plan(plan, self.job.get_job_snapshot_id())


class ScopedJobs:
    """Recently used jobs, by what they do and the revisions of their datasets."""

    def __init__(self, builder: DefinitionsBuilder, *, cached: int = CACHED_JOBS) -> None:
        self._builder = builder
        self._cached = cached
        self._named: dict[str, ScopedJob] = {}
        self._jobs: OrderedDict[tuple[frozenset[AssetCheckKey], tuple[str, ...]], ScopedJob] = OrderedDict()

    def named(self, name: str) -> ScopedJob:
        """A job of the flows location."""
        return self._named.setdefault(name, ScopedJob(self._builder.job(name)))

    def of(self, rows: Sequence[CatalogRow], *, only: Collection[AssetCheckKey] = ()) -> ScopedJob:
        """The job that brings datasets up to date and checks what they declare, or the one that does `only` checks."""
        key = (frozenset(only), tuple(sorted(row.revision for row in rows)))
        job = self._jobs.pop(key, None) or ScopedJob(self._job(rows, only))
        self._jobs[key] = job
        if len(self._jobs) > self._cached:
            self._jobs.popitem(last=False)
        return job

    def _job(self, rows: Sequence[CatalogRow], only: Collection[AssetCheckKey]) -> JobDefinition:
        job = self._builder.datasets(rows).get_repository_def().get_job(ASSET_JOB)
        declared = {key for row in rows for key in declared_checks(row)}
        if only:
            there = declared | {AssetCheckKey(_key(row), CHECK_VERIFY) for row in rows}
            # Some may be declared no more.
            return job.get_subset(asset_selection=set(), asset_check_selection=there.intersection(only) or {*only})
        return job.get_subset(asset_selection={_key(row) for row in rows}, asset_check_selection=declared)


def declared_checks(row: CatalogRow) -> Collection[AssetCheckKey]:
    """The checks that a dataset has beside the one that each has."""
    return [AssetCheckKey(_key(row), check.name) for check in row.checks]


def _key(row: CatalogRow) -> AssetKey:
    return asset_key(row.account, row.name)
