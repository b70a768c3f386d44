"""The scheduler and worker processes of a stand-in node: `python -m tests.support.dagster_process ROLE PORTS…`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from kamu_assets.definitions.builder import ListedDefinitions, NodeDefinitions
from kamu_assets.defs.updater import NodeUpdater
from kamu_assets.defs.verifier import NodeVerifier
from kamu_assets.flows.scheduler import FlowScheduler
from kamu_assets.orchestration.instance import open_instance
from kamu_assets.orchestration.publisher import CatalogPublisher
from kamu_assets.orchestration.reaper import Reaper
from kamu_assets.orchestration.reporter import Reporter
from kamu_assets.orchestration.runs import DagsterOrchestrator
from kamu_assets.orchestration.scheduler_process import SchedulerProcess
from kamu_assets.orchestration.scoped import ScopedJobs
from kamu_assets.orchestration.worker import WarmWorker
from tests.support.coordination import a_coordinator
from tests.support.dagster_home import Parts, StandInCoordinator, config_of
from tests.support.heart import ADMIN


def run_scheduler(parts: Parts) -> None:
    with open_instance(parts.config) as instance:
        reporter = Reporter(
            instance=instance,
            database=parts.database,
            outbox=parts.outbox,
            chains=parts.chains,
            materializations=parts.materializations,
        )
        orchestrator = DagsterOrchestrator(
            instance=instance,
            config=parts.config,
            catalog=parts.catalog,
            jobs=ScopedJobs(ListedDefinitions()),
            queue=parts.queue,
            tell=reporter.report,
        )
        orchestrator.warm_up()
        SchedulerProcess(
            scheduler=FlowScheduler(
                database=parts.database,
                outbox=parts.outbox,
                flows=parts.flows,
                orchestrator=orchestrator,
                clock=parts.clock,
                max_running=4,
            ),
            reaper=Reaper(instance=instance, queue=parts.queue, clock=parts.clock),
            catalog=CatalogPublisher(
                instance=instance,
                config=parts.config,
                catalog=parts.catalog,
                database=parts.database,
                outbox=parts.outbox,
            ),
            reports=reporter,
            wakeups=parts.wakeups,
            clock=parts.clock,
        ).main()


def run_worker(parts: Parts) -> None:
    updater = NodeUpdater(
        coordinator=StandInCoordinator(parts),
        caller=ADMIN,
        materializations=parts.materializations,
    )
    verifier = NodeVerifier(coordinator=a_coordinator(parts.heart, base=parts.home), caller=ADMIN)
    with open_instance(parts.config) as instance:
        WarmWorker(
            instance=instance,
            queue=parts.queue,
            catalog=parts.catalog,
            builder=NodeDefinitions(updater=updater, verifier=verifier, examiner=parts.heart.doctor),
            flows=parts.flows,
            max_runs=1000,
        ).main()


if __name__ == "__main__":
    role, *ports = sys.argv[1:]
    catalog, flows, webserver = map(int, ports)
    home = Path(os.environ["TEST_NODE_HOME"])
    {"scheduler": run_scheduler, "worker": run_worker}[role](
        Parts(home, config_of(home, catalog=catalog, flows=flows, webserver=webserver))
    )
