"""From the registration of 1,000 datasets to Dagster's webserver listing all of them."""

from __future__ import annotations

import time

from tests.bench.measurement import Machine, Measurement
from tests.bench.node.registration import register
from tests.support.process_tree import stat_of
from tests.support.running_node import RunningNode
from tests.support.waiting import wait_until

LIMIT = 10.0
DATASETS = 1000
LOOK_SECONDS = 0.25


def datasets_visible(running: RunningNode) -> Measurement:
    machine = Machine.now()
    before = _cpu(running)
    registered = register(running, first=0, roots=DATASETS // 2)
    wanted = {("kamu", name) for name in registered.datasets}
    wait_until(lambda: wanted <= running.ui.assets(), every=LOOK_SECONDS)
    return Measurement(
        "datasets_visible_in_dagster",
        time.time() - registered.ended,
        "s",
        machine,
        limit=LIMIT,
        details={
            "datasets": DATASETS,
            "registered_in": registered.ended - registered.began,
            "cpu_seconds": {name: after - before.get(name, 0.0) for name, after in _cpu(running).items()},
        },
    )


def _cpu(running: RunningNode) -> dict[str, float]:
    stats = {name: stat_of(pid) for name, pid in running.pids().items()}
    return {name: stat.cpu_seconds for name, stat in stats.items() if stat is not None}
