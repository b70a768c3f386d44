"""The helper that starts a whole node: what the scenarios and the measurements stand on."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.bench.node.manifests import root, rows
from tests.support.process_tree import stat_of
from tests.support.running_node import NodeFailedError, running_node
from tests.support.waiting import wait_until

PROCESSES = {"api", "scheduler", "worker", "catalog", "flows", "daemon", "webserver"}


def test_a_node_is_whole_while_it_runs_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with running_node(tmp_path / "home", storage={"durability": "fast"}) as running:
        # Dagster's daemon begins when the code server that it asks listens.
        families = wait_until(lambda: found if len(found := running.families()) > len(PROCESSES) else None)
        with running.opened() as node:
            node.datasets.create_from_snapshot(node.auth.admin_caller(), root("cities"))
        running.push("kamu/cities", rows(0, 3))
        answer = running.query('select max(population) as most from "kamu/cities"')
        wait_until(lambda: ("kamu", "cities") in running.ui.assets())

    assert running.pids() == {}
    assert set(families) == PROCESSES | {"supervisor"}
    assert answer == [{"most": 2}]
    assert running.supervisor.returncode == 0
    assert [pid for family in families.values() for pid in family if stat_of(pid)] == []


def test_a_node_that_does_not_start_says_why(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(NodeFailedError, match=r"`http\.port`"), running_node(tmp_path, http={"port": port}):
            pass
