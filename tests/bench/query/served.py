"""The API of a node's home, in a process of its own."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.query.asking import Api
from tests.support.ports import free_ports
from tests.support.process_tree import ProcessMemory, all_processes, descendants, memory_of
from tests.support.running_node import environment
from tests.support.waiting import wait_until

_COMMAND = (sys.executable, "-m", "kamu_api.cli.main", "process", "api")


@dataclass(frozen=True, slots=True)
class Served:
    """Where to reach it, and what it costs."""

    port: int
    pid: int

    def client(self) -> Api:
        return Api(self.port)

    def front(self) -> ProcessMemory:
        """Memory of the process that clients talk to."""
        return memory_of(self.pid)

    def workers(self) -> list[ProcessMemory]:
        """Memory of the processes that it has queries run in, and of their parent."""
        return [memory_of(stat.pid) for stat in descendants(self.pid, all_processes())]


@contextmanager
def served(home: Path) -> Iterator[Served]:
    """Serve a home that somebody else may have open, too."""
    (port,) = free_ports(1)
    variables = {**environment(), "KAMU_NODE_HOME": str(home), "KAMU_NODE__HTTP__PORT": str(port)}
    with subprocess.Popen(
        _COMMAND, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            wait_until(lambda: _answers(port), patience=120)
            yield Served(port, process.pid)
        finally:
            process.terminate()
            process.wait(60)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/system/health")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()
