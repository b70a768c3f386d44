"""What is forgotten of Dagster's history, on a real instance: SQLite's files, and PostgreSQL's tables."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest
from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetKey,
    AssetMaterialization,
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
)
from dagster._core.events import StepMaterializationData
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.runs.schema import RunTagsTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from sqlalchemy import select

from kamu_assets.clock import ManualClock, SystemClock
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.orchestration.storages import retention as dagster_retention
from kamu_assets.orchestration.storages.event_log import NodeEventLogStorage
from kamu_assets.orchestration.storages.retention import DagsterRetention
from tests.support.dagster_home import DagsterHome

YEAR = 365 * 86_400 * 10**9


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dagster_retention, "RUNS_AT_ONCE", 2)
    monkeypatch.setattr(dagster_retention, "EVENTS_AT_ONCE", 3)


@pytest.fixture
def instance(dagster: DagsterHome) -> Iterator[DagsterInstance]:
    with dagster.instance() as instance:
        yield instance


def in_a_year(
    instance: DagsterInstance, *, needed: Collection[str] = (), days: float = 30, idle_days: float = 30
) -> DagsterRetention:
    clock = ManualClock(Timestamp(SystemClock().now().ns + YEAR))
    return DagsterRetention(instance, is_needed=lambda _: needed, clock=clock, keep_days=days, keep_idle_days=idle_days)


def a_key() -> AssetKey:
    return AssetKey(["kamu", uuid4().hex])


def run_of(
    instance: DagsterInstance, *events: DagsterEvent, status: DagsterRunStatus = DagsterRunStatus.SUCCESS
) -> str:
    run = instance.add_run(DagsterRun("job", run_id=str(uuid4()), status=status, tags={"of": "a_test"}))
    for event in events:
        instance.report_dagster_event(event, run_id=run.run_id, log_level=logging.INFO)
    return run.run_id


def materialized(asset: AssetKey) -> DagsterEvent:
    data = StepMaterializationData(AssetMaterialization(asset))
    return DagsterEvent(DagsterEventType.ASSET_MATERIALIZATION.value, "job", event_specific_data=data)


def checked(asset: AssetKey, *, passed: bool) -> DagsterEvent:
    data = AssetCheckEvaluation(asset_key=asset, check_name="verify", passed=passed, metadata={})
    return DagsterEvent(DagsterEventType.ASSET_CHECK_EVALUATION.value, "job", event_specific_data=data)


def there(instance: DagsterInstance, runs: Collection[str]) -> list[str]:
    return [run for run in runs if instance.has_run(run)]


def test_runs_go_but_for_those_that_somebody_looks_at(instance: DagsterInstance, dagster: DagsterHome) -> None:
    asset = a_key()
    runs = [run_of(instance, materialized(asset)) for _ in range(4)]
    checks = [run_of(instance, checked(asset, passed=passed)) for passed in (False, False, True)]
    live = run_of(instance, status=DagsterRunStatus.STARTED)
    needed = run_of(instance)

    list(in_a_year(instance, needed=[needed]).batches())

    kept = [runs[-1], checks[-1], live, needed]
    assert there(instance, [*runs, *checks, live, needed]) == kept
    (newest,) = instance.fetch_materializations(asset, limit=10).records
    assert newest.run_id == runs[-1]
    (result,) = instance.event_log_storage.get_asset_check_execution_history(AssetCheckKey(asset, "verify"), limit=10)
    assert result.run_id == checks[-1]
    assert instance.all_logs(runs[-1])
    gone = {*runs, *checks} - {*kept}
    assert len(rest_of(instance, kept)) >= len(kept)
    assert not rest_of(instance, gone)
    assert not [path for run in gone for path in Path(dagster.config.dagster_home).rglob(f"{run}*")]


def rest_of(instance: DagsterInstance, runs: Collection[str]) -> list[object]:
    """What the tables still have of runs."""
    events = select(dagster_retention._events.id).where(dagster_retention._events.run_id.in_(runs))
    checks = select(dagster_retention._checks.id).where(dagster_retention._checks.run_id.in_(runs))
    tags = select(RunTagsTable.c.id).where(RunTagsTable.c.run_id.in_(runs))
    with cast("SqlEventLogStorage", instance.event_log_storage).index_connection() as connection:
        found = [*connection.execute(events), *connection.execute(checks)]
    with cast("SqlRunStorage", instance.run_storage).connect() as connection:
        return [*found, *connection.execute(tags)]


def test_runs_that_found_nothing_go_early(instance: DagsterInstance) -> None:
    def update(status: DagsterRunStatus = DagsterRunStatus.SUCCESS, *, brings: bool = False) -> str:
        asset = a_key()
        run = DagsterRun("job", run_id=str(uuid4()), status=status, asset_selection=frozenset({asset}))
        instance.add_run(run)
        if brings:
            instance.report_dagster_event(materialized(asset), run_id=run.run_id, log_level=logging.INFO)
        return run.run_id

    failed, brought, other = update(DagsterRunStatus.FAILURE), update(brings=True), run_of(instance)
    idle = [update() for _ in range(5)]
    needed, live = update(), update(DagsterRunStatus.STARTED)
    retention = in_a_year(instance, needed=[needed], days=1000, idle_days=1)

    assert sum(retention.batches()) == len(idle)
    assert there(instance, [failed, brought, other, *idle, needed, live]) == [failed, brought, other, needed, live]

    later = update()
    assert sum(retention.batches()) == 1
    assert there(instance, [brought, other, later]) == [brought, other]


def test_of_reports_without_runs_the_last_of_each_asset_stays(instance: DagsterInstance) -> None:
    assets = [a_key() for _ in range(3)]
    for _ in range(4):
        for asset in assets:
            instance.report_runless_asset_event(AssetMaterialization(asset, tags={"of": "a_test"}))
    for passed in (False, True):
        instance.report_runless_asset_event(
            AssetCheckEvaluation(asset_key=assets[0], check_name="verify", passed=passed, metadata={})
        )
    before = instance.get_latest_materialization_event(assets[0])

    list(in_a_year(instance).batches())

    assert [len(instance.fetch_materializations(asset, limit=10).records) for asset in assets] == [1, 1, 1]
    assert instance.get_latest_materialization_event(assets[0]) == before
    (result,) = instance.event_log_storage.get_asset_check_execution_history(
        AssetCheckKey(assets[0], "verify"), limit=10
    )
    assert result.event is not None
    if isinstance(instance.event_log_storage, NodeEventLogStorage):
        with instance.event_log_storage.run_connection("") as connection:
            assert connection.execute(select(dagster_retention._events.id)).all() == []


def test_what_is_young_stays(instance: DagsterInstance) -> None:
    asset = a_key()
    runs = [run_of(instance, materialized(asset)) for _ in range(3)]
    instance.report_runless_asset_event(AssetMaterialization(asset))

    list(in_a_year(instance, days=400).batches())

    assert there(instance, runs) == runs
    assert len(instance.fetch_materializations(asset, limit=10).records) == 4


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_whoever_is_killed_half_way_goes_on_another_time(
    instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    asset = a_key()
    runs = [run_of(instance, materialized(asset)) for _ in range(5)]
    with monkeypatch.context() as patch:
        # Its events are gone, and the process is before the run is.
        patch.setattr(instance.run_storage, "delete_run", lambda _run: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            list(in_a_year(instance).batches())
    list(islice(in_a_year(instance).batches(), steps))

    list(in_a_year(instance).batches())

    assert there(instance, runs) == runs[-1:]
    assert not rest_of(instance, runs[:-1])
    assert len(instance.fetch_materializations(asset, limit=10).records) == 1
