"""Long jobs make room for short ones."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kamu_assets.engines.worker_limits import (
    JobCancelledError,
)
from tests.support.waiting import wait_until
from tests.unit.engines import jobs
from tests.unit.engines.pools import a_pool


def test_long_jobs_give_way_to_short_ones(tmp_path: Path) -> None:
    end = tmp_path / "end"
    pool = a_pool(size=2, patience=0.3)
    with ThreadPoolExecutor() as threads:
        long = [threads.submit(pool.run, jobs.wait_for, end) for _ in range(6)]
        wait_until(lambda: len(pool._places._taken) >= 2)

        assert [pool.run(jobs.double, number) for number in range(5)] == [0, 2, 4, 6, 8]

        assert not any(job.done() for job in long)
        end.touch()
        # Those that had to make room run again, and none is lost.
        assert len([job.result() for job in long]) == 6
    pool.close()


def test_a_job_that_steps_back_keeps_its_process_at_low_priority() -> None:
    pool = a_pool(size=1, patience=0.2)
    with ThreadPoolExecutor() as threads:
        long = threads.submit(pool.run, jobs.sleep, 2.0)
        time.sleep(0.4)
        other = pool.run(jobs.pid, None)
        [nice] = [os.getpriority(os.PRIO_PROCESS, place.pid or 0) for place in pool._places._taken]
        assert long.result() != other
    # It is not given to the next job.
    assert pool.run(jobs.pid, None) == other
    pool.close()

    assert nice == 10


def test_a_job_that_has_to_make_room_can_be_cancelled_and_refused() -> None:
    pool = a_pool(size=1, patience=0.1)
    cancel = threading.Event()
    with ThreadPoolExecutor() as threads:
        first = threads.submit(pool.run, jobs.sleep, 3.0)
        time.sleep(0.3)
        second = threads.submit(pool.run, jobs.sleep, 3.0, cancel=cancel)
        time.sleep(0.4)
        assert pool.run(jobs.double, 1) == 2
        cancel.set()
        with pytest.raises(JobCancelledError):
            second.result()
        first.result()
    pool.close()
