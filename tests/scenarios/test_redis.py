"""A node whose processes hear of each other through Redis, which is lost and comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kamu_assets.flows.model import OutcomeKind
from tests.support.redis_server import PASSWORD, redis_server
from tests.support.running_node import RunningNode, running_node
from tests.support.stories import add, derivative, flows, numbers_so_far, pushed_root, records
from tests.support.waiting import wait_until

PATIENCE = 150.0
ROOT, MORE = ("kamu", "counted"), ("kamu", "more")

pytestmark = pytest.mark.timeout(900)


def transport(node: RunningNode) -> Any:
    """What the node says of its transport, and whether that has passed on all there is."""
    work = json.loads(node.kamu_node("status", "--json", check=False).out)["work"]
    newest = max(each["position"] + each["pending"] for each in work["consumers"])
    return work["transport"] | {"has_all": work["transport"]["relayed"] == newest}


def wait_for(node: RunningNode, wanted: list[int], *, told: int) -> None:
    """Until all that follows the outbox has done its part: flows, the catalog, the reporter."""
    wait_until(lambda: numbers_so_far(node, MORE[-1]) == wanted, patience=PATIENCE, every=0.2)
    wait_until(lambda: {ROOT, MORE} <= node.ui.assets(), patience=PATIENCE, every=0.2)
    wait_until(
        lambda: all(len(node.ui.materializations(key)) == told for key in (ROOT, MORE)), patience=PATIENCE, every=0.2
    )


def test_a_node_runs_on_redis_and_without_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with redis_server() as server:
        home.mkdir()
        (home / "redis-url").write_text(server.url)
        outbox = {"transport": "redis", "redis_url_file": "redis-url"}
        with running_node(home, outbox=outbox, storage={"durability": "fast"}) as node:
            add(node, pushed_root(ROOT[-1]), derivative(MORE[-1], of=ROOT[-1]))
            node.push("/".join(ROOT), records([1, 2]))
            wait_for(node, [2, 3], told=1)
            wait_until(lambda: transport(node)["has_all"], patience=PATIENCE, every=0.5)

            server.kill()
            node.push("/".join(ROOT), records([3]))
            wait_for(node, [2, 3, 4], told=2)
            assert "Redis unavailable" in transport(node)["fault"]

            server.start()
            node.push("/".join(ROOT), records([4]))
            wait_for(node, [2, 3, 4, 5], told=3)
            wait_until(lambda: transport(node)["has_all"], patience=PATIENCE, every=0.5)

            with server.client() as client:
                client.flushall()
            node.push("/".join(ROOT), records([5]))
            wait_for(node, [2, 3, 4, 5, 6], told=4)
            wait_until(lambda: transport(node)["has_all"], patience=PATIENCE, every=0.5)

            # It keeps its connections, and answers nobody.
            with server.frozen():
                node.push("/".join(ROOT), records([6]))
                wait_for(node, [2, 3, 4, 5, 6, 7], told=5)
            wait_until(lambda: transport(node)["has_all"], patience=PATIENCE, every=0.5)
            assert {(flow.outcome and flow.outcome.kind) for flow in flows(node, MORE[-1])} == {OutcomeKind.SUCCESS}
            log = node.log()

    assert log.count("outbox_stream_begun") >= 2
    assert PASSWORD not in log
