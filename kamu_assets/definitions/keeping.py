"""Makes what the jobs of the sensors need: the parts of the scheduler, for one run."""

from kamu_assets.defs.keeper import NodeKeeper
from kamu_assets.flows.scheduling.backlog import Backlog
from kamu_assets.flows.scheduling.hearing import Hearing
from kamu_assets.flows.scheduling.scheduler import FlowScheduler
from kamu_assets.node import Node
from kamu_assets.orchestration.reports.reporter import Reporter
from kamu_assets.orchestration.runs import DagsterOrchestrator


def node_keeper(node: Node, *, reporter: Reporter, orchestrator: DagsterOrchestrator) -> NodeKeeper:
    """Works beside the scheduler, or while there is none: each step looks first whether it was done meanwhile."""
    scheduler = FlowScheduler(
        database=node.database,
        outbox=node.outbox,
        flows=node.flows,
        chains=node.chains,
        orchestrator=orchestrator,
        clock=node.clock,
        # It begins nothing.
        max_running=0,
    )
    return NodeKeeper(
        database=node.database,
        hearing=Hearing(node.flows.life, Backlog(node.chains)),
        report=reporter.catch_up,
        settle=scheduler.reconcile,
    )
