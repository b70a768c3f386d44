"""The queue of warm workers behaves alike on SQLite and PostgreSQL, whoever races."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from kamu_assets.clock import ManualClock
from kamu_assets.database.database import Database
from kamu_assets.database.wakeups import Wakeups
from kamu_assets.orchestration.workers.capacity import EngineCapacity, WaitingForPlace
from kamu_assets.orchestration.workers.liveness import own_identity
from kamu_assets.orchestration.workers.warm_queue import (
    CANCELS_TOPIC,
    RUNS_TOPIC,
    WAITING_PER_WORKER,
    Cancellation,
    WarmQueue,
)
from tests.support.builders import START


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def queue(database: Database, tmp_path: Path, clock: ManualClock) -> WarmQueue:
    return WarmQueue(database=database, wakeups=Wakeups(tmp_path / "run"), clock=clock)


def a_dead_worker() -> str:
    """Identity of a process that has ended."""
    code = "from kamu_assets.orchestration.workers.liveness import own_identity; print(own_identity())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_runs_are_claimed_by_priority_then_age(queue: WarmQueue, clock: ManualClock) -> None:
    for name, priority in (("old", 0), ("new", 0), ("urgent", 5), ("idle", -1)):
        queue.put(name, subject=None, priority=priority)
        clock.advance(1)

    assert [queue.claim("worker") for _ in range(5)] == ["urgent", "old", "new", "idle", None]


def test_a_second_delivery_does_not_queue_a_run_twice(queue: WarmQueue) -> None:
    queue.put("run", subject="a")
    queue.put("run", subject="a")

    assert queue.claim("one") == "run"
    queue.put("run", subject="a")
    assert queue.claim("two") is None


def test_only_one_run_of_a_subject_is_claimed_at_a_time(queue: WarmQueue, clock: ManualClock) -> None:
    queue.put("first", subject="a")
    clock.advance(1)
    queue.put("second", subject="a")
    queue.put("other", subject="b")

    assert queue.claim("one") == "first"
    assert queue.claim("two") == "other"
    assert queue.claim("three") is None
    queue.done("first")
    assert queue.claim("three") == "second"


def test_a_worker_that_came_too_late_for_one_takes_another(queue: WarmQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.put("mine", subject="a")
    claim, refusals = queue._claim, [IntegrityError("update", {}, Exception("uq_warm_runs_subject"))]

    def refused(*asked: Any) -> str | None:
        if refusals:
            raise refusals.pop()
        return claim(*asked)

    monkeypatch.setattr(queue, "_claim", refused)

    assert queue.claim("worker") == "mine"


def test_racing_workers_never_claim_the_same_run(queue: WarmQueue) -> None:
    for number in range(40):
        queue.put(f"run-{number}", subject=f"subject-{number % 8}")

    def work(worker: int) -> list[str]:
        claimed = []
        for _ in range(60):
            run_id = queue.claim(f"worker-{worker}")
            if run_id is not None:
                claimed.append(run_id)
                queue.done(run_id)
        return claimed

    with ThreadPoolExecutor(4) as threads:
        claimed = [run_id for done in threads.map(work, range(4)) for run_id in done]

    assert sorted(claimed) == sorted(f"run-{number}" for number in range(40))


def test_a_waiting_run_is_taken_back_and_a_claimed_one_is_asked_to_stop(queue: WarmQueue) -> None:
    queue.put("waits", subject=None)
    assert queue.cancel("waits") is Cancellation.REMOVED
    queue.put("runs", subject=None)
    queue.claim("worker")

    with queue.listen(CANCELS_TOPIC) as listener:
        assert queue.cancel("runs") is Cancellation.ASKED
        assert listener.wait(60)

    assert queue.cancels("worker") == ["runs"]
    assert queue.cancels("another") == []
    assert queue.cancel("nothing") is Cancellation.ABSENT


def test_workers_are_woken_by_new_runs(queue: WarmQueue) -> None:
    with queue.listen(RUNS_TOPIC) as listener:
        queue.put("run", subject=None)

        assert listener.wait(60)


def test_a_run_of_a_dead_worker_is_lost(queue: WarmQueue) -> None:
    dead, alive = a_dead_worker(), own_identity()
    for worker, run_id in ((dead, "lost"), (alive, "safe")):
        queue.put(run_id, subject=None)
        queue.beat(worker)
        queue.claim(worker)

    assert queue.lost() == [("lost", dead)]
    assert queue.owner("lost") is None
    assert queue.owner("safe") == alive


def test_a_worker_elsewhere_is_dead_when_it_is_silent(queue: WarmQueue, clock: ManualClock) -> None:
    elsewhere = f"another-host:{os.getpid()}:1"
    queue.beat(elsewhere)
    queue.put("run", subject=None)
    queue.claim(elsewhere)

    assert queue.lost() == []
    clock.advance(60)

    assert queue.lost() == [("run", elsewhere)]


def test_there_is_room_while_a_live_worker_is_near(queue: WarmQueue) -> None:
    assert not queue.has_room("a")
    queue.beat(a_dead_worker())
    assert not queue.has_room("a")
    queue.beat(own_identity())
    assert queue.has_room("a")

    queue.put("run-a", subject="a")
    assert not queue.has_room("a")
    assert queue.has_room("b")
    assert queue.has_room(None)
    for number in range(WAITING_PER_WORKER):
        queue.put(f"run-{number}", subject=None)
    assert not queue.has_room("b")


def test_the_queue_tells_the_heartbeats_of_those_who_live(queue: WarmQueue, clock: ManualClock) -> None:
    queue.beat(a_dead_worker())
    queue.beat(own_identity())
    first = clock.now()
    clock.advance(7)

    assert queue.heartbeats() == {own_identity(): first}
    queue.beat(own_identity())
    assert queue.heartbeats() == {own_identity(): clock.now()}


def test_a_worker_that_leaves_makes_no_room(queue: WarmQueue) -> None:
    queue.beat(own_identity())

    queue.leave(own_identity())

    assert not queue.has_room("a")


@pytest.fixture
def limited(database: Database, tmp_path: Path, clock: ManualClock) -> WarmQueue:
    """A queue of a node where flink has one place and spark two."""
    capacity = EngineCapacity({"flink": 1, "spark": 2})
    return WarmQueue(database=database, wakeups=Wakeups(tmp_path / "run"), clock=clock, capacity=capacity)


def test_a_run_waits_for_a_place_of_its_engine_and_others_pass(limited: WarmQueue, clock: ManualClock) -> None:
    for run_id, engines in (("one", "flink"), ("two", "flink"), ("other", "datafusion"), ("none", None)):
        limited.put(run_id, subject=run_id, engines=engines)
        clock.advance(1)

    assert [limited.claim(f"worker-{number}") for number in range(4)] == ["one", "other", "none", None]
    limited.done("one")
    assert limited.claim("worker-3") == "two"


def test_a_run_over_several_engines_needs_a_place_of_each(limited: WarmQueue, clock: ManualClock) -> None:
    for run_id, engines in (("a", "spark"), ("b", "flink,spark"), ("c", "flink"), ("d", "spark")):
        limited.put(run_id, subject=run_id, engines=engines)
        clock.advance(1)

    assert [limited.claim("worker") for _ in range(4)] == ["a", "b", None, None]
    limited.done("a")
    assert [limited.claim("worker") for _ in range(2)] == ["d", None]
    limited.done("b")
    assert limited.claim("worker") == "c"


def test_the_queue_tells_who_waits_for_a_place_and_who_has_it(limited: WarmQueue, clock: ManualClock) -> None:
    for run_id, engines in (("a", "spark"), ("b", "flink,spark"), ("c", "flink"), ("d", "flink,spark"), ("e", None)):
        limited.put(run_id, subject=run_id, engines=engines)
        clock.advance(1)
    assert limited.waiting_for_places() == []
    assert [limited.claim("worker") for _ in range(2)] == ["a", "b"]

    assert limited.waiting_for_places() == [
        WaitingForPlace("c", "flink", places=1, holders=["b"]),
        WaitingForPlace("d", "flink", places=1, holders=["b"]),
        WaitingForPlace("d", "spark", places=2, holders=["a", "b"]),
    ]


def test_racing_workers_never_take_more_places_than_there_are(limited: WarmQueue) -> None:
    for number in range(20):
        limited.put(f"run-{number}", subject=None, engines="spark")
    executing: set[str] = set()
    together: list[int] = []

    def work(worker: int) -> int:
        claimed = 0
        for _ in range(40):
            if (run_id := limited.claim(f"worker-{worker}")) is not None:
                executing.add(run_id)
                together.append(len(executing))
                executing.remove(run_id)
                limited.done(run_id)
                claimed += 1
        return claimed

    with ThreadPoolExecutor(4) as threads:
        claimed = sum(threads.map(work, range(4)))

    assert claimed == 20
    assert max(together) <= 2


def test_workers_are_woken_when_a_run_ends_that_others_may_wait_for(limited: WarmQueue) -> None:
    for run_id in ("one", "two"):
        limited.put(run_id, subject=None, engines="flink")
    limited.claim("worker")

    with limited.listen(RUNS_TOPIC) as listener:
        limited.done("one")

        assert listener.wait(60)
