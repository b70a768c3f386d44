"""What the scheduler costs while nothing is due: 10,000 datasets have triggers, and half of them a flow that waits."""

from __future__ import annotations

import time
from collections.abc import Iterator

from kamu_assets.flows.model import FlowState
from tests.bench.flows.home import DATASETS
from tests.bench.measurement import Machine, Measurement
from tests.bench.subject import expect
from tests.support.process_tree import memory_of, stat_of
from tests.support.running_node import RunningNode
from tests.support.waiting import wait_until

CPU_LIMIT = 2.0
MEMORY_LIMIT = 300.0
IDLE_SECONDS = 60.0
# Until the catalog is loaded.
LOOK_SECONDS, QUIET_SHARE, PATIENCE_SECONDS = 10.0, 0.05, 400.0
MB = 1_000_000


def scheduler_idle(running: RunningNode) -> Iterator[Measurement]:
    wait_until(lambda: _is_quiet(running), patience=PATIENCE_SECONDS, every=0)
    machine = Machine.now()
    pid = running.pids()["scheduler"]
    began, cpu = time.monotonic(), _cpu(pid)
    time.sleep(IDLE_SECONDS)
    share = 100 * (_cpu(pid) - cpu) / (time.monotonic() - began)
    expect("the scheduler", found=running.pids()["scheduler"], wanted=pid)
    details = _check(running)
    yield Measurement(
        "scheduler_idle_cpu_with_10000_triggers",
        share,
        "% of a core",
        machine,
        limit=CPU_LIMIT,
        by_clock=False,
        details=details,
    )
    memory = memory_of(pid)
    yield Measurement(
        "scheduler_memory_with_10000_triggers",
        memory.rss / MB,
        "MB",
        machine,
        limit=MEMORY_LIMIT,
        by_clock=False,
        details={"pss": memory.pss / MB},
    )


def _is_quiet(running: RunningNode) -> bool:
    pid = running.pids()["scheduler"]
    before = _cpu(pid)
    time.sleep(LOOK_SECONDS)
    return _cpu(pid) - before < QUIET_SHARE * LOOK_SECONDS


def _check(running: RunningNode) -> dict[str, int]:
    """Everything waits, and nothing has begun."""
    with running.opened() as node:
        admin = node.auth.admin_caller()
        triggers = node.triggers.list(admin)
        flows = node.flows.list(admin, limit=DATASETS)
    expect("triggers", found=sum(not each.trigger.paused for each in triggers), wanted=DATASETS)
    expect("states of flows", found={flow.state for flow in flows}, wanted={FlowState.WAITING})
    timed = sum(each.trigger.is_timed for each in triggers)
    expect("flows that wait", found=len(flows), wanted=timed)
    return {"triggers": len(triggers), "waiting_flows": len(flows)}


def _cpu(pid: int) -> float:
    stat = stat_of(pid)
    return stat.cpu_seconds if stat is not None else 0.0
