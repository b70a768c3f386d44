"""The process that workers are forked from."""

import os
import signal

import pytest

from kamu_assets.engines.workers.nursery import Nursery
from kamu_assets.engines.workers.pool import WorkerPool
from tests.support.process_tree import ProcessStat, all_processes
from tests.support.waiting import wait_until
from tests.unit.engines import jobs
from tests.unit.engines.pools import LIMITS, is_gone


def test_a_dead_nursery_is_replaced() -> None:
    pool = WorkerPool(name="query", size=1, limits=LIMITS, preload=("tests.unit.engines.jobs", "keyword"))
    worker = pool.run(jobs.pid, None)
    nursery = pool._nursery._process
    assert nursery is not None
    os.kill(nursery.pid, signal.SIGKILL)
    # Workers end with their nursery.
    wait_until(lambda: is_gone(worker))

    assert pool.run(jobs.double, 2) == 4
    pool.close()


def test_the_nursery_forks_without_threads_and_as_often_as_it_takes() -> None:
    pool = WorkerPool(name="query", size=1, limits=LIMITS)
    pool.run(jobs.pid, None)

    assert pool.run(jobs.threads_of_nursery, None) == 1
    assert pool._nursery.threads == 1
    nursery = pool._nursery._process

    worker = pool.run(jobs.pid, None)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: is_gone(worker))
    assert pool.run(jobs.pid, None) != worker
    assert pool._nursery._process is nursery, "a new worker needs no new nursery, which would load everything again"
    pool.close()


def test_who_is_interrupted_while_it_waits_leaves_no_answer_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    nursery = Nursery(("tests.unit.engines.jobs",))
    pid, connection = nursery.fork(network=True)

    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(nursery, "_reply", interrupted)
    with pytest.raises(KeyboardInterrupt):
        nursery.bury(pid)
    monkeypatch.undo()
    connection.close()
    wait_until(lambda: is_gone(pid))
    other, connection = nursery.fork(network=True)

    # What became of the first one is a status: as a pid it would be somebody else's.
    assert process_of(other).parent == nursery_pid(nursery)
    connection.close()
    nursery.close()


def nursery_pid(nursery: Nursery) -> int:
    assert nursery._process is not None
    return nursery._process.pid


def process_of(pid: int) -> ProcessStat:
    return next(each for each in all_processes() if each.pid == pid)
