"""The process that computes a query is killed in the middle: whoever asked may ask again, and nobody else notices."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.manifests import pushed_root, reading
from tests.support.process_tree import stat_of
from tests.support.served_node import ServedNode, serving
from tests.support.stories import records
from tests.support.waiting import wait_until

RECORDS = 3000
# Of processor time: more than it takes to answer what can be answered.
BUSY_SECONDS = 1.0
# Every triple of records: minutes of work.
ENDLESS = "select max(a.n * b.n + c.n) as most from " + ", ".join(f'"alice/numbers" as {alias}' for alias in "abc")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[ServedNode]:
    with serving(tmp_path) as node:
        node.create(pushed_root("numbers", reading("event_time TIMESTAMP", "n BIGINT")))
        assert node.push("alice/numbers", records(range(RECORDS)), "application/x-ndjson").is_success
        yield node


def ask(node: ServedNode, sql: str) -> httpx.Response:
    return node.request("POST", "/query", as_=None, json={"query": sql})


def test_a_killed_query_can_be_asked_again_and_the_next_one_works(node: ServedNode) -> None:
    (worker,) = node.node.query_pool._idle
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(ask, node, ENDLESS)
        wait_until(lambda: computes(worker.pid))
        os.kill(worker.pid, signal.SIGKILL)
        killed = answer.result()

    assert killed.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert killed.json()["message"].endswith("try again")
    assert "retry-after" in killed.headers
    following = ask(node, 'select count(*) as records from "alice/numbers"')
    assert following.json()["output"]["data"] == [{"records": RECORDS}]


def computes(pid: int) -> bool:
    """Whether it is well beyond planning."""
    stat = stat_of(pid)
    assert stat is not None, "it ended by itself"
    return stat.cpu_seconds > BUSY_SECONDS
