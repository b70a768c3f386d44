"""Jobs in child processes, and the pool that hands them out."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kamu_assets.engines.workers.limits import (
    JobBugError,
    JobCancelledError,
    PoolBusyError,
    PoolClosedError,
    TimeLimitError,
    WorkerLimits,
)
from kamu_assets.engines.workers.pool import WorkerPool
from kamu_assets.errors import InvalidError
from tests.support.waiting import wait_until
from tests.unit.engines import jobs
from tests.unit.engines.pools import MIB, a_pool, is_gone


def test_a_job_gets_its_request_and_gives_its_result(pool: WorkerPool) -> None:
    assert pool.run(jobs.double, 21) == 42
    assert pool.run(jobs.move, jobs.Point(1, Path("/a"))) == jobs.Point(2, Path("/a/moved"))


def test_jobs_run_elsewhere_and_workers_are_used_again(pool: WorkerPool) -> None:
    first = pool.run(jobs.pid, None)

    assert first != os.getpid()
    assert pool.run(jobs.pid, None) == first


def test_an_expected_error_travels_with_its_class_and_its_facts(pool: WorkerPool) -> None:
    worker = pool.run(jobs.pid, None)

    with pytest.raises(jobs.CupMissingError, match="cup 7 does not exist") as caught:
        pool.run(jobs.missing, 7)

    assert caught.value.cup == 7
    assert pool.run(jobs.pid, None) == worker


def test_a_bug_is_no_kamu_error_and_replaces_the_worker(pool: WorkerPool) -> None:
    worker = pool.run(jobs.pid, None)

    with pytest.raises(JobBugError, match="ZeroDivisionError: a bug") as caught:
        pool.run(jobs.bug, None)

    first, second, *_ = str(caught.value).splitlines()
    assert first == "a job of query failed: ZeroDivisionError: a bug"
    assert second.startswith("Traceback")
    assert pool.run(jobs.pid, None) != worker


def test_a_job_can_ask_its_parent(pool: WorkerPool) -> None:
    def answer(question: str) -> str:
        if question.endswith("b"):
            raise InvalidError("not that one")
        return question.upper()

    assert pool.run(jobs.ask_twice, "q", on_ask=answer) == ["QA", "refused: not that one"]


def test_a_bug_of_the_one_who_answers_is_seen_by_the_caller(pool: WorkerPool) -> None:
    def answer(_: str) -> str:
        raise LookupError("a bug here")

    with pytest.raises(LookupError):
        pool.run(jobs.ask_twice, "q", on_ask=answer)

    assert pool.run(jobs.double, 4) == 8


def test_a_job_reports_its_progress(pool: WorkerPool) -> None:
    seen: list[int] = []

    assert pool.run(jobs.count, 3, on_progress=seen.append) == 3

    assert seen == [0, 1, 2]


def test_a_job_nobody_waits_for_is_killed(pool: WorkerPool, tmp_path: Path) -> None:
    cancel, marker = threading.Event(), tmp_path / "pid"
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(pool.run, jobs.note_and_spin, marker, cancel=cancel)
        wait_until(marker.exists)

        cancel.set()

        assert isinstance(running.exception(timeout=60), JobCancelledError)
    wait_until(lambda: is_gone(int(marker.read_text())))


def test_a_worker_that_reads_nothing_is_given_up_like_one_that_works_too_long(pool: WorkerPool) -> None:
    worker = pool.run(jobs.pid, None)
    os.kill(worker, signal.SIGSTOP)
    # More than the connection holds.
    request = bytes(4 * MIB)

    with pytest.raises(TimeLimitError):
        pool.run(jobs.length, request, limits=WorkerLimits(memory_bytes=400 * MIB, time_seconds=0.3))

    assert pool.run(jobs.length, request) == len(request)
    wait_until(lambda: is_gone(worker))


def test_nobody_has_to_wait_for_a_worker_that_reads_no_answer(pool: WorkerPool) -> None:
    cancel = threading.Event()

    def answer(pid: int) -> bytes:
        os.kill(pid, signal.SIGSTOP)
        cancel.set()
        return bytes(4 * MIB)

    with pytest.raises(JobCancelledError):
        pool.run(jobs.ask_with_pid, None, on_ask=answer, cancel=cancel)

    assert pool.run(jobs.double, 2) == 4


def test_callers_beyond_the_size_wait_and_beyond_the_queue_are_refused() -> None:
    pool = a_pool(size=2, max_waiting=1)
    with ThreadPoolExecutor(3) as threads:
        running = [threads.submit(pool.run, jobs.sleep, 1.0) for _ in range(3)]
        wait_until(lambda: pool._places._waiting == 1)

        with pytest.raises(PoolBusyError, match="all query workers are busy and 1 callers wait"):
            pool.run(jobs.double, 1)

        assert len({job.result(timeout=20) for job in running}) == 2
    pool.close()


def test_many_threads_share_a_pool(pool: WorkerPool) -> None:
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda number: pool.run(jobs.double, number), range(100))) == list(range(0, 200, 2))


def test_an_idle_pool_shrinks() -> None:
    pool = a_pool(size=3, min_idle=1, idle_seconds=0.1)
    pool.warm_up(3)

    wait_until(lambda: len(pool._idle) == 1)
    pool.close()


def test_used_workers_are_renewed_in_a_pause() -> None:
    pool = a_pool(size=2, min_idle=1, idle_seconds=0.1)
    used = pool.run(jobs.pid, None)

    wait_until(lambda: [worker.is_fresh for worker in pool._idle] == [True])
    assert pool._idle[0].pid != used
    pool.close()


def test_a_closed_pool_leaves_nothing_and_refuses() -> None:
    pool = a_pool()
    worker = pool.run(jobs.pid, None)

    pool.close()

    wait_until(lambda: is_gone(worker))
    with pytest.raises(PoolClosedError):
        pool.run(jobs.double, 1)
