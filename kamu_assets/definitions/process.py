"""The node's processes around Dagster: `python -m kamu_assets.definitions.process {scheduler,worker}`."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path

from dagster import DagsterInstance

from kamu_assets.database.database import Database
from kamu_assets.database.shrinking import Shrinking
from kamu_assets.definitions.builder import ListedDefinitions, NodeDefinitions
from kamu_assets.definitions.chores import Chores
from kamu_assets.definitions.keeping import node_keeper
from kamu_assets.defs.checker import NodeChecker
from kamu_assets.defs.operator import NodeOperator
from kamu_assets.defs.teller import NodeTeller
from kamu_assets.defs.updater import NodeUpdater
from kamu_assets.defs.verifier import NodeVerifier
from kamu_assets.flows.achievements import Achievements
from kamu_assets.flows.history.retention import FlowRetention
from kamu_assets.flows.logs import service as logs
from kamu_assets.flows.scheduling import scheduler
from kamu_assets.flows.scheduling.places import EnginePlaces
from kamu_assets.flows.scheduling.scheduler import FlowScheduler
from kamu_assets.monitoring.exchange import offered
from kamu_assets.node import Node, open_node
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.asked_runs import AskedRuns
from kamu_assets.orchestration.catalog import publisher
from kamu_assets.orchestration.catalog.publisher import CatalogPublisher
from kamu_assets.orchestration.catalog.rows import Catalog
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.instance import open_instance
from kamu_assets.orchestration.reports import check_runs, reporter
from kamu_assets.orchestration.reports.check_runs import CheckRuns
from kamu_assets.orchestration.reports.freshness import FreshnessReports
from kamu_assets.orchestration.reports.materialization import Materializations
from kamu_assets.orchestration.reports.reporter import Reporter
from kamu_assets.orchestration.reports.restoring import RestoringReporter
from kamu_assets.orchestration.runs import DagsterOrchestrator
from kamu_assets.orchestration.scheduler.led_work import LedWork
from kamu_assets.orchestration.scheduler.process import SchedulerProcess
from kamu_assets.orchestration.scheduler.retention import Retention
from kamu_assets.orchestration.scoped import ScopedJobs
from kamu_assets.orchestration.storages.retention import DagsterRetention
from kamu_assets.orchestration.workers.capacity import EngineCapacity, engine_of
from kamu_assets.orchestration.workers.execution import RunExecutor, TellingExecutor
from kamu_assets.orchestration.workers.place_waits import PlaceWaits
from kamu_assets.orchestration.workers.reaper import Reaper
from kamu_assets.orchestration.workers.telling import Telling
from kamu_assets.orchestration.workers.warm_queue import TELLING_PER_WORKER, WarmQueue
from kamu_assets.orchestration.workers.worker import WarmWorker
from kamu_assets.settings import adapter_config, begin_logging, load_settings
from kamu_assets.webhooks import dispatcher

# Who follows the outbox in the scheduler process.
CONSUMERS = (scheduler.CONSUMER, publisher.CONSUMER, reporter.CONSUMER, check_runs.CONSUMER, dispatcher.CONSUMER)
# Flows that have a run at the same time: some execute, a few wait right behind them.
RUNNING_PER_WORKER = 4


def run_scheduler(node: Node) -> None:
    """Lead or stand by until SIGTERM: decide, submit, publish and report."""
    config = adapter_config(node.settings)
    catalog = _catalog(node, config)
    jobs = ScopedJobs(ListedDefinitions())
    with node.database.transaction() as tx:
        node.outbox.register(tx, *CONSUMERS)
    with open_instance(config) as instance, node.outbox.running():
        begin = partial(_led_work, node, instance, catalog, jobs)
        # What takes long is done before: whoever takes over should work at once.
        _orchestrator(node, instance, catalog, jobs, _reporter(node, instance, node.database).report).warm_up()
        SchedulerProcess(database=node.database, begin=begin, wakeups=node.wakeups, clock=node.clock).main()


def _led_work(node: Node, instance: DagsterInstance, catalog: Catalog, jobs: ScopedJobs, database: Database) -> LedWork:
    """What one term's leader does; `database` lets it change nothing after that."""
    config, queue = adapter_config(node.settings), _queue(node)
    reporter = _reporter(node, instance, database)
    freshness = FreshnessReports(instance=instance, database=database, clock=node.clock)
    checks = CheckRuns(
        instance=instance,
        config=config,
        catalog=catalog,
        jobs=ScopedJobs(ListedDefinitions()),
        chains=node.chains,
        database=database,
        outbox=node.outbox,
    )
    orchestrator = _orchestrator(node, instance, catalog, jobs, reporter.report)
    return LedWork(
        scheduler=FlowScheduler(
            database=database,
            outbox=node.outbox,
            flows=node.flows,
            chains=node.chains,
            orchestrator=orchestrator,
            clock=node.clock,
            max_running=RUNNING_PER_WORKER * config.workers,
            max_telling=TELLING_PER_WORKER * config.workers,
            places=_places(node),
        ),
        reaper=Reaper(instance=instance, queue=queue, clock=node.clock),
        waits=PlaceWaits(instance=instance, queue=queue, flows=node.flows),
        catalog=CatalogPublisher(
            instance=instance,
            config=config,
            catalog=catalog,
            database=database,
            outbox=node.outbox,
            heard=freshness.hear,
        ),
        reports=RestoringReporter(instance=instance, database=database, reporter=reporter, clock=node.clock),
        chores=Chores(node, database).all,
        more={
            "retention": _retention(node, instance, database),
            "webhooks": node.webhooks.dispatcher,
            "checks": checks,
            "freshness": freshness,
            "asked-runs": AskedRuns(
                instance=instance, catalog=catalog, flows=node.flows, runs=orchestrator, clock=node.clock
            ),
        },
    )


