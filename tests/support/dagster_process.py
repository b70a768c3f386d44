"""The scheduler and worker processes of a stand-in node: `python -m tests.support.dagster_process ROLE PORTS…`."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from dagster import DagsterInstance

from kamu_assets.database.database import Database
from kamu_assets.database.silence import SILENT_SECONDS, Silence
from kamu_assets.definitions.builder import ListedDefinitions
from kamu_assets.orchestration.asked_runs import AskedRuns
from kamu_assets.orchestration.catalog.publisher import CatalogPublisher
from kamu_assets.orchestration.instance import open_instance
from kamu_assets.orchestration.reports.restoring import RestoringReporter
from kamu_assets.orchestration.scheduler.led_work import LedWork
from kamu_assets.orchestration.scheduler.process import SchedulerProcess
from kamu_assets.orchestration.workers.place_waits import PlaceWaits
from kamu_assets.orchestration.workers.reaper import Reaper
from kamu_assets.orchestration.workers.worker import WarmWorker
from tests.support.dagster_adapter import orchestrator_of, reporter_of, scheduler_of, worker_of
from tests.support.dagster_home import Parts, config_of


def run_scheduler(parts: Parts) -> None:
    with open_instance(parts.config) as instance:
        orchestrator_of(parts, instance, reporter_of(parts, instance), ListedDefinitions()).warm_up()
        begin = partial(led_work, parts, instance)
        SchedulerProcess(database=parts.database, begin=begin, wakeups=parts.wakeups, clock=parts.clock).main()


def led_work(parts: Parts, instance: DagsterInstance, database: Database) -> LedWork:
    reporter = reporter_of(parts, instance, database)
    orchestrator = orchestrator_of(parts, instance, reporter, ListedDefinitions())
    return LedWork(
        scheduler=scheduler_of(parts, orchestrator, database),
        reaper=Reaper(instance=instance, queue=parts.queue, clock=parts.clock, silence=_silence()),
        waits=PlaceWaits(instance=instance, queue=parts.queue, flows=parts.flows),
        catalog=CatalogPublisher(
            instance=instance,
            config=parts.config,
            catalog=parts.catalog,
            database=database,
            outbox=parts.outbox,
        ),
        reports=RestoringReporter(instance=instance, database=database, reporter=reporter, clock=parts.clock),
        more={
            "asked-runs": AskedRuns(
                instance=instance, catalog=parts.catalog, flows=parts.flows, runs=orchestrator, clock=parts.clock
            )
        },
    )


def _silence() -> Silence:
    """Shorter than a node's, where a test says so."""
    return Silence(seconds=float(os.environ.get("TEST_NODE_SILENT_SECONDS", SILENT_SECONDS)))


def run_worker(parts: Parts) -> None:
    if beat := os.environ.get("TEST_NODE_BEAT_SECONDS"):
        import pytest

        pytest.MonkeyPatch().setattr(f"{WarmWorker.__module__}.HEARTBEAT_SECONDS", float(beat))
    with open_instance(parts.config) as instance:
        worker_of(parts, instance).main()


if __name__ == "__main__":
    role, *ports = sys.argv[1:]
    catalog, flows, webserver = map(int, ports)
    home, url = Path(os.environ["TEST_NODE_HOME"]), os.environ["TEST_NODE_DATABASE_URL"]
    {"scheduler": run_scheduler, "worker": run_worker}[role](
        Parts(home, config_of(home, catalog=catalog, flows=flows, webserver=webserver, database_url=url))
    )
