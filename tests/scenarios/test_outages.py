"""PostgreSQL crashes under a node at work and is away for a while: nothing is lost, and nothing counts twice."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kamu_assets.flows.model import OutcomeKind
from tests.support.postgres import restartable_server
from tests.support.running_node import RunningNode, running_node
from tests.support.steady_pushes import SteadyPushes
from tests.support.stories import (
    add,
    derivative,
    flows,
    live_flows,
    numbers,
    numbers_so_far,
    polled_root,
    pushed_root,
    records,
)
from tests.support.waiting import wait_until

PATIENCE = 200.0

pytestmark = [pytest.mark.timeout(900), pytest.mark.faults]


@pytest.mark.parametrize("seconds", [3, 10, 30])
def test_flows_of_all_kinds_go_on_after_a_crash_of_the_database_ds_11(tmp_path: Path, seconds: float) -> None:
    page = tmp_path / "page.ndjson"
    page.write_text(records(range(5)))
    # What was acknowledged is to outlive a power cut: the setting for that is the ordinary one.
    with restartable_server() as server, running_node(tmp_path / "home", database={"url": server.url}) as node:
        add(node, pushed_root("counted"), derivative("more", of="counted"))
        add(node, polled_root("polled", page.as_uri()), derivative("polled-more", of="polled"))
        node.kamu_node("trigger", "set", "polled", "--every", "1s")
        with SteadyPushes(node, "counted") as pushes:
            wait_until(lambda: numbers_so_far(node, "polled-more"), patience=PATIENCE)
            wait_until(lambda: any(flow.started_at for flow in live_flows(node)), patience=PATIENCE)

            server.crash()
            page.write_text(records(range(8)))
            time.sleep(seconds)
            server.start()

            pushes.go_on()
            wait_until(lambda: numbers_so_far(node, "polled-more") == [*range(1, 9)], patience=PATIENCE, every=0.5)
        wait_until(lambda: is_at_rest(node), patience=PATIENCE, every=0.5)

        pushes.check(numbers(node, "counted"))
        assert numbers(node, "polled") == [*range(8)]
        for name in ("more", "polled", "polled-more"):
            assert outcomes(node, name) <= {OutcomeKind.SUCCESS, OutcomeKind.UP_TO_DATE}


def is_at_rest(node: RunningNode) -> bool:
    """But for the schedule, which goes on."""
    pushed, computed = numbers_so_far(node, "counted"), numbers_so_far(node, "more")
    return sorted(computed) == sorted(number + 1 for number in pushed) and all(
        flow.outcome is not None for flow in flows(node, "more")
    )


def outcomes(node: RunningNode, name: str) -> set[OutcomeKind]:
    return {flow.outcome.kind for flow in flows(node, name) if flow.outcome is not None}
