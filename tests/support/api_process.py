"""The API of a home as a process of its own, for tests that count its memory, or kill it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from kamu_assets.node import open_node
from kamu_assets.settings import load_settings
from tests.support.command_line import PROGRAM
from tests.support.manifests import pushed_root, reading


def home_with_log(home: Path) -> Path:
    """A home with a root `log` of numbers."""
    with open_node(load_settings(home)) as node:
        node.datasets.create_from_snapshot(node.auth.admin_caller(), pushed_root("log", reading("n BIGINT")))
    return home


class Api:
    """The API of a home, as a process."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        environment = {
            **os.environ,
            "KAMU_NODE_HOME": str(home),
            "KAMU_NODE__HTTP__PORT": str(self.port),
            "KAMU_NODE__ENGINE__WORKERS": "1",
            "KAMU_NODE__QUERY__WORKERS": "1",
            "KAMU_NODE__INGEST__GROUP_LIMIT": "1024",
        }
        command = [*PROGRAM, "process", "api"]
        self._process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{self.port}/system/health?type=readiness").is_success:
                    return
            time.sleep(0.1)
        pytest.fail("the API did not start")

    def push(self, body: bytes) -> int:
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/x-ndjson"}
        url = f"http://127.0.0.1:{self.port}/kamu/log/ingest"
        return httpx.post(url, content=body, headers=headers, timeout=60).status_code

    @property
    def token(self) -> str:
        return (self.home / "keys" / "admin.token").read_text().strip()

    def resident_bytes(self) -> int:
        fields = Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii").split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@contextlib.contextmanager
def serving(home: Path) -> Iterator[Api]:
    api = Api(home)
    try:
        api.wait_until_ready()
        yield api
    finally:
        api.kill()


def numbers(api: Api) -> list[int]:
    query = {"query": 'select n from "log" order by n', "dataFormat": "JsonAoA", "limit": 100_000}
    answer = httpx.post(f"http://127.0.0.1:{api.port}/query", json=query, timeout=60)
    return [row[0] for row in answer.json()["output"]["data"]]
