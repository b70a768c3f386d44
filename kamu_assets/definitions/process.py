"""The node's processes around Dagster: `python -m kamu_assets.definitions.process {scheduler,worker}`."""

import sys
from collections.abc import Callable
from functools import partial

from kamu_assets.definitions.builder import ListedDefinitions, NodeDefinitions
from kamu_assets.defs.updater import NodeUpdater
from kamu_assets.defs.verifier import NodeVerifier
from kamu_assets.flows import scheduler
from kamu_assets.flows.places import EnginePlaces
from kamu_assets.flows.scheduler import FlowScheduler
from kamu_assets.monitoring.exchange import offered
from kamu_assets.node import Node, open_node
from kamu_assets.orchestration import publisher, reporter
from kamu_assets.orchestration.capacity import EngineCapacity, engine_of
from kamu_assets.orchestration.catalog import Catalog
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.execution import RunExecutor
from kamu_assets.orchestration.instance import open_instance
from kamu_assets.orchestration.materialization import Materializations
from kamu_assets.orchestration.place_waits import PlaceWaits
from kamu_assets.orchestration.publisher import CatalogPublisher
from kamu_assets.orchestration.reaper import Reaper
from kamu_assets.orchestration.reporter import Reporter
from kamu_assets.orchestration.restoring import RestoringReporter
from kamu_assets.orchestration.runs import DagsterOrchestrator
from kamu_assets.orchestration.scheduler_process import SchedulerProcess
from kamu_assets.orchestration.scoped import ScopedJobs
from kamu_assets.orchestration.warm_queue import WarmQueue
from kamu_assets.orchestration.worker import WarmWorker
from kamu_assets.settings import adapter_config, begin_logging, load_settings
from kamu_assets.webhooks import dispatcher

# Who follows the outbox in the scheduler process.
CONSUMERS = (scheduler.CONSUMER, publisher.CONSUMER, reporter.CONSUMER, dispatcher.CONSUMER)
# Flows that have a run at the same time: some execute, a few wait right behind them.
RUNNING_PER_WORKER = 4


def run_scheduler(node: Node) -> None:
    """Decide, submit, publish and report until SIGTERM."""
    config = adapter_config(node.settings)
    catalog = _catalog(node, config)
    queue = _queue(node)
    with node.database.transaction() as tx:
        node.outbox.register(tx, *CONSUMERS)
    with open_instance(config) as instance, node.outbox.running():
        runless_reporter = Reporter(
            instance=instance,
            database=node.database,
            outbox=node.outbox,
            chains=node.chains,
            materializations=_materializations(node),
        )
        orchestrator = DagsterOrchestrator(
            instance=instance,
            config=config,
            catalog=catalog,
            jobs=ScopedJobs(ListedDefinitions()),
            queue=queue,
            tell=runless_reporter.report,
        )
        orchestrator.warm_up()
        flow_scheduler = FlowScheduler(
            database=node.database,
            outbox=node.outbox,
            flows=node.flows,
            chains=node.chains,
            orchestrator=orchestrator,
            clock=node.clock,
            max_running=RUNNING_PER_WORKER * config.workers,
            places=_places(node),
        )
        catalog_publisher = CatalogPublisher(
            instance=instance, config=config, catalog=catalog, database=node.database, outbox=node.outbox
        )
        SchedulerProcess(
            scheduler=flow_scheduler,
            reaper=Reaper(instance=instance, queue=queue, clock=node.clock),
            waits=PlaceWaits(instance=instance, queue=queue, flows=node.flows),
            catalog=catalog_publisher,
            reports=RestoringReporter(
                instance=instance, database=node.database, reporter=runless_reporter, clock=node.clock
            ),
            wakeups=node.wakeups,
            clock=node.clock,
            chores=partial(_forget_what_is_old, node),
            more={"webhooks": node.webhooks.courier()},
        ).main()


def _forget_what_is_old(node: Node) -> None:
    with node.database.transaction() as tx:
        node.outbox.prune(tx, older_than=node.settings.outbox.keep_seconds)
    node.webhooks.service.prune(older_than=node.settings.webhooks.keep_seconds)
    node.query_history.prune(keep_days=node.settings.query.keep_days)


def run_worker(node: Node) -> None:
    """Execute runs until SIGTERM, or until a fresh worker should take over."""
    config = adapter_config(node.settings)
    node.engine_pool.warm_up()
    updater = NodeUpdater(
        coordinator=node.coordinator, caller=node.auth.admin_caller(), materializations=_materializations(node)
    )
    verifier = NodeVerifier(coordinator=node.coordinator, caller=node.auth.admin_caller())
    with open_instance(config) as instance:
        WarmWorker(
            instance=instance,
            queue=_queue(node),
            runs=RunExecutor(
                instance=instance,
                catalog=_catalog(node, config),
                builder=NodeDefinitions(updater=updater, verifier=verifier, examiner=node.doctor),
                flows=node.flows,
                time_limit_seconds=config.run_time_limit_seconds,
            ),
            max_runs=config.worker_max_runs,
        ).main()


def main(arguments: list[str]) -> int:
    roles: dict[str, Callable[[Node], None]] = {"scheduler": run_scheduler, "worker": run_worker}
    if len(arguments) != 1 or arguments[0] not in roles:
        sys.stderr.write(f"usage: {__spec__.name} {'|'.join(roles)}\n")
        return 2
    settings = load_settings()
    begin_logging(settings, arguments[0])
    with open_node(settings) as node, offered(settings.run_path, arguments[0]):
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
