"""What keeps a node from being ready is named, all of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kamu_assets.monitoring.exchange import offered
from kamu_assets.monitoring.families import Family, gauge
from kamu_assets.monitoring.metrics import SCHEDULER_LEADS, SCHEDULER_STEP
from kamu_gateway.edge.health import PARKED_AFTER_ATTEMPTS
from tests.support.served_node import ServedNode, serving


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedNode]:
    with serving(tmp_path) as node:
        yield node


def told(served: ServedNode, probe: str = "readiness") -> Any:
    answer = served.request("GET", f"/system/health?type={probe}", as_=None)
    document = answer.json()
    assert document["ok"] is (answer.status_code == 200)
    return document.get("reason")


def a_step(seconds_ago: float) -> Sequence[Family]:
    return [gauge(SCHEDULER_STEP.name, "When", time.time() - seconds_ago)]


def test_a_scheduler_that_works_is_fine_and_one_that_stands_still_is_named(served: ServedNode) -> None:
    run = served.node.settings.run_path

    with offered(run, "scheduler", lambda: a_step(1)):
        assert told(served) is None
    with offered(run, "scheduler", lambda: [gauge(SCHEDULER_STEP.name, "When", 0.0)]):
        assert told(served) is None
    with offered(run, "scheduler", lambda: a_step(3600)):
        assert "the scheduler has not looked for work for 36" in told(served)
    assert told(served) is None


def test_schedulers_are_judged_by_the_one_that_leads(served: ServedNode) -> None:
    run = served.node.settings.run_path

    def told_of(*seconds_ago: float, leader: int | None) -> Any:
        with contextlib.ExitStack() as running:
            for number, seconds in enumerate(seconds_ago):
                leads = gauge(SCHEDULER_LEADS.name, "Whether", float(number == leader))
                running.enter_context(offered(run, "scheduler", lambda s=seconds, g=leads: [*a_step(s), g]))  # type: ignore[misc] # bound now
            return told(served)

    assert told_of(1, 1, leader=1) is None
    assert told_of(3600, 1, leader=1) is None
    assert "has not looked for work" in told_of(1, 3600, leader=1)
    # All stand by: their leader is on another machine, or is just being found.
    assert told_of(1, 1, leader=None) is None
    assert "has not looked for work" in told_of(3600, leader=None)


def test_a_dead_scheduler_is_not_missed_beside_one_that_lives(served: ServedNode) -> None:
    run = served.node.settings.run_path
    run.joinpath("scheduler-7.metrics").touch()

    with offered(run, "scheduler", lambda: a_step(1)):
        assert told(served) is None


def test_a_dead_scheduler_is_named_and_the_node_could_start_still(served: ServedNode) -> None:
    served.node.settings.run_path.joinpath("scheduler.metrics").touch()

    assert "the scheduler does not answer" in told(served)
    assert told(served, "startup") is None
    assert told(served, "liveness") is None


def test_a_consumer_is_named_once_it_fails_again_and_again(served: ServedNode) -> None:
    def fail() -> None:
        with served.node.database.transaction() as tx:
            served.node.outbox.fail(tx, "reporter", "postgresql://kamu:hunter2@db is gone")

    for _ in range(PARKED_AFTER_ATTEMPTS - 1):
        fail()
    assert told(served) is None

    fail()
    assert "outbox consumer reporter is parked" in told(served)
    assert "hunter2" not in told(served)


@pytest.mark.parametrize(
    ("full", "named"), [("coordinator._queue._held", "pushes"), ("query_pool._places._waiting", "queries")]
)
def test_full_queues_are_named(served: ServedNode, monkeypatch: pytest.MonkeyPatch, full: str, named: str) -> None:
    place: Any = served.node
    *path, last = full.split(".")
    for name in path:
        place = getattr(place, name)
    monkeypatch.setattr(place, last, 1 << 40)

    assert f"{named} are refused" in told(served)


def test_all_faults_are_told_at_once(served: ServedNode) -> None:
    served.node.settings.run_path.joinpath("scheduler.metrics").touch()
    with served.node.database.transaction() as tx:
        for _ in range(PARKED_AFTER_ATTEMPTS):
            served.node.outbox.fail(tx, "flows", "!")

    assert len(told(served).split("; ")) == 2
