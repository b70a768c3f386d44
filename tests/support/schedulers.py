"""Two real schedulers on one home, of which one leads; how long the other takes to follow it.

For the benchmark: `failover_seconds(folder, database_url=…, ending=…, times=…)`.
"""

from __future__ import annotations

import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from kamu_assets.flows.model import FlowState
from kamu_assets.orchestration.scheduler.leader import Leader, leader_of
from tests.support.dagster_home import DagsterHome, dagster_home
from tests.support.heart import ADMIN
from tests.support.waiting import wait_until

# In the log of whoever is ready to lead.
READY = "scheduler_stands_by"
PATIENCE = 150.0


@dataclass
class Schedulers:
    """One leads, one stands by, between calls of `pair`."""

    home: DagsterHome
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    # They may not have gone yet.
    ended: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def pair(self) -> Leader:
        """The leader, once another one is ready to follow it."""
        while len(self.running) < 2:
            ready = self.log().count(READY)
            self.running.append(self.home.start_own("scheduler"))
            if len(self.running) == 2:
                wait_until(lambda before=ready: self.log().count(READY) > before, patience=PATIENCE)  # type: ignore[misc] # bound now
            else:
                self.leader()
        return self.leader()

    def leader(self, *, after: int = 0) -> Leader:
        """Once there is one of a later term."""

        def leads() -> Leader | None:
            found = leader_of(self.home.parts.database)
            return found if found is not None and found.leads and found.term > after else None

        return wait_until(leads, patience=PATIENCE)

    def end(self, leader: Leader, how: signal.Signals) -> None:
        """End the leader's process; this does not wait for it."""
        process = self.process_of(leader)
        process.send_signal(how)
        self.running.remove(process)
        self.ended.append(process)

    def process_of(self, leader: Leader) -> subprocess.Popen[bytes]:
        """The leader's."""
        pid = int(leader.process.split(":")[1])
        return next(each for each in self.running if each.pid == pid)

    def log(self) -> str:
        """What all of them said."""
        path = self.home.parts.home / "scheduler.log"
        return path.read_text(errors="replace") if path.exists() else ""


def failover_seconds(
    folder: Path, *, database_url: str | None = None, ending: signal.Signals = signal.SIGKILL, times: int = 3
) -> list[float]:
    """From the end of a leader until a flow that somebody asked for at this moment has begun; on SQLite, or the URL."""
    with dagster_home(folder, database_url=database_url) as home:
        schedulers = Schedulers(home)
        return [_measured(schedulers, number, ending) for number in range(times)]


def _measured(schedulers: Schedulers, number: int, ending: signal.Signals) -> float:
    parts = schedulers.home.parts
    root = parts.root(f"polled-{number}")
    leader = schedulers.pair()
    began = time.perf_counter()
    schedulers.end(leader, ending)
    parts.flows.request_run(ADMIN, root.id)
    wait_until(
        lambda: (flow := parts.flow_of(root.id)) is not None and flow.state is FlowState.RUNNING,
        patience=PATIENCE,
        every=0.005,
    )
    return time.perf_counter() - began