def _retention(node: Node, instance: DagsterInstance, database: Database) -> Retention:
    agent = node.settings.flow_agent
    flows = FlowRetention(database, clock=node.clock, keep_days=agent.keep_days, keep_flows=agent.keep_flows)
    runs = DagsterRetention(
        instance,
        is_needed=flows.runs_of_live_flows,
        clock=node.clock,
        keep_days=node.settings.dagster.keep_days,
        keep_idle_days=node.settings.dagster.keep_idle_days,
    )
    room = Shrinking(partial(_sqlite_files, node))
    return Retention({"flows": flows.batches, "dagster": runs.batches, "pages": room.batches})


def _sqlite_files(node: Node) -> Iterator[Path]:
    """The node's and Dagster's, where they are not tables of a server."""
    if node.database.file is not None:
        yield node.database.file
    yield from adapter_config(node.settings).dagster_home.rglob("*.db")


def _orchestrator(
    node: Node, instance: DagsterInstance, catalog: Catalog, jobs: ScopedJobs, tell: Callable[[DatasetID], object]
) -> DagsterOrchestrator:
    config = adapter_config(node.settings)
    return DagsterOrchestrator(instance=instance, config=config, catalog=catalog, jobs=jobs, tell=tell)


def _reporter(node: Node, instance: DagsterInstance, database: Database) -> Reporter:
    return Reporter(
        instance=instance,
        database=database,
        outbox=node.outbox,
        chains=node.chains,
        materializations=_materializations(node),
    )


def run_worker(node: Node) -> None:
    """Execute runs until SIGTERM, or until a fresh worker should take over."""
    config = adapter_config(node.settings)
    node.engine_pool.warm_up()
    # It looks at what engines made, by way of Arrow: no run should wait for that.
    import_module("kamu_assets.coordinator.output_schema")
    achieved = Achievements(node.database).note
    updater = NodeUpdater(
        coordinator=node.coordinator,
        caller=node.auth.admin_caller(),
        materializations=_materializations(node),
        asked_of=node.flows.asked_of,
        is_counted_on=node.flows.is_counted_on,
        achieved=achieved,
    )
    verifier = NodeVerifier(coordinator=node.coordinator, caller=node.auth.admin_caller(), achieved=achieved)
    checker = NodeChecker(quality=node.quality, caller=node.auth.admin_caller())
    operator = NodeOperator(
        reorganization=node.reorganization,
        garbage=node.garbage,
        datasets=node.datasets,
        caller=node.auth.admin_caller(),
        grace_seconds=node.settings.flow_agent.garbage_grace_secs,
        achieved=achieved,
    )
    teller = NodeTeller(node.webhooks.deliverer)
    with open_instance(config) as instance:
        catalog, queue = _catalog(node, config), _queue(node)
        reporter = _reporter(node, instance, node.database)
        orchestrator = _orchestrator(node, instance, catalog, ScopedJobs(ListedDefinitions()), reporter.catch_up)
        builder = NodeDefinitions(
            updater=updater,
            verifier=verifier,
            checker=checker,
            examiner=node.doctor,
            operator=operator,
            keeper=node_keeper(node, reporter=reporter, orchestrator=orchestrator),
            teller=teller,
        )

        def executing(kind: type[RunExecutor]) -> RunExecutor:
            return kind(
                instance=instance,
                catalog=catalog,
                builder=builder,
                flows=node.flows,
                time_limit_seconds=config.run_time_limit_seconds,
                cancels=queue.cancels,
                tell=partial(node.wakeups.notify, logs.WAKEUP),
            )

        WarmWorker(
            instance=instance,
            queue=queue,
            runs=executing(RunExecutor),
            telling=Telling(queue=queue, runs=executing(TellingExecutor), recall=teller.recall),
            max_runs=config.worker_max_runs,
        ).main()


def main(arguments: list[str]) -> int:
    roles: dict[str, Callable[[Node], None]] = {"scheduler": run_scheduler, "worker": run_worker}
    if len(arguments) != 1 or arguments[0] not in roles:
        sys.stderr.write(f"usage: {__spec__.name} {'|'.join(roles)}\n")
        return 2
    settings = load_settings()
    begin_logging(settings, arguments[0])
    with open_node(settings) as node, offered(settings.run_path, arguments[0]), node.hearing_others():
        roles[arguments[0]](node)
    return 0


def _queue(node: Node) -> WarmQueue:
    capacity = EngineCapacity(node.settings.engine.capacity)
    return WarmQueue(database=node.database, wakeups=node.wakeups, clock=node.clock, capacity=capacity)


def _places(node: Node) -> EnginePlaces | None:
    limits = node.settings.engine.capacity
    return EnginePlaces(limits, partial(engine_of, node.chains)) if limits else None


def _catalog(node: Node, config: AdapterConfig) -> Catalog:
    return Catalog(database=node.database, chains=node.chains, volumes=node.volumes, node_url=config.node_url)


def _materializations(node: Node) -> Materializations:
    return Materializations(database=node.database, chains=node.chains, volumes=node.volumes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
