"""What a node costs that nobody uses: memory and processor time of all its processes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.measurement import Machine, Measurement
from tests.support.process_tree import ProcessMemory, memory_of, stat_of
from tests.support.running_node import RunningNode

MEMORY_LIMIT = 2.0
CPU_LIMIT = 5.0
SETTLE_SECONDS = 15.0
IDLE_SECONDS = 60.0
GB = 1e9
MB = 1_000_000

Families = Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class _Clock:
    """Processor time of each process and its children, at a moment."""

    at: float
    seconds: Mapping[str, float]

    @classmethod
    def read(cls, families: Families) -> _Clock:
        return cls(time.monotonic(), {name: _cpu_seconds(pids) for name, pids in families.items()})


def idle_costs(running: RunningNode, *, after: str = "") -> Iterator[Measurement]:
    """Leave the node alone for a while; guards hold for a node with few datasets and with many."""
    time.sleep(SETTLE_SECONDS)
    machine = Machine.now()
    began = _Clock.read(running.families())
    time.sleep(IDLE_SECONDS)
    families = running.families()
    ended = _Clock.read(families)
    yield _memory(families, machine, f"idle_memory{after}")
    yield _cpu(began, ended, machine, f"idle_cpu{after}")


def _memory(families: Families, machine: Machine, workload: str) -> Measurement:
    found = {name: [memory_of(pid) for pid in pids] for name, pids in families.items()}
    total = _total([memory for family in found.values() for memory in family])
    return Measurement(
        workload,
        total.rss / GB,
        "GB",
        machine,
        limit=MEMORY_LIMIT,
        by_clock=False,
        details={"pss": total.pss / GB, "processes": {name: _told(family) for name, family in found.items()}},
    )


def _told(family: Sequence[ProcessMemory]) -> dict[str, Any]:
    """A process of the node: it with its children, and each of them."""
    total = _total(family)
    return {"rss_mb": total.rss // MB, "pss_mb": total.pss // MB, "each_rss_mb": [one.rss // MB for one in family]}


def _cpu(began: _Clock, ended: _Clock, machine: Machine, workload: str) -> Measurement:
    passed = ended.at - began.at
    each = {name: 100 * (seconds - began.seconds.get(name, 0.0)) / passed for name, seconds in ended.seconds.items()}
    return Measurement(
        workload,
        sum(each.values()),
        "% of a core",
        machine,
        limit=CPU_LIMIT,
        by_clock=False,
        details={"seconds": passed, "processes": each},
    )


def _cpu_seconds(pids: Sequence[int]) -> float:
    return sum(stat.cpu_seconds for stat in map(stat_of, pids) if stat is not None)


def _total(parts: Sequence[ProcessMemory]) -> ProcessMemory:
    return ProcessMemory(rss=sum(part.rss for part in parts), pss=sum(part.pss for part in parts))
