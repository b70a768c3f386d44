"""The API's process is killed while bodies come in and commits are under way."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import httpx
import pytest

from kamu_assets.node import open_node
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.settings import load_settings
from tests.support.api_process import home_with_log, numbers, serving
from tests.support.waiting import wait_until


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return home_with_log(tmp_path)


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
