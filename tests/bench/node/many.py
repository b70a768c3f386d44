"""10,000 datasets: what their registration does to runs meanwhile, how soon Dagster shows them, how runs start then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.bench.measurement import Machine, Measurement, median_of
from tests.bench.node.registration import Registered, register
from tests.bench.node.start import Start, requested_start, run_start
from tests.support.running_node import RunningNode
from tests.support.waiting import wait_until

LIMIT = 0.5
DATASETS = 10_000
# Of the datasets that are there before.
FIRST_ROOT = 500
# Runs of those whose runs nobody else measures.
FIRST_RUN, MOST_RUNS = 100, 300
LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 600.0


def ten_thousand(running: RunningNode) -> Iterator[Measurement]:
    """The node has 1,000; it gets code servers for the others by itself."""
    machine = Machine.now()
    with ThreadPoolExecutor() as pool:
        shown = pool.submit(_registered_and_shown, running)
        starts = list(_starts_until(running, shown.done))
        registered, seconds = shown.result()
    yield _meanwhile(starts, machine)
    yield Measurement(
        "datasets_visible_in_dagster_of_10000",
        seconds,
        "s",
        machine,
        details={
            "registered_in": registered.ended - registered.began,
            "code_servers": sum(name.startswith("catalog") for name in running.pids()),
        },
    )
    yield run_start(running, first=FIRST_ROOT, after="_with_10000")


def _registered_and_shown(running: RunningNode) -> tuple[Registered, float]:
    registered = register(running, first=FIRST_ROOT, roots=DATASETS // 2 - FIRST_ROOT)
    wanted = {("kamu", name) for name in registered.datasets}
    wait_until(lambda: wanted <= running.ui.assets(), patience=PATIENCE_SECONDS, every=LOOK_SECONDS)
    return registered, time.time() - registered.ended


def _starts_until(running: RunningNode, is_done: Callable[[], bool]) -> Iterator[Start]:
    for number in range(FIRST_RUN, FIRST_RUN + MOST_RUNS):
        if is_done():
            return
        yield requested_start(running, number)


def _meanwhile(starts: Sequence[Start], machine: Machine) -> Measurement:
    """A stalled run would show in the worst of them, a starved one in the median."""
    return median_of(
        "run_start_while_the_catalog_reloads", [start.step for start in starts], machine=machine, limit=LIMIT
    )
