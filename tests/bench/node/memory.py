"""Whether 1,000 runs leave anything behind in the processes that execute and show them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from kamu_assets.flows.model import FlowState
from kamu_assets.node import Node
from kamu_assets.odf.identity import DatasetID
from tests.bench.measurement import Machine, Measurement
from tests.support.process_tree import memory_of
from tests.support.running_node import RunningNode
from tests.support.waiting import wait_until

# After 1,000 runs against after 100.
LIMIT = 1.15
WARM_UPS, RUNS = 100, 1000
AT_ONCE = 50
MB = 1e6
LOOK_SECONDS = 0.2
PATIENCE_SECONDS = 300.0
# What runs pass through; its children, the engines, have limits of their own.
_JUDGED = ("worker", "scheduler", "catalog", "flows", "webserver", "daemon")


def memory_over_runs(running: RunningNode) -> Iterator[Measurement]:
    """Every dataset of the node in turn."""
    machine = Machine.now()
    with running.opened() as node:
        entries = node.datasets.list(node.auth.admin_caller(), limit=RUNS)
        datasets = itertools.cycle([entry.id for entry in entries])
        _run(node, datasets, WARM_UPS)
        before = _memory(running)
        workers = running.pids()["worker"]
        _run(node, datasets, RUNS - WARM_UPS)
        after = _memory(running)
    assert running.pids()["worker"] == workers, "the worker was replaced, which hides what it gathered"
    for name in before.keys() & after.keys():
        yield Measurement(
            f"memory_of_{name}_over_1000_runs",
            after[name] / before[name],
            "x",
            machine,
            limit=LIMIT,
            by_clock=False,
            details={"before_mb": before[name] / MB, "after_mb": after[name] / MB},
        )


def _run(node: Node, datasets: Iterator[DatasetID], count: int) -> None:
    """So many runs, some of them waiting while others execute."""
    admin = node.auth.admin_caller()
    for _ in range(count // AT_ONCE):
        asked = list(itertools.islice(datasets, AT_ONCE))
        for dataset in asked:
            node.flows.request_run(admin, dataset)
        wait_until(lambda: _have_ended(node, AT_ONCE), patience=PATIENCE_SECONDS, every=LOOK_SECONDS)


def _have_ended(node: Node, count: int) -> bool:
    newest = node.flows.list(node.auth.admin_caller(), limit=count)
    return all(flow.state is FlowState.FINISHED for flow in newest)


def _memory(running: RunningNode) -> Mapping[str, int]:
    return {name: memory_of(pid).rss for name, pid in running.pids().items() if name.startswith(_JUDGED)}
