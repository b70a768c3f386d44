"""A whole node as `kamu-node up` starts it: how soon derivatives follow, how soon Dagster knows, what idling costs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from tests.bench.measurement import Measurement
from tests.bench.node.catalog import datasets_visible
from tests.bench.node.idle import idle_costs
from tests.bench.node.many import ten_thousand
from tests.bench.node.memory import memory_over_runs
from tests.bench.node.push import push_to_derivative
from tests.bench.node.start import run_start, ui_run_start
from tests.support.ports import ports_in_a_row
from tests.support.running_node import RunningNode, running_node

CODE_SERVERS = 5
# A worker that is replaced cannot show what it would have gathered.
WORKER = {"worker_max_runs": 100_000}


def measure() -> Iterator[Measurement]:
    """Idling is measured after some work, so that it shows what a used node keeps."""
    with tempfile.TemporaryDirectory(prefix="kamu-bench-") as folder, a_node(Path(folder)) as node:
        yield push_to_derivative(node)
        yield from idle_costs(node)
        yield datasets_visible(node)
        yield run_start(node)
        yield from ui_run_start(node)
        yield from idle_costs(node, after="_with_1000")
        yield from memory_over_runs(node)
        yield from ten_thousand(node)


def a_node(home: Path) -> AbstractContextManager[RunningNode]:
    """With room for code servers that it does not need yet."""
    return running_node(home, dagster={**WORKER, "shard_port": ports_in_a_row(CODE_SERVERS)})
