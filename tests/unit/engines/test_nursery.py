"""The process that workers are forked from."""

import os
import signal

from kamu_assets.engines.workers import WorkerPool
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
