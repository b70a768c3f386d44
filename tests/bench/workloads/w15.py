"""How soon a node answers: its version, a first query by the command line, and its API after `kamu-node up`."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx

from kamu_assets.coordinator.service import PushData
from kamu_assets.node import open_node
from kamu_assets.settings import load_settings
from tests.bench.data import events
from tests.bench.ingest import EVENTS, manifest
from tests.bench.measurement import Machine, Measurement, spread
from tests.bench.small_pushes import ndjson
from tests.bench.subject import expect
from tests.support.ports import free_ports
from tests.support.running_node import environment
from tests.support.waiting import wait_until

COMMAND = (sys.executable, "-m", "kamu_api.cli.main")
ROUNDS = 5
STARTS = 3
ROWS = 1_000
VERSION_LIMIT = 0.2
QUERY_LIMIT = 1.5
READY_LIMIT = 5.0


def measure() -> Iterator[Measurement]:
    yield _repeated("w15: version, cpu", _version, VERSION_LIMIT, by_clock=False)
    yield _repeated("w15: python -c pass, cpu", lambda: _cpu([sys.executable, "-c", "pass"])[0], None, by_clock=False)
    with tempfile.TemporaryDirectory(prefix="kamu-bench-") as folder:
        home = Home.prepared(Path(folder))
        yield _repeated("w15: first query", home.first_query, QUERY_LIMIT)
        yield _repeated("w15: ready", home.ready, READY_LIMIT, rounds=STARTS)


def _repeated(
    name: str, run: Callable[[], float], limit: float | None, *, by_clock: bool = True, rounds: int = ROUNDS
) -> Measurement:
    """The first run is not counted: it reads files that the others find in memory, and writes bytecode."""
    run()
    machine = Machine.now()
    took = [run() for _ in range(rounds)]
    return Measurement(name, median(took), "s", machine, limit=limit, by_clock=by_clock, details=spread(took))


def _version() -> float:
    took, said = _cpu([*COMMAND, "--version"])
    expect("version", found=said.split()[0], wanted="kamu-node")
    return took


def _cpu(command: list[str]) -> tuple[float, str]:
    """Processor seconds of a child process, and what it says."""
    before = _children()
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    return _children() - before, done.stdout


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@dataclass(frozen=True, slots=True)
class Home:
    """A node that has been used before, on ports of its own."""

    path: Path
    port: int

    @classmethod
    def prepared(cls, path: Path) -> Home:
        port, *others = free_ports(4)
        dagster = dict(zip(("webserver_port", "catalog_port", "flows_port"), others, strict=True))
        # JSON is YAML.
        (path / "node.yaml").write_text(json.dumps({"http": {"port": port}, "dagster": dagster}))
        with open_node(load_settings(path)) as node:
            admin = node.auth.admin_caller()
            node.datasets.create_from_snapshot(admin, manifest("NdJson"))
            node.coordinator.push(admin, EVENTS, PushData(ndjson(events(ROWS))))
        return cls(path, port)

    def first_query(self) -> float:
        """Seconds until a new process has answered and ended."""
        began = time.perf_counter()
        sql = "select count(*) as rows from events"
        command = [*COMMAND, "sql", "--home", str(self.path), "--format", "json", sql]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
        took = time.perf_counter() - began
        expect("answer", found=str(ROWS) in done.stdout, wanted=True)
        return took

    def ready(self) -> float:
        """Seconds until the API says that the node is well."""
        began = time.perf_counter()
        command = [*COMMAND, "up", "--home", str(self.path)]
        with subprocess.Popen(
            command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as node:
            try:
                wait_until(self._is_well, patience=120)
                return time.perf_counter() - began
            finally:
                node.terminate()
                node.wait(60)

    def _is_well(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/system/health").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False
