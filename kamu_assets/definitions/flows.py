"""The `flows` location: the node's own jobs, and the sensors that start some of them. It never reloads."""

import os
from functools import cache

from dagster import DagsterInstance

from kamu_assets.definitions.quiet import without_previews
from kamu_assets.defs.jobs import flow_definitions
from kamu_assets.node import Node
from kamu_assets.orchestration.scheduler.watching import Watches, Watching
from kamu_assets.settings import load_settings


@cache
def _node() -> Node:
    """Opened when a sensor ticks first: whoever only lists the jobs needs none."""
    return Node(load_settings())


def _watch(instance: DagsterInstance) -> Watches | None:
    """The node of this process; Dagster's own tools have none, and the default home may be another one's."""
    if "KAMU_NODE_HOME" not in os.environ:
        return None
    node = _node()
    return Watching(instance=instance, database=node.database, chains=node.chains, clock=node.clock)


without_previews()
defs = flow_definitions(watch=_watch)
