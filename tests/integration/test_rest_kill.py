"""The API's process is killed while bodies come in and commits are under way."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from kamu_assets.node import open_node
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.settings import load_settings
from tests.support.manifests import pushed_root, reading
from tests.support.waiting import wait_until


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
        command = [sys.executable, "-m", "kamu_api.cli.main", "process", "api"]
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


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with open_node(load_settings(tmp_path)) as node:
        node.datasets.create_from_snapshot(node.auth.admin_caller(), pushed_root("log", reading("n BIGINT")))
    return tmp_path


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


def spooled(home: Path) -> list[Path]:
    return [path for path in (home / "uploads").rglob("*") if path.is_file()]


def test_a_spooled_body_of_a_killed_process_is_forgotten(home: Path) -> None:
    with open_node(load_settings(home)) as node:
        before = node.datasets.summary(node.auth.admin_caller(), DatasetAlias.parse("log")).head
    with serving(home) as api, socket.create_connection(("127.0.0.1", api.port)) as connection:
        lines = ("POST /kamu/log/ingest HTTP/1.1", "host: n", f"authorization: Bearer {api.token}")
        head = "\r\n".join((*lines, "content-length: 9000", "", ""))
        connection.sendall(head.encode() + b'{"n":1}\n' * 500)
        wait_until(lambda: spooled(home))
        api.kill()

    with serving(home) as again:
        assert spooled(home) == []
        with open_node(load_settings(home)) as node:
            assert node.datasets.summary(node.auth.admin_caller(), DatasetAlias.parse("log")).head == before
        assert again.push(b'{"n":1}') == 200


def test_acknowledged_pushes_survive_a_kill_and_nothing_is_there_twice(home: Path) -> None:
    acknowledged: list[int] = []
    with serving(home) as api:

        def push_many(start: int) -> None:
            numbered = range(start, start + 1000)
            with contextlib.suppress(httpx.HTTPError):
                acknowledged.extend(number for number in numbered if api.push(b'{"n":%d}' % number) == 200)

        threads = [threading.Thread(target=push_many, args=(1000 * lane,)) for lane in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(acknowledged) >= 20)
        api.kill()
        for thread in threads:
            thread.join()

    with serving(home) as again:
        found = numbers(again)

    assert set(acknowledged) <= set(found)
    assert len(found) == len(set(found))
    # What was under way may be there too: one push of each client.
    assert len(found) <= len(acknowledged) + 4
