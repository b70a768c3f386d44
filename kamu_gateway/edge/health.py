"""Whether a node can do its work, and if not, everything that is in the way."""

import time
from collections.abc import Callable, Iterator, Sequence

from kamu_assets.errors import KamuError
from kamu_assets.monitoring.exchange import collected
from kamu_assets.monitoring.families import Family
from kamu_assets.monitoring.metric import Gauge
from kamu_assets.monitoring.metrics import SCHEDULER_LEADS, SCHEDULER_STEP
from kamu_assets.node import Node

_PROBE_BYTES = 1 << 16
_SCHEDULER = "scheduler"
# It looks for work every two seconds; starting many runs may take longer.
SCHEDULER_SILENCE_SECONDS = 60.0
# Waits between attempts double: what fails so often does not pass by itself.
PARKED_AFTER_ATTEMPTS = 4

Check = Callable[[Node], Iterator[str]]


def _database(node: Node) -> Iterator[str]:
    node.database.require_current()
    yield from ()


def _volumes(node: Node) -> Iterator[str]:
    for volume in node.volumes.distinct():
        # Large enough to reach the disk, seen by nobody, gone again.
        with volume.writer("") as probe:
            probe.write(bytes(_PROBE_BYTES))
    yield from ()


def _queues(node: Node) -> Iterator[str]:
    if node.coordinator.is_full:
        yield "pushes are refused: too many wait for their commit (setting ingest.queue_limit)"
    if node.query_pool.is_refusing:
        yield "queries are refused: too many wait for a worker (setting query.workers)"


def _scheduler(node: Node) -> Iterator[str]:
    """Those that were never started, or have been stopped, are not missed, nor are dead ones beside one that lives."""
    found = collected(node.settings.run_path, only=f"{_SCHEDULER}*").values()
    living = [families for families in found if families is not None]
    if found and not living:
        yield "the scheduler does not answer: no flow starts"
    leading = [families for families in living if _value(families, SCHEDULER_LEADS)]
    steps = [_value(families, SCHEDULER_STEP) for families in leading or living]
    silence = time.time() - max(steps, default=0.0)
    # Zero: it is just starting.
    if all(steps) and steps and silence > SCHEDULER_SILENCE_SECONDS:
        yield f"the scheduler has not looked for work for {silence:.0f} s: no flow starts"


def _value(families: Sequence[Family], gauge: Gauge) -> float:
    return next((each.samples[0].value for each in families if each.name == gauge.name and each.samples), 0.0)


def _outbox(node: Node) -> Iterator[str]:
    with node.database.reading() as tx:
        consumers = node.outbox.consumers(tx)
    for one in consumers:
        if one.attempts >= PARKED_AFTER_ATTEMPTS:
            yield f"outbox consumer {one.name} is parked after {one.attempts} failures (`kamu-node status` tells why)"


TO_START: tuple[Check, ...] = (_database, _volumes)
TO_BE_READY: tuple[Check, ...] = (*TO_START, _queues, _scheduler, _outbox)


def find_fault(node: Node, checks: tuple[Check, ...] = TO_BE_READY) -> str | None:
    """What is wrong, or None."""
    faults = [fault for check in checks for fault in _faults(check, node)]
    # The database may be what several miss.
    return "; ".join(dict.fromkeys(faults)) or None


def _faults(check: Check, node: Node) -> list[str]:
    try:
        return list(check(node))
    except (KamuError, OSError) as error:
        return [f"{error}"]
