"""A node that has its tables, and Dagster's, in a PostgreSQL, stopped and started again."""

from __future__ import annotations

from pathlib import Path

import pytest

from kamu_assets.orchestration.names import CHECK_VERIFY
from tests.support.running_node import RunningNode, running_node
from tests.support.stories import add, derivative, numbers, numbers_so_far, pushed_root, records
from tests.support.waiting import wait_until

PATIENCE = 150.0
ROOT, MORE = ("kamu", "counted"), ("kamu", "more")

pytestmark = pytest.mark.timeout(900)


def wait_for(node: RunningNode, wanted: list[int], *, told: int) -> None:
    """Until the derivative has these numbers, and Dagster knows of so many commits of each dataset."""
    wait_until(lambda: numbers_so_far(node, MORE[-1]) == wanted, patience=PATIENCE, every=0.2)
    wait_until(
        lambda: all(len(node.ui.materializations(key)) == told for key in (ROOT, MORE)), patience=PATIENCE, every=0.2
    )


def checked(node: RunningNode) -> str:
    """What the check of the derivative says now."""
    run = node.ui.execute_check(MORE, CHECK_VERIFY)
    wait_until(lambda: (seen := node.ui.run(run)) and seen.has_ended, patience=PATIENCE, every=0.2)
    return node.ui.checks(MORE, CHECK_VERIFY)[0].status


def test_data_and_history_outlive_a_restart(postgres_database: str, tmp_path: Path) -> None:
    with running_node(tmp_path, database={"url": postgres_database}, storage={"durability": "fast"}) as node:
        add(node, pushed_root(ROOT[-1]), derivative(MORE[-1], of=ROOT[-1]))
        node.push("/".join(ROOT), records([1, 2]))
        wait_for(node, [2, 3], told=1)
        wait_until(lambda: {ROOT, MORE} <= node.ui.assets(), patience=PATIENCE, every=0.2)
        assert checked(node) == "SUCCEEDED"
        runs = {run.id for run in node.ui.runs(tags={})}

    assert not list(tmp_path.rglob("*.db")), "tables are elsewhere than in PostgreSQL"
    with running_node(tmp_path) as node:
        assert numbers(node, MORE[-1]) == [2, 3]
        assert {run.id for run in node.ui.runs(tags={})} == runs
        assert [check.status for check in node.ui.checks(MORE, CHECK_VERIFY)] == ["SUCCEEDED"]
        node.push("/".join(ROOT), records([3]))
        wait_for(node, [2, 3, 4], told=2)
        assert checked(node) == "SUCCEEDED"
