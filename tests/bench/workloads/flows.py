"""Thousands of pipelines: what the scheduler costs, how soon it decides, and how soon people see what it did."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from tests.bench.flows.cancel import PATH, cancel, slow_source
from tests.bench.flows.due import due_at_once
from tests.bench.flows.failover import failover
from tests.bench.flows.home import make_home
from tests.bench.flows.idle import scheduler_idle
from tests.bench.flows.pages import pages
from tests.bench.flows.push import push_to_derivative
from tests.bench.measurement import Measurement
from tests.support.ports import ports_in_a_row
from tests.support.running_node import RunningNode, running_node

CODE_SERVERS = 5
WORKERS = 2


def measure() -> Iterator[Measurement]:
    """Idling comes first: later there is history to be shown."""
    with slow_source() as web, tempfile.TemporaryDirectory(prefix="kamu-bench-") as folder:
        make_home(Path(folder), slow_url=f"{web.url}{PATH}")
        with a_node(Path(folder)) as node:
            yield from scheduler_idle(node)
            yield from push_to_derivative(node)
            yield cancel(node, web)
            yield from due_at_once(node)
    yield from failover()
    with tempfile.TemporaryDirectory(prefix="kamu-bench-") as folder:
        yield from pages(Path(folder))


def a_node(home: Path) -> AbstractContextManager[RunningNode]:
    """That may fetch from our own server."""
    dagster = {"workers": WORKERS, "shard_port": ports_in_a_row(CODE_SERVERS)}
    return running_node(home, dagster=dagster, egress={"allow": ["127.0.0.1"]})
